import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

from gan_lightning.metrics import DigitClassifier, FeatureExtractor, ModuleExtractor


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


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels_is_brought_to_the_networks(channels):
    images = torch.randint(0, 256, (3, channels, 8, 8), dtype=torch.uint8)
    assert ModuleExtractor(Mean(), 3)(images).pooled.shape == (3, 3)
    assert ModuleExtractor(Mean(), 1, channels=1)(images).pooled.shape == (3, 1)


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


def test_fingerprint_changes_with_weights_and_preprocessing_only():
    def fingerprint(factor=1.0, **arguments):
        return ModuleExtractor(Mean(factor), 3, **arguments).fingerprint

    assert fingerprint() == fingerprint()
    others = [fingerprint(factor=1.5), fingerprint(size=8), fingerprint(std=(1.0,)), DigitClassifier().fingerprint]
    assert len({fingerprint(), *others}) == 5


def test_bad_input_is_refused():
    extractor = ModuleExtractor(Mean(), 3)
    with pytest.raises(TypeError, match="takes uint8 images"):
        extractor(torch.zeros(2, 3, 4, 4))
    with pytest.raises(TypeError, match="takes uint8 images"):
        extractor(torch.zeros(3, 4, 4, dtype=torch.uint8))
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
