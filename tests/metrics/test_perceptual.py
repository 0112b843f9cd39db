from collections import OrderedDict

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torchmetrics.functional.image.lpips import _NoTrainLpips

from gan_lightning.data.images import to_float
from gan_lightning.metrics.base import TooFewSamplesError
from gan_lightning.metrics.perceptual import LPIPS, LPIPSDiversity, PerceptualDistance

FILES = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth", "squeeze": "squeezenet1_1-b8a52dc0.pth"}
VARIABLES = {"alex": "ALEXNET", "vgg": "VGG16", "squeeze": "SQUEEZENET1_1"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Torch hub's folder with random convolutions under the names of torchvision's files."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "checkpoints").mkdir()
    for net, name in FILES.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            backbone = _NoTrainLpips(net=net, pnet_rand=True, pretrained=False).net
        state = {"features." + ".".join(key.split(".")[-2:]): value for key, value in backbone.state_dict().items()}
        if net == "squeeze":  # slices.0.0.weight, slices.1.3.squeeze.weight
            state = {"features." + key.split(".", 2)[2]: value for key, value in backbone.state_dict().items()}
        torch.save(state | {"classifier.6.weight": torch.zeros(1)}, folder / "checkpoints" / name)
    return folder


@pytest.fixture(autouse=True)
def at_hub(hub, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))
    for name in VARIABLES.values():
        monkeypatch.delenv(f"GAN_LIGHTNING_{name}", raising=False)


def images(count, seed, size=64):
    random = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=random) * 2 - 1


def torchmetrics_lpips(net, hub):
    network = _NoTrainLpips(net=net, pnet_rand=True)
    state = torch.load(hub / "checkpoints" / FILES[net])
    with torch.no_grad():
        for key, value in network.net.named_parameters():
            parts = key.split(".", 2)[2] if net == "squeeze" else key.split(".", 1)[1]
            value.copy_(state[f"features.{parts}"])
    return network


@pytest.mark.parametrize("net", FILES)
def test_agrees_with_torchmetrics_on_the_same_weights(net, hub):
    x, y = images(3, 0, 40), images(3, 1, 40).lerp(images(3, 0, 40), 0.6)
    with torch.no_grad():
        expected = torchmetrics_lpips(net, hub)(x, y).flatten()
    assert LPIPS(net)(x, y).numpy() == pytest.approx(expected.numpy(), rel=1e-3)
    assert expected.min() > 1e-4


