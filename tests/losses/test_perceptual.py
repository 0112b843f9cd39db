"""Perceptual losses: by hand, with gradients to the images alone, and with the network out of sight."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from gan_lightning.extractors.efficientnet import EfficientNetLite0
from gan_lightning.losses import (
    DomainInvariantLoss,
    EfficientNetLoss,
    FeatureLoss,
    VGG19Loss,
    VGGFaceLoss,
    gram_distance,
)
from gan_lightning.recording import Network, describe, rebuild

VGG19_FILE = "vgg19-dcbb9e9d.pth"


class Tiny(Network):
    """Weights that its constructor makes the same each time; ReLUs that write over what they are given."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net = nn.Sequential(
                OrderedDict(
                    first=nn.Conv2d(3, channels, 3), act=nn.ReLU(inplace=True), second=nn.Conv2d(channels, 5, 3, 2)
                )
            )

    def forward(self, images):
        return self.net(images)


@pytest.fixture(scope="module")
def vgg19(tmp_path_factory) -> Path:
    """A file of random weights in torchvision's layout."""
    path = tmp_path_factory.mktemp("weights") / VGG19_FILE
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision.models.vgg19(weights=None, init_weights=False).features
        for layer in network:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
    torch.save({f"features.{name}": value for name, value in network.state_dict().items()}, path)
    return path


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.delenv("GAN_LIGHTNING_VGG19", raising=False)


def images(seed, size=32, channels=3):
    return torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("distance", ["l1", "mse"])
def test_it_is_the_weighted_sum_of_distances_of_features_before_what_runs_in_place(distance):
    loss = FeatureLoss(Tiny(), {"net.first": 2.0, "net.second": 0.5}, distance, mean=(0.1,), std=(2.0,))
    x, y, net = images(0), images(1), Tiny().net
    expected = 0.0
    for weight, layers in ((2.0, net[:1]), (0.5, net)):
        difference = layers((x - 0.1) / 2) - layers((y - 0.1) / 2)
        expected += weight * (difference.abs() if distance == "l1" else difference.square()).mean().item()
    assert loss(x, y).item() == pytest.approx(expected, rel=1e-5)
    assert loss(x, x).item() == 0
    assert loss(x.bfloat16(), y).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(x, y).item() == pytest.approx(expected, rel=1e-5)


