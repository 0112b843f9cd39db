import hashlib

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

from gan_lightning.data.images import as_uint8, to_channels
from gan_lightning.metrics import DigitClassifier, FeatureExtractor, Features, ModuleExtractor


class Mean(nn.Module):
    """Features: the mean of each channel, times a weight."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x):
        return x.mean(dim=(2, 3)) * self.factor


class FirstPixels(nn.Module):
    def forward(self, x):
        return x[:, :, :2, :2]


def test_pixels_reach_the_network_in_the_stated_range():
    images = torch.zeros(2, 3, 4, 6, dtype=torch.uint8)
    images[1] = 255
    assert ModuleExtractor(Mean(), 3)(images).pooled.tolist() == [[-1.0] * 3, [1.0] * 3]
    assert ModuleExtractor(Mean(), 3, mean=(0.0,), std=(1.0,))(images).pooled.tolist() == [[0.0] * 3, [1.0] * 3]
    per_channel = ModuleExtractor(Mean(), 3, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25))(images).pooled
    assert per_channel.tolist() == [[0.0, -1.0, -4.0], [1.0, 1.0, 0.0]]


class Pixels(FeatureExtractor):
    """Features: the pixels that reach the network."""

    preprocessing = "none"

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def extract(self, images):
        assert images.dtype == torch.uint8
        return Features(images.flatten(1))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("seen", [1, 3])
def test_depth_and_channels_are_brought_to_the_networks_by_the_stated_rule(dtype, channels, seen):
    white = torch.iinfo(dtype).max
    images = torch.randint(0, white + 1, (3, channels, 5, 8)).to(dtype)
    pixels = Pixels(seen)(images).pooled
    assert torch.equal(pixels, as_uint8(to_channels(images, seen)).flatten(1).float())

    # a quarter, a half and the whole of white, with no alpha or half of it
    levels = torch.tensor([white // 4, white // 2, white])[:, None, None, None].expand(-1, channels, 1, 1).clone()
    expected = torch.tensor([64.0, 128.0, 255.0])
    if channels in (2, 4):
        levels[:, -1] = white // 2
        expected = (expected + 255) / 2
    pixels = Pixels(seen)(levels.to(dtype)).pooled
    assert pixels.shape == (3, seen)
    assert (pixels - expected[:, None]).abs().max() <= 1


def test_maps_are_averaged_and_the_head_gives_logits():
    head = nn.Linear(3, 5)
    extractor = ModuleExtractor(FirstPixels(), 3, size=2, mean=(0.0,), std=(1 / 255,), head=head)
    features = extractor(torch.full((2, 3, 9, 7), 40, dtype=torch.uint8))
    torch.testing.assert_close(features.pooled, torch.full((2, 3), 40.0))
    torch.testing.assert_close(features.logits, head(features.pooled))
    assert not features.logits.requires_grad


def test_always_in_eval_mode_and_in_float32():
    extractor = ModuleExtractor(nn.Sequential(Mean(), nn.Dropout(0.5), nn.Linear(3, 3)), 3).train()
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    expected = extractor(images).pooled
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(extractor(images).pooled, expected)
    assert expected.dtype == torch.float32


class Precision(nn.Module):
    """Notes the precision of products of float32, and raises an error if `fails`."""

    def __init__(self, fails=False):
        super().__init__()
        self.fails = fails

    def forward(self, x):
        self.seen = precisions()
        if self.fails:
            raise RuntimeError("out of memory")
        return x.mean(dim=(2, 3))


def precisions():
    backends = torch.backends
    products = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
    return [product.fp32_precision for product in products]


def test_in_full_float32_whatever_the_run_allows_itself():
    images = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    try:
        torch.set_float32_matmul_precision("medium")
        before = precisions()
        assert set(before) > {"tf32", "bf16"}
        module = Precision()
        ModuleExtractor(module, 3)(images)
        assert module.seen == ["ieee"] * 4
        assert precisions() == before
        with pytest.raises(RuntimeError, match="out of memory"):
            ModuleExtractor(Precision(fails=True), 3)(images)
        assert precisions() == before
    finally:
        torch.set_float32_matmul_precision("highest")


def test_fingerprint_changes_with_weights_and_preprocessing_only():
    def fingerprint(factor=1.0, **arguments):
        return ModuleExtractor(Mean(factor), 3, **arguments).fingerprint

    assert fingerprint() == fingerprint()
    others = [fingerprint(factor=1.5), fingerprint(size=8), fingerprint(std=(1.0,)), DigitClassifier().fingerprint]
    assert len({fingerprint(), *others}) == 5


def test_weights_are_read_for_the_fingerprint_only_when_they_have_changed(monkeypatch):
    extractor = ModuleExtractor(nn.Sequential(Mean(), nn.Linear(3, 3)), 3)
    first = extractor.fingerprint
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "sha256", None)
        assert extractor.fingerprint == first
        extractor(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
        assert extractor.fingerprint == first
    with torch.no_grad():
        extractor.module[1].weight[0, 0] += 1
    second = extractor.fingerprint
    extractor.load_state_dict({name: value + 1 for name, value in extractor.state_dict().items()})
    third = extractor.fingerprint
    extractor.double()
    fourth = extractor.fingerprint
    extractor.preprocessing = "another"
    assert len({first, second, third, fourth, extractor.fingerprint}) == 5


def test_a_fingerprint_in_inference_mode_as_in_validation():
    expected = ModuleExtractor(Mean(), 3).double().fingerprint
    with torch.inference_mode():
        extractor = ModuleExtractor(Mean(), 3).double()  # as when moved to another device
        assert any(value.is_inference() for value in extractor.state_dict().values())
        assert extractor.fingerprint == expected
    assert extractor.fingerprint == expected


def test_bad_input_is_refused():
    extractor = ModuleExtractor(Mean(), 3)
    for bad in (
        torch.zeros(2, 3, 4, 4),
        torch.zeros(2, 3, 4, 4, dtype=torch.int64),
        torch.zeros(3, 4, 4, dtype=torch.uint8),
        torch.zeros(2, 5, 4, 4, dtype=torch.uint8),
        torch.zeros(2, 0, 4, 4, dtype=torch.uint8),
    ):
        with pytest.raises(TypeError, match="takes uint8 or uint16 images"):
            extractor(bad)
    with pytest.raises(ValueError, match="num_features: 7 promises"):
        ModuleExtractor(Mean(), 7)(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))


@pytest.mark.parametrize("name", ["DigitClassifier", "ModuleExtractor"])
def test_built_from_yaml(name):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(FeatureExtractor, "extractor")
    given = {"class_path": f"gan_lightning.metrics.{name}", "init_args": {}}
    if name == "ModuleExtractor":
        given["init_args"] = {"module": {"class_path": "torch.nn.Flatten"}, "num_features": 48, "mean": [0.0]}
    config = parser.parse_object({"extractor": given})
    again = parser.parse_string(parser.dump(config))
    extractor = parser.instantiate(again).extractor
    side = 4 if name == "ModuleExtractor" else 28
    images = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    assert extractor(images).pooled.shape == (2, extractor.num_features)
