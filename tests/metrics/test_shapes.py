"""Metrics of sets of shapes, against distances by hand."""

import pytest
import torch
from torch import Tensor

from gan_lightning.metrics import ShapeDistances, ShapeIoU, TooFewSamplesError
from gan_lightning.metrics.shapes import chamfer_distances, iou_distances, packed, unpacked


def points(*places: tuple[int, int, int], side: int = 8) -> Tensor:
    shape = torch.zeros(side, side, side, dtype=torch.bool)
    for place in places:
        shape[place] = True
    return shape


def outputs(*shapes: Tensor) -> Tensor:
    return torch.stack(shapes)[:, None].float() * 2 - 1


A, B, C, EMPTY = points((0, 0, 0), (0, 0, 1)), points((0, 0, 1), (0, 3, 1)), points((7, 7, 7)), points()


def test_bits_come_back() -> None:
    shapes = torch.rand(3, 4, 5, 16) < 0.5
    assert packed(shapes).shape == (3, 4, 5, 2)
    assert torch.equal(unpacked(packed(shapes)), shapes)


def test_iou_by_hand() -> None:
    found = iou_distances(torch.stack([A, B, C, EMPTY, EMPTY]))
    assert found[0].tolist() == pytest.approx([0, 1 - 1 / 3, 1, 1, 1])
    assert found[3, 4] == 0


def test_chamfer_by_hand_and_against_all_pairs_of_points() -> None:
    found = chamfer_distances(torch.stack([A, B, C, EMPTY, EMPTY]))
    a_to_b, b_to_a = (1 + 0) / 2, (0 + 9) / 2
    assert float(found[0, 1]) == pytest.approx((a_to_b + b_to_a) / 64)
    assert torch.equal(found, found.T)
    assert (float(found[0, 3]), float(found[3, 4])) == (2 * 3.0, 0)
    shapes = torch.rand(4, 8, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.05
    found = chamfer_distances(shapes)
    for i in range(4):
        for j in range(4):
            one, other = (shapes[k].nonzero().double() / 8 for k in (i, j))
            square = torch.cdist(one, other) ** 2
            assert float(found[i, j]) == pytest.approx(float(square.amin(1).mean() + square.amin(0).mean()))


def measured(real: list[Tensor], fake: list[Tensor], distance: str = "iou") -> dict[str, float]:
    metric = ShapeDistances(distance)  # type: ignore[arg-type]
    metric.update_real(outputs(*real))
    for shape in fake:  # batches do not matter
        metric.update(outputs(shape), outputs(real[0]))
    return {name.removesuffix(f"_{distance}"): float(value) for name, value in metric.compute().items()}


def test_matching_distance_and_coverage_by_hand() -> None:
    found = measured([A, C], [A, B])
    assert found["matching_distance"] == pytest.approx((0 + 1) / 2)
    assert found["coverage"] == 0.5  # both are nearest to A
    assert measured([A, C], [C, A])["coverage"] == 1


def test_one_nearest_neighbour_accuracy_tells_sets_apart() -> None:
    rng = torch.Generator().manual_seed(0)
    left = [points(*[tuple(torch.randint(0, 3, (3,), generator=rng).tolist()) for _ in range(9)]) for _ in range(20)]
    same = [points(*[tuple(torch.randint(0, 3, (3,), generator=rng).tolist()) for _ in range(9)]) for _ in range(20)]
    right = [shape.flip(0) for shape in same]
    for distance in ("iou", "chamfer"):
        assert measured(left, right, distance)["nearest_neighbour_accuracy"] == 1
        assert 0.25 < measured(left, same, distance)["nearest_neighbour_accuracy"] < 0.75
        assert measured(left, left, distance)["nearest_neighbour_accuracy"] < 0.1  # copies


def test_real_shapes_are_kept_and_too_few_are_named() -> None:
    metric = ShapeDistances()
    metric.update_real(outputs(A, C))
    with pytest.raises(TooFewSamplesError, match=r"each shape needs another"):
        metric.compute()
    metric.reset(keep_real=True)
    metric.update(outputs(A, C), outputs(A, C))
    assert float(metric.compute()["matching_distance_iou"]) == 0
    with pytest.raises(ValueError, match='distance must be "iou" or "chamfer"'):
        ShapeDistances("emd")  # type: ignore[arg-type]


def test_the_overlap_with_a_target() -> None:
    metric = ShapeIoU()
    metric.update(outputs(A, EMPTY), outputs(B, EMPTY))
    metric.update(outputs(C), outputs(C))
    assert float(metric.compute()["iou"]) == pytest.approx((1 / 3 + 1 + 1) / 3)
