"""Discriminators of several sizes: published sizes, their inputs, features, and any discriminator for each."""

from functools import partial

import pytest
import torch
from torch import nn

from gan_lightning.networks import MultiScale, PatchGAN
from gan_lightning.recording import describe, rebuild
from networks.test_every_network import count, from_yaml

HD = partial(PatchGAN, in_channels=39, norm="instance", padding=2)
SPADE = partial(PatchGAN, norm="instance", padding=2, spectral=True, init="xavier")


@pytest.mark.parametrize(
    ("discriminator", "scales", "expected"),
    [
        (HD, 2, 5_603_202),
        (HD, 3, 8_404_803),
        (partial(SPADE, in_channels=151 + 3), 2, 5_836_930),  # 5.84 million for ADE20K
        (partial(SPADE, in_channels=184 + 3), 2, 5_904_514),  # 5.90 million for COCO-Stuff
        (partial(SPADE, in_channels=36 + 3), 2, 5_601_410),  # 5.60 million for Cityscapes, of 36 planes and an edge
    ],
)
def test_published_parameter_counts(discriminator, scales, expected):
    with torch.device("meta"):
        assert count(MultiScale(discriminator, scales)) == expected


def test_the_narrower_second_scale_of_bicycle_gan():
    with torch.device("meta"):
        net = MultiScale(partial(PatchGAN, in_channels=3, norm="instance"), scales=2, widths=[64, 32])
    assert count(net) == 3_458_978
    with pytest.raises(ValueError, match="are not one number for each of 2 scales"):
        MultiScale(scales=2, widths=[64])


class Mean(nn.Module):
    """A discriminator that shows its input."""

    def __init__(self, in_channels=1):
        super().__init__()
        self.in_channels = in_channels

    def forward(self, images, *conditions):
        self.seen = images, conditions
        return images.mean(dim=(1, 2, 3))


def test_each_scale_sees_means_of_three_by_three_pixels_without_the_border():
    net = MultiScale(Mean, scales=3)
    image = torch.arange(25.0).view(1, 1, 5, 5) / 25
    label = torch.tensor([3])
    logits = net(image, label).logits
    half = net.scales[1].seen[0]
    assert half.shape == (1, 1, 3, 3)
    assert half[0, 0, 0, 0].item() == pytest.approx((0 + 1 + 5 + 6) / 4 / 25)  # four pixels at a corner
    assert half[0, 0, 1, 1].item() == pytest.approx(12 / 25)  # the mean of the nine around the middle
    assert net.scales[2].seen[0].shape == (1, 1, 2, 2)
    assert all(scale.seen[1] == (label,) for scale in net.scales)
    assert [each.shape for each in logits] == [(1,)] * 3


def test_features_of_each_scale():
    torch.manual_seed(0)
    net = MultiScale(partial(PatchGAN, in_channels=2, width=4, receptive_field=34, norm="instance", padding=2), 2)
    images = torch.randn(3, 2, 20, 24)
    plain = net(images)
    assert [tuple(x.shape) for x in plain.logits] == [(3, 1, 8, 9), (3, 1, 6, 6)]
    assert not plain.features
    both = net(images, with_features=True)
    assert all(map(torch.equal, both.logits, plain.logits))
    assert [[x.shape[1] for x in layers] for layers in both.features] == [[4, 8, 16]] * 2
    (alone,) = net.scales[0](images, with_features=True).features
    assert all(map(torch.equal, both.features[0], alone))
    assert not net(images, with_features=True, with_logits=False).logits


@pytest.mark.parametrize("padding", [1, 2])
def test_smallest_images(padding):
    net = MultiScale(partial(PatchGAN, in_channels=1, width=2, receptive_field=16, norm="none", padding=padding), 3)
    assert net.minimum == {1: 21, 2: 5}[padding]
    net(torch.randn(1, 1, net.minimum, net.minimum))
    with pytest.raises(ValueError, match=f"at least {net.minimum}, not"):
        net(torch.randn(1, 1, net.minimum - 1, 64))


def test_weights_are_each_scales_own():
    net = MultiScale(partial(PatchGAN, width=2), scales=2)
    assert not {*map(id, net.scales[0].parameters())} & {*map(id, net.scales[1].parameters())}
    assert not torch.equal(*(scale.net[0].weight for scale in net.scales))


def test_from_yaml_and_in_checkpoints():
    how = {"in_channels": 2, "width": 4, "norm": "instance", "padding": 2, "receptive_field": 34}
    given = {"class_path": "gan_lightning.networks.PatchGAN", "init_args": how}
    built = from_yaml("gan_lightning.networks.MultiScale", {"discriminator": given, "scales": 2})
    direct = MultiScale(partial(PatchGAN, **how), scales=2)
    assert count(built) == count(direct)
    again = rebuild(describe(built), ("gan_lightning",))
    assert repr(again) == repr(direct)
    assert describe(again) == describe(built)
    narrower = from_yaml("gan_lightning.networks.MultiScale", {"discriminator": given, "scales": 2, "widths": [4, 2]})
    assert count(rebuild(describe(narrower), ("gan_lightning",))) == count(narrower) < count(built)