def test_agrees_with_the_formula_written_out(hub):
    x, y = images(2, 0, 24), images(2, 1, 24)
    state = torch.load(hub / "checkpoints" / FILES["vgg"])
    network = torchvision.models.vgg16(weights=None, init_weights=False).features
    network.load_state_dict({k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")})
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    weights = torchmetrics_lpips("vgg", hub).state_dict()
    total = np.zeros(2)
    with torch.no_grad():
        a, b = ((z - shift.view(3, 1, 1)) / scale.view(3, 1, 1) for z in (x, y))
        at = {3: 0, 8: 1, 15: 2, 22: 3, 29: 4}
        for index, layer in enumerate(network[:30]):
            a, b = layer(a), layer(b)
            if index in at:
                first, second = (z.double().numpy() for z in (a, b))
                units = [z / (np.sqrt((z**2).sum(axis=1, keepdims=True)) + 1e-10) for z in (first, second)]
                w = weights[f"lin{at[index]}.model.1.weight"].double().numpy()
                total += (w * (units[0] - units[1]) ** 2).sum(axis=1).mean(axis=(1, 2))
    assert LPIPS("vgg")(x, y).numpy() == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("net", FILES)
def test_is_zero_between_equals_symmetric_and_grows_with_noise(net):
    distance, x = LPIPS(net).train(), images(2, 0, 32)
    noisy = [(x + level * images(2, 1, 32)).clamp(-1, 1) for level in (0.05, 0.2, 0.8)]
    rising = [distance(x, y) for y in noisy]
    assert torch.equal(distance(x, x), torch.zeros(2))
    assert (rising[0] > 0).all()
    assert (rising[1] > rising[0]).all()
    assert (rising[2] > rising[1]).all()
    assert distance(noisy[0], x).numpy() == pytest.approx(rising[0].numpy(), rel=1e-5)
    alone = distance(x[1:], noisy[2][1:])
    assert alone.item() == pytest.approx(rising[2][1].item(), rel=1e-5)


def test_gradients_reach_the_images_and_nothing_else():
    distance, x = LPIPS("squeeze"), images(2, 0).requires_grad_()
    distance(x, torch.zeros_like(x)).sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in distance.parameters())


def test_constant_grey_and_rgba_images_whatever_autocast_says():
    distance = LPIPS("alex")
    grey = images(2, 0)[:, :1]
    colour = grey.expand(-1, 3, -1, -1)
    black = torch.full_like(grey, -1)
    expected = distance(colour, black.expand(-1, 3, -1, -1))
    assert expected.isfinite().all()
    assert torch.allclose(distance(grey, black), expected, rtol=1e-5)
    opaque = (torch.cat((x.expand(-1, 3, -1, -1), torch.ones_like(x)), dim=1) for x in (grey, black))
    assert torch.allclose(distance(*opaque), expected, rtol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(distance(grey, black), expected, rtol=1e-5)


@pytest.mark.parametrize(("net", "smallest"), [("alex", 31), ("vgg", 16), ("squeeze", 17)])
def test_smallest_images(net, smallest):
    distance = LPIPS(net)
    assert distance(images(1, 0, smallest), images(1, 1, smallest)).isfinite().all()
    with pytest.raises(ValueError, match=f"at least {smallest}x{smallest} pixels, and these are of {smallest - 1}x"):
        distance(images(1, 0, smallest - 1), images(1, 1, smallest - 1))


def test_batches_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3, 64, 64\) and \(1, 3, 64, 64\)"):
        LPIPS("squeeze")(images(2, 0), images(1, 0))


def test_loading_draws_nothing():
    before = torch.get_rng_state()
    LPIPS("squeeze")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("net", FILES)
def test_missing_weights_are_reported_with_their_file_and_advice(net, hub, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match=rf"{FILES[net]}.*GAN_LIGHTNING_{VARIABLES[net]}.*download: true"):
        LPIPS(net)
    monkeypatch.setenv(f"GAN_LIGHTNING_{VARIABLES[net]}", str(hub / "checkpoints" / FILES[net]))
    assert LPIPS(net).features.layers
    with pytest.raises(FileNotFoundError, match="nowhere"):
        LPIPS(net, tmp_path / "nowhere")


def test_other_files_and_names_are_refused(hub):
    with pytest.raises(ValueError, match=r"squeezenet1_1-b8a52dc0.pth does not hold the weights of .*alexnet"):
        LPIPS("alex", hub / "checkpoints" / FILES["squeeze"])
    with pytest.raises(ValueError, match="no network 'resnet': choose one of alex, vgg, squeeze"):
        LPIPS("resnet")


def test_any_network_and_layers():
    torch.manual_seed(0)
    network = nn.Sequential(
        OrderedDict(first=nn.Conv2d(3, 4, 3), act=nn.ReLU(), second=nn.Conv2d(4, 5, 3, 2), broken=nn.Conv2d(9, 1, 1))
    )
    distance = PerceptualDistance(network, ["act", "second"], mean=(0.5,), std=(2.0,))  # what is after isn't run
    x, y = images(3, 0, 16), images(3, 1, 16)
    expected = torch.zeros(3)
    for layers in network[:2], network[:3]:
        a, b = (nn.functional.normalize(layers((z - 0.5) / 2), dim=1) for z in (x, y))
        expected += (
            (2 - 2 * (a * b).sum(dim=1)).where(a.norm(dim=1) * b.norm(dim=1) > 0.5, torch.tensor(0.0)).mean(dim=(1, 2))
        )
        lone = (a.norm(dim=1) > 0.5) != (b.norm(dim=1) > 0.5)  # a position where one image wakes no unit
        expected += lone.float().mean(dim=(1, 2))
    assert distance(x, y).numpy() == pytest.approx(expected.detach().numpy(), rel=1e-4)
    weighted = PerceptualDistance(network, ["act"], linear=[torch.tensor([0.0, 0, 0, 3])])
    a, b = (nn.functional.normalize(network[:2](z), dim=1)[:, 3] for z in (x, y))
    assert weighted(x, y).numpy() == pytest.approx((3 * (a - b) ** 2).mean(dim=(1, 2)).detach().numpy(), rel=1e-4)
    with pytest.raises(ValueError, match="third"):
        PerceptualDistance(network, ["third"])


def uint8(count, seed):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 8, 8), generator=random, dtype=torch.uint8)


def mean_absolute(x, y):
    return (x - y).abs().mean(dim=(1, 2, 3))


def diversity(real, fake, **settings):
    metric = LPIPSDiversity(mean_absolute, **settings)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return {name: value.item() for name, value in metric.compute().items()}


def test_diversity_is_the_mean_over_pairs_of_each_set():
    real, fake = uint8(2, 0), uint8(2, 1) // 2
    assert diversity(real, fake) == pytest.approx(
        {
            "lpips_diversity": mean_absolute(*to_float(fake)[:, None]).item(),
            "lpips_diversity_real": mean_absolute(*to_float(real)[:, None]).item(),
        }
    )
    same = fake[:1].expand(7, -1, -1, -1)
    measured = diversity(uint8(400, 0), same, batch_size=32)
    assert measured["lpips_diversity"] == 0
    assert measured["lpips_diversity_real"] == pytest.approx(2 / 3, rel=0.02)  # of two uniforms in [-1, 1]
    assert diversity(uint8(40, 0), same, num_pairs=3) != diversity(uint8(40, 0), same, num_pairs=3, seed=1)


def test_diversity_by_default_is_of_alexnet_and_needs_pairs():
    metric = LPIPSDiversity()
    real = nn.functional.interpolate(uint8(2, 0), 32)
    metric.update(real, real=True)
    metric.update(real[:1], real=False)
    with pytest.raises(TooFewSamplesError, match="a pair"):
        metric.compute()
    metric.update(real[:1], real=False)
    values = metric.compute()
    assert values["lpips_diversity"] == 0
    assert values["lpips_diversity_real"].item() == pytest.approx(LPIPS("alex")(*to_float(real)[:, None]).item())