def test_the_domain_invariant_loss_compares_features_without_their_means_and_deviations():
    plain = FeatureLoss(Tiny(), {"net.first": 2.0, "net.second": 0.5}, "mse")
    loss, x, y, net = DomainInvariantLoss(plain), images(0), images(1), Tiny().net
    expected = 0.0
    for weight, layers in ((2.0, net[:1]), (0.5, net)):
        a, b = (layers(each) for each in (x, y))
        a, b = (
            (f - f.mean((2, 3), keepdim=True)) / (f.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
            for f in (a, b)
        )
        expected += weight * (a - b).square().mean().item()
    assert loss(x, y).item() == pytest.approx(expected, rel=1e-4)
    assert plain(x, y).item() != pytest.approx(expected, rel=1e-2)  # the loss that it was made from is as it was
    again = rebuild(describe(loss), ("gan_lightning", __name__))
    assert again(x, y).item() == loss(x, y).item()
    assert not [*loss.parameters()]


def test_gradients_reach_what_was_made_and_nothing_else():
    network = Tiny()
    loss, made, target = FeatureLoss(network, {"net.second": 1.0}), images(0).requires_grad_(), images(1)
    target.requires_grad_()
    loss(made, target).backward()
    assert made.grad.abs().sum() > 0
    assert target.grad is None
    assert not any(p.requires_grad or p.grad is not None for p in network.parameters())


def test_the_network_is_no_part_of_what_holds_the_loss():
    holder = nn.Sequential(nn.Linear(1, 1), FeatureLoss(Tiny(), {"net.second": 1.0}))
    holder[1](images(0), images(1))
    holder.train()
    assert list(holder.state_dict()) == ["0.weight", "0.bias"]
    assert len(list(holder.parameters())) == 2
    assert not any(module.training for module in holder[1]._loaded[0].modules())


def test_it_is_recorded_in_plain_data():
    loss = FeatureLoss(Tiny(3), {"net.second": 0.5}, "mse", std=(2.0,))
    again = rebuild(describe(loss), ("gan_lightning", __name__))
    assert again(images(0), images(1)).item() == loss(images(0), images(1)).item()
    vgg = rebuild(describe(VGG19Loss({"conv5_4": 2.0}, "mse")), ("gan_lightning",))
    assert (vgg.layers, vgg.distance) == ({"conv5_4": 2.0}, "mse")


def test_vgg19_layers_are_named_as_in_the_papers(vgg19, monkeypatch):
    monkeypatch.setenv("GAN_LIGHTNING_VGG19", str(vgg19))
    x = images(0)
    network = torchvision.models.vgg19(weights=None, init_weights=False).features
    network.load_state_dict({k.removeprefix("features."): v for k, v in torch.load(vgg19).items()})
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    ends = {"relu1_1": 2, "relu2_1": 7, "relu3_1": 12, "relu4_1": 21, "conv5_4": 35, "relu5_4": 36}
    loss = VGG19Loss(dict.fromkeys(ends, 1.0))
    loss.load()
    with torch.no_grad():
        for features, end in zip(loss._loaded[0](x), ends.values(), strict=True):
            target = network[:end](((x + 1) / 2 - mean) / std)
            # up to 16 sums of up to 512 · 9 products, each in an order of its own: 16 · √4608 · 6e-8
            assert (features - target).norm() < 1e-4 * target.norm()
    grey = images(0, channels=1)
    assert VGG19Loss({"relu1_1": 1.0})(grey, grey.expand(-1, 3, -1, -1)).item() == 0


def test_images_that_are_too_small_for_the_layer_are_refused(vgg19):
    loss = VGG19Loss({"relu5_4": 1.0}, weights=vgg19)
    assert loss(images(0, 16), images(1, 16)).isfinite()
    with pytest.raises(ValueError, match="at least 16x16 pixels, and these are of 15x15"):
        loss(images(0, 15), images(1, 15))


def test_weights_are_missed_when_they_are_needed_and_not_before():
    loss = VGG19Loss({"relu5_4": 1.0})
    with pytest.raises(FileNotFoundError, match=rf"{VGG19_FILE}.*GAN_LIGHTNING_VGG19.*download: true"):
        loss.load()


def test_layers_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match=r"VGG19 has no layers \['relu6_1'\]: choose of conv1_1, relu1_1,"):
        VGG19Loss({"relu6_1": 1.0})
    with pytest.raises(ValueError, match="compares layers by positive weights"):
        VGG19Loss({})
    with pytest.raises(ValueError, match="third"):
        FeatureLoss(Tiny(), {"third": 1.0}).load()


# ------------------------------------------------------------------ styles, and EfficientNet


def test_the_distance_of_styles_is_that_of_gram_matrices():
    x, y = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 6, 2)  # of any two sizes
    expected = 0.0
    for one, other in zip(x, y, strict=True):
        for i in range(3):
            for j in range(3):
                a = float((one[i] * one[j]).sum()) / (3 * 4 * 5)
                b = float((other[i] * other[j]).sum()) / (3 * 6 * 2)
                expected += (a - b) ** 2 / 2  # the mean over two images
    assert gram_distance(x, y).item() == pytest.approx(expected, rel=1e-5)
    moved = x.roll((1, 2), dims=(2, 3))  # the place makes no difference
    assert gram_distance(x, moved).item() == pytest.approx(0, abs=1e-10)


