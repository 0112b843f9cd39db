"""StyleGAN's generator: styles a layer, mixing, the mean of w, noise, and its layers by hand."""

import copy
import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from gan_lightning.layers import EqualisedConv2d
from gan_lightning.layers.antialiasing import blur
from gan_lightning.networks import StyleGANGenerator
from gan_lightning.networks.styled import Mapping
from gan_lightning.networks.stylegan import StyledLayer


def generator(**how: Any) -> StyleGANGenerator:
    torch.manual_seed(0)
    network = StyleGANGenerator(**{"latent_dim": 6, "style_dim": 5, "image_size": 16, "channels": 1, "width": 8} | how)
    for layer in network.layers:  # as after some training
        torch.nn.init.normal_(layer.scale)
    return network


def test_the_mapping_is_slow_and_starts_as_a_fast_one() -> None:
    mapping, z = Mapping(400, 300, layers=2), torch.randn(100, 400)
    length = F.leaky_relu(mapping.layers[0](z), 0.2).square().mean()
    assert length.item() == pytest.approx(1.04, rel=0.05)  # E lrelu(√2 n)² = 1 + 0.2²
    assert torch.equal(mapping(5 * z), mapping(z)) or torch.allclose(mapping(5 * z), mapping(z), rtol=1e-4, atol=1e-5)
    before = mapping.layers[0].scaled_weight().detach().clone()
    optimizer = torch.optim.Adam(mapping.parameters(), lr=1e-3)
    mapping(z).square().sum().backward()
    optimizer.step()
    change = (mapping.layers[0].scaled_weight() - before).abs()
    torch.testing.assert_close(change.mean().item(), 1e-3 * 0.01 * math.sqrt(2 / 400), rtol=0.05, atol=0)


def test_classes_enter_the_mapping() -> None:
    mapping, z = Mapping(6, 5, layers=1, num_classes=3), torch.randn(1, 6).expand(3, -1)
    w = mapping(z, torch.arange(3))
    assert not torch.allclose(w[0], w[1])
    with pytest.raises(ValueError, match="no labels"):
        mapping(z)


def test_a_layer_by_hand() -> None:
    torch.manual_seed(0)
    layer, x, w = StyledLayer(3, 4, (5, 6)), torch.randn(2, 3, 5, 6), torch.randn(2, 4)
    for part in (layer.scale, layer.bias):
        torch.nn.init.normal_(part)
    out = layer(x, w, "fixed")
    style = w @ layer.style.weight.T / 2 + layer.style.bias
    for i in range(2):
        for c in range(3):
            h = F.leaky_relu(x[i, c] + layer.scale[c] * layer.noise[0, 0] + layer.bias[c], 0.2)
            h = (h - h.mean()) / h.std(correction=0)
            torch.testing.assert_close(out[i, c], h * (1 + style[i, c]) + style[i, 3 + c], rtol=1e-4, atol=1e-5)


def test_the_synthesis_by_hand() -> None:
    network = generator(image_size=8)
    w = torch.randn(2, 4, 5)

    def conv(layer: EqualisedConv2d, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, layer.weight * math.sqrt(2 / layer.weight[0].numel()), padding=1)

    x = network.layers[0](network.constant.repeat(2, 1, 1, 1), w[:, 0], "fixed")
    x = network.layers[1](conv(network.convs[0], x), w[:, 1], "fixed")
    x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    x = network.layers[2](blur(conv(network.convs[1], x)), w[:, 2], "fixed")
    x = network.layers[3](conv(network.convs[2], x), w[:, 3], "fixed")
    torch.testing.assert_close(network.synthesis(w, noise="fixed"), network.to_image[1](x))


def test_noise_is_fresh_fixed_or_none() -> None:
    network, w = generator().eval(), torch.randn(1, 5).expand(2, -1)
    fresh = network.synthesis(w)
    assert not torch.equal(fresh[0], fresh[1])
    for noise in ("fixed", "none"):
        images = network.synthesis(w, noise=noise)
        torch.testing.assert_close(images[0], images[1])
        assert torch.equal(images, network.synthesis(w, noise=noise))
    assert not torch.allclose(network.synthesis(w, noise="fixed"), network.synthesis(w, noise="none"))
    copied = generator()
    copied.load_state_dict(network.state_dict())
    assert torch.equal(copied.synthesis(w, noise="fixed"), network.synthesis(w, noise="fixed"))  # in the checkpoint


def test_one_style_is_that_style_for_each_layer() -> None:
    network, w = generator(), torch.randn(2, 5)
    assert network.num_styles == 6
    each = w[:, None].repeat(1, 6, 1)
    assert torch.equal(network.synthesis(w, noise="fixed"), network.synthesis(each, noise="fixed"))
    each[:, 4:] += 1  # at 16x16 only
    other = network.synthesis(each, noise="fixed")
    assert not torch.allclose(other, network.synthesis(w, noise="fixed"))
    network.level = 1
    assert torch.equal(network.synthesis(each, noise="fixed"), network.synthesis(w, noise="fixed"))
    assert network.styles_in_use == 4
    for wrong in (torch.randn(2, 4), torch.randn(2, 5, 5)):
        with pytest.raises(ValueError, match=r"styles of shape \(N, 5\), or \(N, 6, 5\)"):
            network.synthesis(wrong)


def test_nine_batches_of_ten_are_mixed_from_any_layer_on() -> None:
    network, z = generator(), torch.randn(4, 6)
    w = network.eval().styles(z)
    assert torch.equal(w, network.mapping(z)[:, None].expand(-1, 6, -1))
    network.train()
    counts = dict.fromkeys(range(1, 7), 0)
    for _ in range(1000):
        own = (network.styles(z) == w).all(dim=2)
        assert torch.equal(own, own[:1].expand(4, -1))
        first = int(own[0].sum())
        assert own[0].tolist() == [True] * first + [False] * (6 - first)
        counts[first] += 1
    assert counts[6] == pytest.approx(100, abs=40)
    assert all(counts[i] == pytest.approx(180, abs=50) for i in range(1, 6))
    network.level = 0
    assert {int((network.styles(z) == w).all(dim=2)[0].sum()) for _ in range(200)} == {1, 6}
    network.style_mixing = 0
    assert torch.equal(network.styles(z), w)


def test_the_mean_of_w_follows_the_calls_in_training_alone() -> None:
    network, z = generator(mean_decay=0.9), torch.randn(4, 6)
    network.eval()(z)
    assert torch.equal(network.mean_style, torch.zeros(5))
    network.train()(z)
    w = network.mapping(z).detach().mean(dim=0)
    torch.testing.assert_close(network.mean_style, 0.1 * w)
    network(z)
    torch.testing.assert_close(network.mean_style, 0.19 * w)
    assert "mean_style" in network.state_dict()
    assert copy.deepcopy(network).mean_style.equal(network.mean_style)


def test_a_rectangle_begins_with_its_own_constant() -> None:
    network = generator(image_size=(256, 384), width=2)
    assert network.constant.shape == (1, 2, 4, 6)
    assert network(torch.randn(1, 6)).shape == (1, 1, 256, 384)
