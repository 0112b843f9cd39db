import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.networks.resnet import ResidualDiscriminator, ResidualGenerator


@pytest.mark.parametrize(("image_size", "channels"), [(16, 1), (32, 3), (64, 4)])
def test_shapes_and_range(image_size, channels):
    images = ResidualGenerator(6, image_size, channels, width=8)(10 * torch.randn(2, 6))
    assert images.shape == (2, channels, image_size, image_size)
    assert 0 < images.abs().max() <= 1
    discriminator = ResidualDiscriminator(image_size, channels, width=8)
    assert discriminator(images).shape == (2,)
    assert discriminator.blocks(images).shape == (2, 8, 8, 8)


def test_no_norm_in_the_critic():
    net = ResidualDiscriminator(width=8)
    assert {type(m) for m in net.modules() if not list(m.children())} <= {
        nn.Conv2d,
        nn.AvgPool2d,
        nn.Identity,
        nn.Linear,
    }
    images = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(net(images)[:1], net(images[:1]))


def test_features_are_averaged_over_positions():
    net = ResidualDiscriminator(width=8)
    images = torch.randn(2, 3, 32, 32)
    features = net.blocks(images).clamp(min=0)
    torch.testing.assert_close(net(images), features.flatten(2).mean(2) @ net.head.weight[0] + net.head.bias)


def test_initial_weights():
    torch.manual_seed(0)
    g, d = ResidualGenerator(), ResidualDiscriminator()
    for block in (g.blocks[0], g.blocks[2], d.blocks[1]):
        for conv in (block.conv1, block.conv2):
            assert conv.weight.var().item() == pytest.approx(4 / (2 * 128 * 9), rel=0.02)
        assert block.shortcut.weight.var().item() == pytest.approx(2 / (2 * 128), rel=0.05)
    assert d.blocks[0].conv1.weight.var().item() == pytest.approx(4 / (131 * 9), rel=0.05)
    assert g.input.weight.var().item() == pytest.approx(2 / (128 + 2048), rel=0.02)
    assert g.output.weight.var().item() == pytest.approx(2 / (131 * 9), rel=0.1)
    assert d.head.weight.abs().max().item() <= (6 / 129) ** 0.5
    assert all(not p.any() for net in (g, d) for name, p in net.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize("network", [ResidualGenerator, ResidualDiscriminator])
def test_sizes_that_cannot_be(network):
    with pytest.raises(ValueError, match="power of two from 16 to 8192, not 48"):
        network(image_size=48)


def test_generator_is_the_papers():
    net = ResidualGenerator(6, 16, channels=2, width=8)
    z = torch.randn(4, 6)
    h = (z @ net.input.weight.T + net.input.bias).view(4, 8, 4, 4)
    for block in net.blocks:
        h = block(h)
    h = torch.relu(F.batch_norm(h, None, None, training=True))
    torch.testing.assert_close(net(z), torch.tanh(F.conv2d(h, net.output.weight, net.output.bias, padding=1)))
