"""Pictures of shapes: where light falls, which parts hide which, and gradients."""

import pytest
import torch

from gan_lightning.data.shading import shaded


def box(x: slice, y: slice, z: slice) -> torch.Tensor:
    voxels = -torch.ones(1, 1, 16, 16, 16)
    voxels[0, 0, x, y, z] = 1
    return voxels


def test_empty_space_is_white_and_a_box_is_dark_in_the_middle() -> None:
    empty = shaded(-torch.ones(2, 1, 16, 16, 16))
    assert empty.shape == (2, 1, 32, 32)
    assert (empty > 0.99).all()
    (picture,) = shaded(box(slice(4, 12), slice(4, 12), slice(4, 12)))[:, 0]
    assert picture[16, 16] < 0.7
    assert (picture[[0, 0, -1, -1], [0, -1, 0, -1]] > 0.99).all()


def test_up_is_up_and_the_front_is_the_end_of_z() -> None:
    high, low = (shaded(box(slice(6, 10), y, slice(6, 10)))[0, 0] for y in (slice(12, 16), slice(0, 4)))
    rows = torch.arange(32.0)[:, None].expand(32, 32)

    def middle(picture: torch.Tensor, places: torch.Tensor) -> float:
        return float((places * (1 - picture)).sum() / (1 - picture).sum())

    assert middle(low, rows) - middle(high, rows) > 8
    left, right = (shaded(box(x, slice(6, 10), slice(6, 10)))[0, 0] for x in (slice(0, 4), slice(12, 16)))
    assert middle(right, rows.T) - middle(left, rows.T) > 6
    # a wall in front hides a box behind it
    wall = box(slice(0, 16), slice(0, 16), slice(13, 15))
    both = torch.maximum(wall, box(slice(2, 6), slice(0, 4), slice(4, 8)))
    assert (shaded(wall) - shaded(both)).abs().max() < 0.05
    behind = box(slice(0, 16), slice(0, 16), slice(1, 3))
    assert (
        shaded(behind) - shaded(torch.maximum(behind, box(slice(6, 10), slice(6, 10), slice(8, 12))))
    ).abs().max() > 0.2


def test_pictures_do_not_depend_on_what_is_drawn_with_them_and_have_gradients() -> None:
    voxels = torch.rand(3, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(shaded(voxels)[1:2], shaded(voxels[1:2]))
    voxels.requires_grad_()
    shaded(voxels).sum().backward()
    assert voxels.grad is not None
    assert voxels.grad.isfinite().all()
    assert voxels.grad.abs().max() > 0


def test_several_channels_are_no_shape() -> None:
    with pytest.raises(ValueError, match=r"shapes to be drawn are \(N, 1, X, Y, Z\), not \(1, 2, 4, 4, 4\)"):
        shaded(torch.zeros(1, 2, 4, 4, 4))
