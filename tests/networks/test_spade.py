"""SPADE's networks against independent formulas: the norm, the blocks, the sizes, the styles."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.data.images import to_float
from gan_lightning.networks import SPADEEncoder, SPADEGenerator
from gan_lightning.networks.spade import SPADE, SPADEBlock

SMALL = {"num_classes": 3, "width": 2, "hidden": 4}


def maps(count=2, height=64, width=96, seed=0):
    levels = torch.randint(0, 3, (count, 1, height, width), generator=torch.Generator().manual_seed(seed))
    return to_float(levels.to(torch.uint8))


def spade_by_formula(layer, x, planes):
    """(x - μ) / σ over the batch, times 1 + γ, plus β, by sums over neighbours in float64."""
    x, planes = x.double(), planes.double()

    def convolution(conv, values):
        weight, n = conv.weight.double(), F.pad(values, (1, 1, 1, 1))
        height, width = values.shape[2:]
        total = conv.bias.double()[None, :, None, None].expand(len(values), -1, height, width).clone()
        for row in range(3):
            for column in range(3):
                part = n[:, :, row : row + height, column : column + width]
                total += torch.einsum("nihw,oi->nohw", part, weight[:, :, row, column])
        return total

    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    deviation = ((x - mean).square().mean(dim=(0, 2, 3), keepdim=True) + 1e-5).sqrt()
    hidden = convolution(layer.shared[0], planes).clamp(min=0)
    return (x - mean) / deviation * (1 + convolution(layer.gain, hidden)) + convolution(layer.bias, hidden)


def test_the_norm_is_its_formula():
    torch.manual_seed(0)
    layer, x, planes = SPADE(5, 3, 4), torch.randn(2, 5, 6, 7) * 3 + 1, torch.randn(2, 3, 6, 7)
    torch.testing.assert_close(layer(x, planes), spade_by_formula(layer, x, planes).float(), rtol=1e-4, atol=1e-4)
    assert layer.norm.weight is None
    # the same everywhere, and no gain and bias: batch norm alone
    for conv in (layer.gain, layer.bias):
        nn.init.zeros_(conv.weight)
        nn.init.zeros_(conv.bias)
    torch.testing.assert_close(layer(x, planes), F.batch_norm(x, None, None, training=True))


@pytest.mark.parametrize("outputs", [6, 4])
def test_a_block_by_its_formula_before_spectral_norm(outputs):
    torch.manual_seed(0)
    block, x, planes = SPADEBlock(6, outputs, 3, 4).eval(), torch.randn(2, 6, 8, 8), torch.randn(2, 3, 8, 8)
    y = block.convolutions[0](F.leaky_relu(block.norms[0](x, planes), 0.2))
    y = block.convolutions[1](F.leaky_relu(block.norms[1](y, planes), 0.2))
    shortcut = x if outputs == 6 else block.shortcut(block.shortcut_norm(x, planes))  # without an activation
    torch.testing.assert_close(block(x, planes), y + shortcut)
    assert block.convolutions[0].out_channels == min(6, outputs)
    assert outputs == 6 or block.shortcut.bias is None


def test_spectral_norm_is_on_the_convolutions_of_blocks_alone():
    net = SPADEGenerator(**SMALL, style_dim=5, image_size=64, encoder=SPADEEncoder(5, 3, 16, 2))
    normed = {name for name, module in net.named_modules() if hasattr(module, "parametrizations")}
    assert all("convolutions" in name or "shortcut" in name or name.startswith("encoder.net") for name in normed)
    assert "blocks.3.shortcut" in normed
    assert not hasattr(net.to_image, "parametrizations")
    assert not hasattr(net.blocks[0].norms[0].gain, "parametrizations")
    assert len(normed) == 7 * 2 + 4 + 2


@pytest.mark.parametrize(("doublings", "blocks"), [(5, 7), (6, 7), (7, 8)])
def test_sizes_of_all_blocks(doublings, blocks):
    net, seen = SPADEGenerator(**SMALL, doublings=doublings).eval(), []
    for block in net.blocks:
        block.register_forward_hook(lambda _, args, out: seen.append((args[0].shape[2], args[1].shape[2])))
    side = 2**doublings
    assert net(maps(1, side, 2 * side)).shape == (1, 3, side, 2 * side)
    assert all(x == planes for x, planes in seen)
    ups = {5: [1, 2, 2, 4, 8, 16, 32], 6: [1, 2, 4, 8, 16, 32, 64], 7: [1, 2, 4, 8, 16, 32, 64, 128]}
    assert [x for x, _ in seen] == ups[doublings]
    assert len(net.blocks) == blocks
    with pytest.raises(ValueError, match=f"at least {side} and multiples of {side}"):
        net(maps(1, side, side + 8))


def test_styles_start_the_image_and_examples_give_their_mean():
    torch.manual_seed(0)
    net = SPADEGenerator(**SMALL, style_dim=5, image_size=[64, 96], encoder=SPADEEncoder(5, 3, 16, 2)).eval()
    source, z = maps(), torch.randn(2, 5)
    assert net.start_size == (2, 3)
    assert not torch.allclose(net(source, z)[0], net(source, -z)[0], atol=1e-7)
    assert net(maps(1, 96, 32), z[:1]).shape == (1, 3, 96, 32)
    examples = torch.rand(2, 3, 30, 50) * 2 - 1
    assert torch.equal(net.encode_style(examples), net.encoder(examples)[0])
    with pytest.raises(ValueError, match=r"takes styles of shape \(N, 5\)"):
        net(source)
    with pytest.raises(ValueError, match="cannot be halved 5 times"):
        SPADEGenerator(**SMALL, style_dim=5, image_size=48)
    with pytest.raises(ValueError, match="makes styles of 4 components, and the generator takes 5"):
        SPADEGenerator(**SMALL, style_dim=5, encoder=SPADEEncoder(4, 3, 16, 2))


def test_an_encoder_resizes_what_is_not_of_its_size():
    torch.manual_seed(0)
    encoder = SPADEEncoder(5, 3, 16, 2).eval()
    images = torch.rand(2, 3, 32, 40)
    resized = F.interpolate(images, (16, 16), mode="bilinear")
    assert all(map(torch.equal, encoder(images), encoder(resized)))
    with pytest.raises(ValueError, match="image_size=24 cannot be halved down to 4"):
        SPADEEncoder(image_size=24)
