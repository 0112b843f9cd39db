"""Modulated convolutions against weights of each image, made one after the other by the paper's equations."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.layers.modulation import ModulatedConv2d
from layers.test_resampling import upfirdn2d


def image_by_image(layer: ModulatedConv2d, x: Tensor, w: Tensor) -> Tensor:
    """Equations 1 and 3, with a loop over images."""
    outputs = []
    for image, style in zip(x, w, strict=True):
        s = layer.affine.weight @ style / math.sqrt(len(style)) + layer.affine.bias
        weight = layer.weight / math.sqrt(layer.weight[0].numel()) * s[None, :, None, None]
        if layer.demodulate:
            weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.smooth is None:
            outputs.append(F.conv2d(image[None], weight, padding=layer.padding))
        else:
            wide = F.conv_transpose2d(image[None], weight.transpose(0, 1), stride=2)
            outputs.append(upfirdn2d(wide, padding=(1, 1), gain=4.0))
    return torch.cat(outputs)


CASES = pytest.mark.parametrize(
    ("kernel", "demodulate", "up"),
    [(3, True, False), (3, True, True), (1, False, False), (3, False, True)],
    ids=["same size", "doubled", "to an image", "doubled, not demodulated"],
)


@CASES
def test_values_and_gradients_are_those_of_own_weights(kernel: int, demodulate: bool, up: bool) -> None:
    layer = ModulatedConv2d(5, 4, kernel, 3, demodulate, up).double()
    if layer.smooth is not None:
        layer.smooth.double()
    x = torch.randn(3, 5, 4, 6, dtype=torch.float64, requires_grad=True)
    w = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    ours, theirs = layer(x, w), image_by_image(layer, x, w)
    assert ours.shape == (3, 4, 8, 12) if up else (3, 4, 4, 6)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    parameters = (x, w, layer.weight, layer.affine.weight, layer.affine.bias)
    weights = torch.randn_like(ours)
    gradients = [torch.autograd.grad((made * weights).sum(), parameters) for made in (ours, theirs)]
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_the_gradient_of_a_gradient_is_theirs_too() -> None:
    layer = ModulatedConv2d(3, 2, 3, 4, up=True).double()
    x, w = (torch.randn(2, *shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 4, 4), (4,)))
    found = []
    for made in (layer(x, w), image_by_image(layer, x, w)):
        (by_style,) = torch.autograd.grad(made.sin().sum(), w, create_graph=True)
        found.append(torch.autograd.grad(by_style.square().sum(), (layer.weight, x)))
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_the_standard_deviation_is_kept() -> None:
    layer = ModulatedConv2d(64, 64, 3, 16)
    made = layer(torch.randn(8, 64, 16, 16), 3 * torch.randn(8, 16))
    assert float(made[..., 1:-1, 1:-1].detach().std()) == pytest.approx(1, abs=0.05)


def test_mixed_precision_gives_nearly_the_same() -> None:
    layer, x, w = ModulatedConv2d(32, 8, 3, 16), torch.randn(2, 32, 8, 8), torch.randn(2, 16)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x, w)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), layer(x, w), atol=0.05, rtol=0.05)
