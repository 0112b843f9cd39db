"""Winograd's algorithm against direct convolution: values, gradients, gradients of gradients, and where it is used."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.layers import winograd
from gan_lightning.layers.winograd import ReflectedConv2d, _Winograd
from gan_lightning.networks import ResNetGenerator


@pytest.mark.parametrize(("height", "width"), [(6, 6), (10, 18), (7, 12), (3, 5)])
def test_it_is_a_convolution_to_double_precision(height: int, width: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, height, width, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(7, 5, 3, 3, dtype=torch.float64, requires_grad=True)
    found, expected = _Winograd.apply(x, weight), F.conv2d(x, weight)
    # entries of up to 8 · 8 and sums of 5 · 36 products: a few hundred times 1e-16
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    gradient = torch.randn_like(expected)
    for ours, direct in zip(
        torch.autograd.grad(found, (x, weight), gradient),
        torch.autograd.grad(expected, (x, weight), gradient),
        strict=True,
    ):
        torch.testing.assert_close(ours, direct, atol=1e-11, rtol=0)


def test_it_can_be_differentiated_twice() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(_Winograd.apply, (x, weight))
    assert torch.autograd.gradgradcheck(_Winograd.apply, (x, weight))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_in_float32_it_is_as_near_to_the_truth_as_float32_allows(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    conv = ReflectedConv2d(128, 128)
    x = torch.randn(1, 128, 64, 64).to(memory_format=layout).requires_grad_()
    exact = nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect").double()
    exact.load_state_dict(conv.state_dict())
    expected = exact(x.double())
    gradient = torch.randn_like(expected)
    found = conv(x)
    assert "Winograd" in str(found.grad_fn.next_functions[0][0])  # or this test tests nothing
    inputs, to_exact = (
        (x, conv.weight, conv.bias),
        torch.autograd.grad(expected, (x, exact.weight, exact.bias), gradient),
    )
    for ours, true in zip(
        (found, *torch.autograd.grad(found, inputs, gradient.float())), (expected, *to_exact), strict=True
    ):
        # 6e-8, half a unit in the last place, grown by the transforms: by 40 on average
        assert (ours - true).norm() < 1e-5 * true.norm()


def test_it_is_for_training_in_float32_with_many_channels_and_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[tuple[int, ...]] = []
    apply = _Winograd.apply
    monkeypatch.setattr(
        winograd._Winograd, "apply", lambda x, weight: (used.append(tuple(x.shape)), apply(x, weight))[1]
    )
    conv, large = ReflectedConv2d(128, 128), torch.zeros(1, 128, 64, 64)
    conv(large)
    assert used == [(1, 128, 66, 66)]
    conv(torch.zeros(1, 128, 32, 32))  # too few pixels
    ReflectedConv2d(64, 64)(torch.zeros(1, 64, 64, 64))  # too few channels
    with torch.autocast("cpu", torch.bfloat16):
        conv(large)
    conv.double()(large.double())
    conv.float().eval()(large)
    assert len(used) == 1
    ResNetGenerator(blocks=1)(torch.zeros(1, 3, 256, 256))
    assert used[1:] == [(1, 256, 66, 66)] * 2
