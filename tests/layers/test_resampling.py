"""Resampling by [1, 3, 3, 1] against the authors' operator as it is written: insert zeros, pad, filter, leave out."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers.resampling import FILTER, Double, Halve, Smooth


def upfirdn2d(x: Tensor, up: int = 1, down: int = 1, padding: tuple[int, int] = (0, 0), gain: float = 1.0) -> Tensor:
    """The operator, of (N, C, H, W): each step by itself."""
    taps = torch.tensor(FILTER, dtype=x.dtype)
    kernel = taps.outer(taps) / taps.sum() ** 2 * gain
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, h, up, w, up)
    spread[:, :, :, 0, :, 0] = x
    padded = F.pad(spread.reshape(n * c, 1, h * up, w * up), (*padding, *padding))
    return F.conv2d(padded, kernel.flip(0, 1)[None, None])[:, :, ::down, ::down].unflatten(0, (n, c)).squeeze(2)


@pytest.mark.parametrize("size", [(4, 4), (6, 10), (12, 5)])
@pytest.mark.parametrize(
    ("layer", "how"),
    [
        (Double(), {"up": 2, "padding": (2, 1), "gain": 4.0}),
        (Halve(), {"down": 2, "padding": (1, 1)}),
        (Smooth(), {"padding": (1, 1)}),
        (Smooth(2), {"padding": (2, 2)}),
        (Smooth(1, gain=4.0), {"padding": (1, 1), "gain": 4.0}),
    ],
    ids=["double", "halve", "smooth", "smooth more", "smooth with gain"],
)
def test_values_and_gradients_are_those_of_the_operator(
    layer: nn.Module, how: dict[str, int], size: tuple[int, int]
) -> None:
    if isinstance(layer, Halve):
        size = (size[0] // 2 * 2, size[1] // 2 * 2)
    x = torch.randn(2, 3, *size, requires_grad=True)
    ours, theirs = layer(x), upfirdn2d(x, **how)  # type: ignore[arg-type]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    weights = torch.randn_like(ours)
    (ours_gradient,) = torch.autograd.grad((ours * weights).sum(), x)
    (their_gradient,) = torch.autograd.grad((theirs * weights).sum(), x)
    torch.testing.assert_close(ours_gradient, their_gradient, rtol=0, atol=1e-6)


def test_they_are_twice_differentiable() -> None:
    for layer in (Double(), Halve(), Smooth()):
        x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradgradcheck(layer.double(), x)