def test_a_perceptual_loss_may_compare_styles():
    loss, x, y = FeatureLoss(Tiny(), {"net.first": 2.0}, "gram"), images(0), images(1)
    assert loss(x, y).item() == pytest.approx(2 * gram_distance(Tiny().net[:1](x), Tiny().net[:1](y)).item(), rel=1e-5)
    assert rebuild(describe(loss), ("gan_lightning", __name__)).distance == "gram"


def test_efficientnets_layers_by_their_names():
    names = ["stem", *(f"block{number}" for number in range(16))]
    loss = EfficientNetLoss(dict.fromkeys(names, 1.0))
    loss.load()
    channels = [32, 16, 24, 24, 40, 40, *[80] * 3, *[112] * 3, *[192] * 4, 320]
    sides = [16, 16, 8, 8, 4, 4, *[2] * 6, *[1] * 5]
    shapes = [tuple(features.shape) for features in loss._loaded[0](images(0))]
    assert shapes == [(2, c, side, side) for c, side in zip(channels, sides, strict=True)]


def test_efficientnet_sees_its_own_range_and_gives_gradients():
    x, y = images(0).requires_grad_(), images(1)
    loss = EfficientNetLoss({"stem": 1.0})(x, y)
    network = EfficientNetLite0().network
    pixels = [(image.detach() + 1) * 127.5 for image in (x, y)]
    first, second = (network._swish(network._bn0(network._conv_stem((p - 127) / 128))) for p in pixels)
    assert loss.item() == pytest.approx((first - second).abs().mean().item(), rel=1e-4)
    loss.backward()
    assert x.grad.abs().sum() > 0
    with pytest.raises(ValueError, match=r"EfficientNet-Lite0 has no layers \['block16'\]: choose of stem, block0,"):
        EfficientNetLoss({"block16": 1.0})
    with pytest.raises(ValueError, match="at least 8x8 pixels"):
        EfficientNetLoss({"block4": 1.0})(images(0, 7), images(1, 7))


def test_vgg_face_sees_levels_of_255_less_its_mean_and_names_its_weights(tmp_path, monkeypatch):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision.models.vgg16(weights=None, init_weights=False).features
    names = [f"conv{block}_{n}" for block, depth in enumerate((2, 2, 3, 3, 3), 1) for n in range(1, depth + 1)]
    convolutions = [layer for layer in network if isinstance(layer, nn.Conv2d)]
    state = {
        f"{name}.{kind}": value
        for name, layer in zip(names, convolutions, strict=True)
        for kind, value in layer.state_dict().items()
    }
    torch.save(state | {"fc6.weight": torch.zeros(2, 2)}, tmp_path / "vgg_face_dag.pth")
    monkeypatch.delenv("GAN_LIGHTNING_VGGFACE", raising=False)
    loss = VGGFaceLoss({"relu1_1": 2.0, "conv2_1": 1.0})
    with pytest.raises(FileNotFoundError, match="GAN_LIGHTNING_VGGFACE"):
        loss.load()
    monkeypatch.setenv("GAN_LIGHTNING_VGGFACE", str(tmp_path / "vgg_face_dag.pth"))
    x, y = images(0), images(1)
    mean = torch.tensor([129.1863, 104.7624, 93.5940]).view(3, 1, 1)
    levels = [(image + 1) * 127.5 - mean for image in (x, y)]
    with torch.no_grad():
        first, second = ([network[:2](each), network[:6](each)] for each in levels)
        expected = 2 * (first[0] - second[0]).abs().mean() + (first[1] - second[1]).abs().mean()
    torch.testing.assert_close(loss(x, y), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="no layers"):
        VGGFaceLoss({"relu3_4": 1.0})
    torch.save({"conv1_1.weight": torch.zeros(1)}, tmp_path / "vgg_face_dag.pth")
    with pytest.raises(ValueError, match="does not hold the weights"):
        VGGFaceLoss({"relu1_1": 1.0}).load()
