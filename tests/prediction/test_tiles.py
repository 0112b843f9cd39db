"""The places and the weights of tiles."""

import itertools

import numpy as np
import pytest
import torch

from gan_lightning.inference.tiles import reflected, round_up, tile_starts, tile_weights

SIDES = list(
    itertools.product([64, 65, 100, 127, 128, 500, 1001], [(64, 16, 4), (64, 32, 1), (64, 0, 64), (64, 16, 64)])
)


@pytest.mark.parametrize(("length", "how"), SIDES)
def test_tiles_cover_a_side_evenly_and_overlap_enough(length: int, how: tuple[int, int, int]) -> None:
    tile, overlap, multiple = how
    starts = tile_starts(length, tile, overlap, multiple)
    if length <= tile:
        assert starts == [0]
        return
    grid = multiple if multiple <= tile - overlap else 1
    assert starts[0] == 0
    assert starts[-1] + tile == round_up(length, grid)
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert (steps <= tile - overlap).all()
    assert steps.max() - steps.min() <= grid
    assert all(start % grid == 0 for start in starts)


def test_no_tile_is_more_than_it_takes() -> None:
    assert tile_starts(112, 64, 16, 4) == [0, 48]
    assert tile_starts(113, 64, 16, 4) == [0, 24, 52]
    assert tile_starts(1024, 512, 128, 256) == [0, 256, 512]  # every 256 pixels, though 384 would do
    assert tile_starts(512, 256, 128, 256) == [0, 128, 256]  # every 256 would not overlap


@pytest.mark.parametrize("blend", [True, False])
@pytest.mark.parametrize(("length", "how"), SIDES)
def test_weights_add_up_to_one_and_leave_out_the_edges(length: int, how: tuple[int, int, int], blend: bool) -> None:
    tile, overlap, multiple = how
    starts = tile_starts(length, tile, overlap, multiple)
    weights = tile_weights(starts, tile, overlap, blend)
    total = torch.zeros(starts[-1] + tile)
    for start, one in zip(starts, weights, strict=True):
        total[start : start + tile] += one
    torch.testing.assert_close(total, torch.ones_like(total))
    assert (weights >= 0).all()
    assert weights[0, 0] == weights[-1, -1] == 1  # there is nothing beyond the side
    assert (weights[1:, : overlap // 4] == 0).all()
    assert (weights[:-1, tile - overlap // 4 :] == 0).all()
    if not blend:
        assert set(weights.unique().tolist()) <= {0.0, 1.0}


def test_weights_rise_smoothly() -> None:
    (first, second) = tile_weights([0, 48], 64, 16, blend=True)
    assert torch.equal(first[48:].flip(0), second[:16])
    assert second[:16].diff().abs().max() < 0.2  # of 1 / 8 a pixel, were it a straight line
    assert second[:4].tolist() == [0] * 4
    assert second[12:].tolist() == [1] * 52


@pytest.mark.parametrize(("start", "count", "length"), [(0, 7, 7), (2, 9, 8), (0, 40, 5), (0, 4, 2), (0, 6, 1)])
def test_what_lies_beyond_a_side_is_its_reflection(start: int, count: int, length: int) -> None:
    mirrored = np.pad(np.arange(length), (0, start + count), mode="reflect")
    assert reflected(start, count, length).tolist() == mirrored[start : start + count].tolist()
