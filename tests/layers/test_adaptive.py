"""AdaIN and the layer norm of maps against the authors' formulas, written out."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.inference.statistics import SharedStatistics
from gan_lightning.layers.adaptive import AdaptiveInstanceNorm2d, LayerNorm2d


def adain(x: Tensor, bias: Tensor, gain: Tensor) -> Tensor:
    """Normalise each channel of each image by itself, in a loop."""
    out = torch.empty_like(x)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            values = x[n, c]
            mean = values.sum() / values.numel()
            variance = ((values - mean) ** 2).sum() / values.numel()
            out[n, c] = gain[n, c] * (values - mean) / (variance + 1e-5) ** 0.5 + bias[n, c]
    return out


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_adain_scales_and_shifts_each_channel_of_each_image(training: bool, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = (3 * torch.randn(3, 4, 5, 6) + 2).to(memory_format=layout)
    bias, gain = torch.randn(3, 4), torch.randn(3, 4)
    norm = AdaptiveInstanceNorm2d(4).train(training)
    torch.testing.assert_close(norm(x, bias, gain), adain(x, bias, gain), rtol=1e-5, atol=1e-5)


def test_adain_gives_maps_the_mean_and_deviation_of_the_style() -> None:
    torch.manual_seed(0)
    bias, gain = torch.randn(2, 3), torch.rand(2, 3) + 0.5
    out = AdaptiveInstanceNorm2d(3)(torch.randn(2, 3, 16, 16), bias, gain)
    torch.testing.assert_close(out.mean(dim=(2, 3)), bias, rtol=0, atol=1e-5)
    torch.testing.assert_close(out.std(dim=(2, 3), correction=0), gain, rtol=1e-4, atol=0)


def test_adain_has_nothing_of_its_own() -> None:
    norm = AdaptiveInstanceNorm2d(3)
    assert not [*norm.parameters()]
    assert not [*norm.buffers()]


def test_adain_learns_through_bias_and_gain() -> None:
    x, bias, gain = torch.randn(2, 3, 4, 4), torch.zeros(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    target = torch.randn(2, 3, 4, 4)
    (AdaptiveInstanceNorm2d(3)(x, bias, gain) * target).sum().backward()
    torch.testing.assert_close(bias.grad, target.sum(dim=(2, 3)))
    torch.testing.assert_close(gain.grad, (F.instance_norm(x) * target).sum(dim=(2, 3)), rtol=1e-4, atol=1e-4)


def test_layer_norm_is_over_an_image_with_epsilon_beside_the_unbiased_deviation() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, 2, 3) * 1e-3  # so small that epsilon shows
    norm = LayerNorm2d(4)
    torch.nn.init.normal_(norm.gain)
    torch.nn.init.normal_(norm.bias)
    expected = torch.empty_like(x)
    for n in range(3):
        values = x[n].flatten()
        mean = values.sum() / 24
        deviation = (((values - mean) ** 2).sum() / 23) ** 0.5
        for c in range(4):
            expected[n, c] = norm.gain[c] * (x[n, c] - mean) / (deviation + 1e-5) + norm.bias[c]
    torch.testing.assert_close(norm(x), expected, rtol=1e-5, atol=1e-6)
    biased = F.group_norm(x, 1, norm.gain, norm.bias, eps=0)
    assert (norm(x) - biased).abs().max() > 1e-2  # torch's, of the biased variance


def test_layer_norm_starts_with_gains_from_zero_to_one() -> None:
    torch.manual_seed(0)
    gain = LayerNorm2d(2000).gain
    assert 0 <= gain.min() < 0.01
    assert 0.99 < gain.max() < 1
    assert gain.mean().item() == pytest.approx(0.5, abs=0.02)
    assert not LayerNorm2d(3).bias.any()


def test_a_constant_map_gives_the_bias() -> None:
    norm = LayerNorm2d(3)
    torch.nn.init.constant_(norm.bias, 0.3)
    assert torch.equal(norm(torch.ones(1, 3, 4, 4)), torch.full((1, 3, 4, 4), 0.3))


@pytest.mark.parametrize("kind", ["adain", "layer"])
def test_parts_of_an_image_share_its_statistics(kind: str) -> None:
    torch.manual_seed(0)
    x, bias, gain = torch.randn(1, 3, 8, 8).cumsum(3), torch.randn(1, 3), torch.randn(1, 3)
    adaptive, layer = AdaptiveInstanceNorm2d(3).eval(), LayerNorm2d(3)

    def norm(images: Tensor) -> Tensor:
        return adaptive(images, bias, gain) if kind == "adain" else layer(images)

    shared = SharedStatistics()
    for part in x.chunk(2, dim=3):
        with shared:
            norm(part)
    shared.fix()
    parts = []
    for part in x.chunk(2, dim=3):
        with shared:
            parts.append(norm(part))
    torch.testing.assert_close(torch.cat(parts, dim=3), norm(x), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(norm(x[..., :4]), parts[0], atol=1e-2)
