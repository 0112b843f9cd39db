"""Measures of strokes whose values are known."""

import math

import pytest
import torch
from torch import Tensor

from datamodules import Digits
from gan_lightning.metrics.strokes import stroke_measures


def bar(width: int, height: int, size: int = 28) -> Tensor:
    image = torch.zeros(1, 1, size, size, dtype=torch.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    image[..., top : top + height, left : left + width] = 255
    return image


def test_a_bar_has_its_sides() -> None:
    found = stroke_measures(torch.cat([bar(2, 20), bar(5, 20), bar(20, 3)]))
    assert found["width"].tolist() == pytest.approx([2, 5, 20])
    assert found["height"].tolist() == pytest.approx([20, 20, 3])
    assert found["area"].tolist() == pytest.approx([40, 100, 60], rel=0.02)
    assert found["slant"].tolist() == pytest.approx([0, 0, 0])
    # the ends of a bar are nearer than its sides: less than its width by w / 3L, as an integral over the triangles
    assert found["thickness"].tolist() == pytest.approx(
        [2 * (1 - 2 / 60), 5 * (1 - 5 / 60), 3 * (1 - 3 / 60)], rel=0.02
    )


@pytest.mark.parametrize("degrees", [-30.0, -10.0, 20.0, 40.0])
def test_a_sheared_bar_has_its_slant_and_its_width(degrees: float) -> None:
    y, x = torch.meshgrid(torch.arange(64.0) - 31.5, torch.arange(64.0) - 31.5, indexing="ij")
    inside = (x + y * math.tan(math.radians(degrees))).abs() < 5
    image = ((inside & (y.abs() < 20)) * 200).to(torch.uint8)[None, None]
    found = stroke_measures(image)
    assert found["slant"].item() == pytest.approx(degrees, abs=0.5)
    assert found["width"].item() == pytest.approx(10, abs=1.5)  # the edges are stairs
    assert found["height"].item() == pytest.approx(40, abs=0.5)


def test_neither_brightness_nor_ground_nor_colour_nor_batch_matters() -> None:
    one = bar(4, 16)
    batch = torch.cat([one, one // 5, one // 2 + 60, torch.full_like(one, 7), bar(28, 28)])
    found = stroke_measures(batch)
    for values in found.values():
        assert values[:3].tolist() == pytest.approx([values[0].item()] * 3)
        assert values[3] == values[4] == 0  # no contrast
    alone = stroke_measures(one.expand(-1, 3, -1, -1))
    many = stroke_measures(one.expand(600, -1, -1, -1))
    for name, values in found.items():
        assert alone[name][0] == values[0]
        assert (many[name] == values[0]).all()
        assert many[name].dtype == torch.float64
    assert all(len(values) == 0 for values in stroke_measures(one[:0]).values())


def test_digits_have_plausible_strokes() -> None:
    images, labels = Digits(image_size=28).reference_storage().batch(torch.arange(600))
    found = stroke_measures(images)
    assert all(values.isfinite().all() for values in found.values())
    assert found["height"].median().item() == pytest.approx(20, abs=1)  # MNIST fits digits into a box of 20
    assert 2 < found["thickness"].median() < 4
    assert found["width"][labels == 1].median() < 0.5 * found["width"][labels == 0].median()
    assert found["slant"][labels == 1].std() > 5
    inside = images[:, 0, [0, -1], :].amax((1, 2)) + images[:, 0, :, [0, -1]].amax((1, 2)) == 0  # no stroke at the edge
    padded = stroke_measures(torch.nn.functional.pad(images, (2, 2, 2, 2)))
    for name, values in found.items():
        torch.testing.assert_close(padded[name][inside], values[inside], atol=1e-4, rtol=0)
