"""AC-GAN's networks: the paper's table, and a classifier on any discriminator's features."""

import pytest
import torch
from torch import nn

from gan_lightning.networks import ACGANDiscriminator, ACGANGenerator, DCGANDiscriminator, SNResidualDiscriminator
from gan_lightning.networks.acgan import AuxiliaryClassifier


def test_the_generator_is_the_papers_table():
    net = ACGANGenerator()
    assert (net.net[0].in_features, net.net[0].out_features) == (110, 384 * 4 * 4)
    layers = [m for m in net.net if isinstance(m, nn.ConvTranspose2d)]
    assert [(m.in_channels, m.out_channels) for m in layers] == [(384, 192), (192, 96), (96, 3)]
    assert {(m.kernel_size, m.stride) for m in layers} == {((5, 5), (2, 2))}
    assert [m.num_features for m in net.net if isinstance(m, nn.BatchNorm2d)] == [192, 96]


def test_the_discriminator_is_the_papers_table():
    net = ACGANDiscriminator()
    layers = [(m.out_channels, m.stride[0]) for m in net.net if isinstance(m, nn.Conv2d)]
    assert layers == [(16, 2), (32, 1), (64, 2), (128, 1), (256, 2), (512, 1)]
    assert {m.kernel_size for m in net.net if isinstance(m, nn.Conv2d)} == {(3, 3)}
    assert [m.num_features for m in net.net if isinstance(m, nn.BatchNorm2d)] == [32, 64, 128, 256, 512]
    assert [m.p for m in net.net if isinstance(m, nn.Dropout)] == [0.5] * 6
    assert {m.negative_slope for m in net.net if isinstance(m, nn.LeakyReLU)} == {0.2}
    assert net.features(torch.zeros(1, 3, 32, 32)).shape == (1, 512 * 4 * 4)


@pytest.mark.parametrize(("image_size", "channels"), [(16, 1), (32, 3), (64, 4)])
def test_shapes_and_range(image_size, channels):
    sizes = {"image_size": image_size, "channels": channels, "width": 4}
    images = ACGANGenerator(6, **sizes, num_classes=3)(10 * torch.randn(2, 6), torch.tensor([0, 2]))
    assert images.shape == (2, channels, image_size, image_size)
    assert 0 < images.abs().max() <= 1
    assert ACGANDiscriminator(**sizes)(images).shape == (2,)


@pytest.mark.parametrize("network", [ACGANDiscriminator, DCGANDiscriminator, SNResidualDiscriminator])
def test_a_classifier_on_any_discriminators_features(network):
    judge = network(image_size=16, channels=1, width=4)
    net = AuxiliaryClassifier(judge, num_classes=5).eval()
    images = torch.randn(3, 1, 16, 16)
    (logits,), ((features,),), class_logits = net(images, with_features=True)
    assert torch.equal(logits, judge(images))
    assert class_logits.shape == (3, 5)
    torch.testing.assert_close(
        class_logits, judge.features(images) @ net.classifier.weight.T + net.classifier.bias, rtol=1e-4, atol=1e-6
    )
    assert torch.equal(features, judge.features(images))
    assert net(images, with_features=True, with_logits=False).logits == ()
    assert net.num_features == judge.num_features


@pytest.mark.parametrize("network", [ACGANGenerator, ACGANDiscriminator])
def test_sizes_that_cannot_be(network):
    with pytest.raises(ValueError, match="power of two from 16 to 8192, not 48"):
        network(image_size=48)
