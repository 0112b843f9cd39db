"""Doubling and halving by [1, 3, 3, 1] against the authors' convolutions, with rectangles and gradients."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.layers.bilinear import doubled, halved

WEIGHTS = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 8
KERNEL = WEIGHTS.outer(WEIGHTS)[None, None]


def apart(x: Tensor) -> Tensor:
    """Channels as images, which the authors' convolutions take."""
    return x.flatten(0, 1)[:, None]


def test_doubling_is_the_authors_transposed_convolution() -> None:
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    expected = F.conv_transpose2d(apart(x), 4 * KERNEL, stride=2, padding=1)
    torch.testing.assert_close(doubled(x), expected.view(2, 3, 8, 12))


def test_halving_is_the_authors_convolution() -> None:
    x = torch.randn(2, 3, 8, 12, dtype=torch.float64)
    torch.testing.assert_close(halved(x), F.conv2d(apart(x), KERNEL, stride=2, padding=1).view(2, 3, 4, 6))


def test_one_is_the_others_transpose() -> None:
    x, y = torch.randn(1, 2, 4, 6, dtype=torch.float64), torch.randn(1, 2, 8, 12, dtype=torch.float64)
    torch.testing.assert_close((doubled(x) * y).sum(), 4 * (x * halved(y)).sum())


def test_both_can_be_differentiated_twice() -> None:
    for resize in (doubled, halved):
        x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradgradcheck(lambda maps, resize=resize: resize(maps).square(), x)
