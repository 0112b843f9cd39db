import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.layers.antialiasing import BlurDownsample, blur


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 10), (2, 3)])
def test_every_second_value_of_the_blurred_map(height, width):
    x = torch.randn(2, 3, height, width)
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    rows = (padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]) / 4
    blurred = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 4
    torch.testing.assert_close(BlurDownsample()(x), blurred[:, :, ::2, ::2])


def test_it_neither_learns_nor_is_saved_and_follows_the_precision():
    blur = BlurDownsample()
    assert not list(blur.parameters())
    assert not blur.state_dict()
    assert blur(torch.randn(1, 2, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_a_checkerboard_becomes_grey_where_a_stride_would_see_one_colour():
    board = (torch.arange(8)[:, None] + torch.arange(8)).remainder(2)[None, None].float()
    assert torch.equal(board[:, :, ::2, ::2], torch.zeros(1, 1, 4, 4))
    torch.testing.assert_close(BlurDownsample()(board), torch.full((1, 1, 4, 4), 0.5))


def test_bilinear_doubling_is_the_authors_blur_of_1_3_3_1():
    x, weights = torch.randn(2, 3, 5, 6), torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    kernel = weights.outer(weights).expand(3, 1, 4, 4)
    spread = F.conv_transpose2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, padding=3, groups=3)
    torch.testing.assert_close(nn.Upsample(scale_factor=2, mode="bilinear")(x), spread)


def test_the_blur_of_style_gans_keeps_the_size_and_borders_on_zeros():
    x = torch.zeros(1, 2, 4, 5)
    x[0, 0, 1, 1] = x[0, 1, 0, 0] = 16
    out = blur(x)
    assert out[0, 0, :3, :3].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    assert out[0, 1, :2, :2].tolist() == [[4, 2], [2, 1]]
    assert out.shape == x.shape
