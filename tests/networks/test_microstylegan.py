"""MicroStyleGAN's generator: its blocks and its fade by hand, noise, and styles a block."""

import torch
from torch.nn import functional as F

from gan_lightning.networks import MicroStyleGANGenerator
from gan_lightning.networks.microstylegan import MicroBlock


def generator() -> MicroStyleGANGenerator:
    torch.manual_seed(0)
    return MicroStyleGANGenerator(6, 7, 5, image_size=16, channels=1, constant_channels=3, width=4).eval()


def test_a_block_by_hand() -> None:
    torch.manual_seed(0)
    block, x, w = MicroBlock(2, 3, 4, (10, 12)), torch.randn(2, 2, 5, 6), torch.randn(2, 4)
    out = block(x, w, "fixed")
    large = F.interpolate(x, size=(10, 12), mode="bilinear")
    h = F.conv2d(large, block.conv.weight, block.conv.bias, padding=1) + block.scale * block.noise
    style = w @ block.style.weight.T + block.style.bias
    for i in range(2):
        for c in range(3):
            normalised = (h[i, c] - h[i, c].mean()) / (h[i, c].var(correction=0) + 1e-5).sqrt()
            expected = F.leaky_relu(normalised * style[i, c] + style[i, 3 + c], 0.2)
            torch.testing.assert_close(out[i, c], expected, rtol=1e-4, atol=1e-5)


def test_a_fading_image_mixes_those_of_two_sizes() -> None:
    network, w = generator(), torch.randn(2, 5)
    x = network.blocks[0](network.constant.repeat(2, 1, 1, 1), w, "fixed")
    small = network.blocks[1](x, w, "fixed")
    large = network.to_image[2](network.blocks[2](small, w, "fixed"))
    before = network.to_image[1](small).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.equal(network.synthesis(w, "fixed"), large)
    network.alpha = 0.2
    torch.testing.assert_close(network.synthesis(w, "fixed"), 0.2 * large + 0.8 * before)
    network.level, network.alpha = 1, 1.0
    assert torch.equal(network.synthesis(w, "fixed"), before)
    assert network.styles_in_use == 2


def test_noise_is_fresh_fixed_or_none() -> None:
    network, w = generator(), torch.randn(1, 5).expand(2, -1)
    fresh = network.synthesis(w)
    assert (fresh[0] - fresh[1]).abs().max() > 0.1
    for noise in ("fixed", "none"):
        images = network.synthesis(w, noise)
        torch.testing.assert_close(images[0], images[1])


def test_each_block_has_a_style_of_its_own() -> None:
    network, w = generator(), torch.randn(1, 3, 5)
    whole = network.synthesis(w, "fixed")
    for block in range(3):
        changed = w.clone()
        changed[:, block] += 1
        assert not torch.equal(network.synthesis(changed, "fixed"), whole)
