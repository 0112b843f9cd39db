import pytest
import torch
from torch import nn

from gan_lightning.networks.patchgan import PatchGAN


@pytest.mark.parametrize(
    ("receptive_field", "antialias", "seen_side"),
    [
        *[(field, False, field) for field in (1, 16, 34, 70, 142, 286)],
        *[(1, True, 1), (16, True, 18), (34, True, 40), (70, True, 84), (142, True, 172), (286, True, 348)],
    ],
)
def test_a_logit_sees_a_square_of_just_that_size(receptive_field, antialias, seen_side):
    net = PatchGAN(1, width=2, receptive_field=receptive_field, norm="none", antialias=antialias).double()
    for p in net.parameters():
        nn.init.uniform_(p, 0.01, 1)  # nothing cancels
    size = 160 if receptive_field < 100 else 512
    images = torch.ones(1, 1, size, size, dtype=torch.double, requires_grad=True)
    logits = net(images)
    row, column = logits.shape[2] // 2, logits.shape[3] // 2
    (seen,) = torch.autograd.grad(logits[0, 0, row, column], images)
    for axis in (0, 1):
        touched = seen[0, 0].any(dim=axis).nonzero()
        assert touched.min() > 0 or receptive_field == 1  # not cut off by the border
        assert touched.max() - touched.min() + 1 == seen_side


@pytest.mark.parametrize(("receptive_field", "side"), [(1, 256), (16, 126), (34, 62), (70, 30), (142, 14), (286, 6)])
@pytest.mark.parametrize("antialias", [False, True])
def test_maps_of_256_pixels(receptive_field, side, antialias):
    with torch.device("meta"):
        net = PatchGAN(3, receptive_field=receptive_field, antialias=antialias)
        assert net(torch.empty(1, 3, 256, 256)).shape == (1, 1, side, side)
        assert net(torch.empty(2, 3, 512, 256)).shape[2:] > (side, side)


@pytest.mark.parametrize(("receptive_field", "minimum"), [(1, 1), (16, 6), (34, 12), (70, 24), (142, 48), (286, 96)])
@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("antialias", [False, True])
def test_smallest_images(receptive_field, minimum, norm, antialias):
    net = PatchGAN(2, width=2, receptive_field=receptive_field, norm=norm, antialias=antialias)
    if not (receptive_field == 1 and norm == "instance"):  # one pixel alone has no statistics
        assert net(torch.randn(2, 2, minimum, minimum + 1)).shape[2] == 1
    with pytest.raises(ValueError, match=f"at least {minimum}"):
        net(torch.randn(2, 2, minimum, minimum - 1))


def test_no_norm_at_the_image_and_the_logits_and_no_bias_under_batch_norm():
    layers = list(PatchGAN(width=2).net)
    assert [type(m) for m in layers[:2]] == [nn.Conv2d, nn.LeakyReLU]
    assert [type(m) for m in layers[-2:]] == [nn.LeakyReLU, nn.Conv2d]
    convs = [m for m in layers if isinstance(m, nn.Conv2d)]
    assert [m.bias is not None for m in convs] == [True, False, False, False, True]
    assert [m.stride[0] for m in convs] == [2, 2, 2, 1, 1]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in layers) == 3


def test_initial_weights():
    torch.manual_seed(0)
    for conv in PatchGAN().net:
        if isinstance(conv, nn.Conv2d):
            assert conv.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_a_field_that_cannot_be():
    with pytest.raises(ValueError, match="receptive_field must be 1, 16, 34, 70, 142 or 286 pixels, not 71"):
        PatchGAN(receptive_field=71)


def test_antialiased_a_blur_stands_for_each_stride():
    layers = list(PatchGAN(width=2, antialias=True).net)
    names = [type(m).__name__ for m in layers]
    assert [m.stride[0] for m in layers if isinstance(m, nn.Conv2d)] == [1] * 5
    assert names.count("BlurDownsample") == 3
    assert names[:3] == ["Conv2d", "LeakyReLU", "BlurDownsample"]
    assert names[3:7] == ["Conv2d", "BatchNorm2d", "LeakyReLU", "BlurDownsample"]


@pytest.mark.parametrize(("receptive_field", "side"), [(16, 131), (34, 67), (70, 35), (142, 19), (286, 11)])
def test_maps_with_pix2pix_hds_wider_border(receptive_field, side):
    with torch.device("meta"):
        net = PatchGAN(3, receptive_field=receptive_field, norm="instance", padding=2)
        assert net(torch.empty(1, 3, 256, 256)).shape == (1, 1, side, side)
    small = PatchGAN(3, width=2, receptive_field=receptive_field, norm="instance", padding=2)
    assert small(torch.randn(1, 3, 2, 2)).isfinite().all()
    with pytest.raises(ValueError, match="at least 2"):
        small(torch.randn(1, 3, 2, 1))


@pytest.mark.parametrize("antialias", [False, True])
def test_features_are_those_after_each_activation_and_cost_no_logits(antialias):
    torch.manual_seed(0)
    net, images = (
        PatchGAN(2, width=2, receptive_field=34, norm="instance", antialias=antialias),
        torch.randn(3, 2, 32, 32),
    )
    expected, x = [], images
    for layer in net.net:
        x = layer(x)
        if isinstance(layer, nn.LeakyReLU):
            expected.append(x)
    both = net(images, with_features=True)
    assert torch.equal(both.logits[0], net(images))
    (features,) = both.features
    assert len(features) == 3
    assert all(map(torch.equal, features, expected))
    calls = []
    net.net[-1].register_forward_hook(lambda *_: calls.append(1))
    alone = net(images, with_features=True, with_logits=False)
    assert not calls
    assert not alone.logits
    assert all(map(torch.equal, alone.features[0], expected))


def test_spectral_norm_of_the_middle_convolutions_alone():
    torch.manual_seed(0)
    net = PatchGAN(3, width=8, receptive_field=34, norm="instance", spectral=True)
    for _ in range(50):
        net(torch.randn(1, 3, 32, 32))
    first, *middle, last = [m for m in net.net if isinstance(m, nn.Conv2d)]
    assert all(torch.linalg.matrix_norm(m.weight.flatten(1), 2).item() == pytest.approx(1, rel=0.02) for m in middle)
    assert [m.bias is None for m in (first, *middle, last)] == [False, True, True, False]
    assert not hasattr(first, "parametrizations")
    assert not hasattr(last, "parametrizations")
