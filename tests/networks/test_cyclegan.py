import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.networks.cyclegan import ResNetGenerator


@pytest.mark.parametrize(("height", "width"), [(8, 8), (32, 32), (20, 44)])
def test_any_multiple_of_four_comes_back_in_its_own_size(height, width):
    out = ResNetGenerator(2, 5, width=4, blocks=1)(5 * torch.randn(1, 2, height, width))
    assert out.shape == (1, 5, height, width)
    assert 0 < out.abs().max() <= 1


@pytest.mark.parametrize("size", [(30, 32), (32, 33), (4, 32)])
def test_sizes_that_cannot_be(size):
    with pytest.raises(ValueError, match="at least 8 and multiples of 4"):
        ResNetGenerator(width=4, blocks=1)(torch.randn(1, 3, *size))


def test_borders_are_reflected():
    net = ResNetGenerator(width=4, blocks=1)
    first, source = net.net[0], torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(
        first(source), F.conv2d(F.pad(source, (3, 3, 3, 3), "reflect"), first.weight, first.bias)
    )
    reflected = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.padding_mode == "reflect"]
    assert [m.kernel_size[0] for m in reflected] == [7, 3, 3, 7]


def test_a_block_adds_to_its_input_and_has_no_relu_after():
    block = ResNetGenerator(width=4, blocks=1).net[9]
    x = torch.randn(2, 16, 6, 8)
    conv1, norm1, relu, conv2, norm2 = block.net
    torch.testing.assert_close(block(x), x + norm2(conv2(relu(norm1(conv1(x))))))
    assert (block(x) < 0).any()


def test_training_and_evaluation_agree():
    net = ResNetGenerator(width=4, blocks=2)
    source = torch.randn(2, 3, 16, 16)
    assert torch.equal(net(source), net.eval()(source))
    assert not list(net.buffers())


def test_initial_weights():
    torch.manual_seed(0)
    for conv in ResNetGenerator(blocks=1).modules():
        if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
            assert conv.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert not conv.bias.any()


# ------------------------------------------------------------------ antialiased, and looked inside (CUT)


def test_antialiased_sizes_are_halved_by_blurs_and_doubled_by_interpolation():
    net = ResNetGenerator(2, 5, width=4, blocks=1, antialias=True)
    assert net(torch.randn(1, 2, 20, 44)).shape == (1, 5, 20, 44)
    assert not [m for m in net.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert {m.stride for m in net.modules() if isinstance(m, nn.Conv2d)} == {(1, 1)}
    names = [type(m).__name__ for m in net.net]
    assert names[3:7] == names[7:11] == ["Conv2d", "InstanceNorm2d", "ReLU", "BlurDownsample"]
    assert names[12:16] == names[16:20] == ["Upsample", "Conv2d", "InstanceNorm2d", "ReLU"]


def test_the_layers_that_cut_looks_at_are_the_published_ones():
    """Numbered by the authors: the image, both convolutions on the way down before their norm, blocks 1 and 5."""
    with torch.device("meta"):
        net, images = ResNetGenerator(antialias=True), torch.empty(1, 3, 256, 256)
        maps = net.features(images, (0, 4, 8, 12, 16))
    assert [tuple(x.shape[1:]) for x in maps] == [
        (3, 256, 256),
        (128, 256, 256),
        (256, 128, 128),
        (256, 64, 64),
        (256, 64, 64),
    ]
    assert [type(net.net[layer - 1]).__name__ for layer in (4, 8, 12, 16)] == [
        "Conv2d",
        "Conv2d",
        *["ResidualBlock"] * 2,
    ]
    assert type(net.net[10]).__name__ == "BlurDownsample"  # so that 12 is the first block


@pytest.mark.parametrize("antialias", [False, True])
def test_every_layer_can_be_looked_at_and_is_what_the_forward_pass_has(antialias):
    net, images = ResNetGenerator(2, 5, width=4, blocks=2, antialias=antialias), torch.randn(2, 2, 16, 16)
    layers = range(len(net.net) + 1)
    shown = net.features(images, layers)
    x = images
    for layer in layers:
        torch.testing.assert_close(shown[layer], x)  # and not what a later ReLU in place made of it
        x = net.net[layer](x.clone()) if layer < len(net.net) else x
    torch.testing.assert_close(shown[-1], net(images))
    assert net.feature_channels(layers) == [x.shape[1] for x in shown]
    again = net.features(images, (7, 0, 7))
    assert all(torch.equal(x, shown[layer]) for x, layer in zip(again, (7, 0, 7), strict=True))


def test_no_layer_behind_the_last_is_run():
    net, run = ResNetGenerator(width=4, blocks=1), []
    for layer, module in enumerate(net.net, start=1):
        module.register_forward_hook(lambda *_, layer=layer: run.append(layer))
    net.features(torch.randn(1, 3, 16, 16), (0, 4))
    assert run == [1, 2, 3, 4]


def test_a_layer_that_is_not_there():
    with pytest.raises(ValueError, match=r"the layers 0 to 18, and not \[19\]"):
        ResNetGenerator(width=4, blocks=1).feature_channels([4, 19])


def test_it_says_what_sides_it_takes():
    net = ResNetGenerator(width=4, blocks=1, antialias=True)
    assert net(torch.randn(1, 3, net.minimum, net.minimum + net.multiple)).shape == (1, 3, 8, 12)
