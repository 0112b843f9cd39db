import runpy
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torchvision.datasets import MNIST

from gan_lightning.extractors.digits import WEIGHTS
from gan_lightning.metrics import DigitClassifier, FrechetInceptionDistance, InceptionScore


@pytest.fixture(scope="module")
def digits():
    with np.load(resources.files("datamodules").joinpath("assets/digits.npz"), allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file}


def test_shipped_digits_are_whole_and_balanced(digits):
    for part, per_class in ("train", 800), ("reference", 200):
        images, labels = digits[f"{part}_images"], digits[f"{part}_labels"]
        assert images.dtype == labels.dtype == torch.uint8
        assert images.shape == (10 * per_class, 28, 28)
        assert torch.bincount(labels.long()).tolist() == [per_class] * 10
    together = torch.cat([digits["train_images"], digits["reference_images"]]).flatten(1)
    assert len(torch.unique(together, dim=0)) == 10_000  # no image is in both parts


def test_the_script_makes_the_shipped_digits(digits, real_data, tmp_path, monkeypatch):
    script = Path(__file__).parents[2] / "scripts/make_digits.py"
    again = tmp_path / "digits.npz"
    monkeypatch.setattr(sys, "argv", [str(script), "--root", str(real_data / "mnist"), "--out", str(again)])
    runpy.run_path(str(script), run_name="__main__")
    with np.load(again, allow_pickle=False) as file:
        assert set(file) == set(digits)
        assert all((file[name] == digits[name].numpy()).all() for name in file)


def test_shipped_weights_are_small_and_say_where_they_come_from():
    path = resources.files("gan_lightning").joinpath(WEIGHTS)
    assert len(path.read_bytes()) < 1_000_000
    with resources.as_file(path) as file, safe_open(file, "pt") as weights:
        assert set(weights.metadata()) == {"version", "test_accuracy"}
        assert float(weights.metadata()["test_accuracy"]) >= 0.99


def test_accuracy_on_the_test_images(real_data):
    mnist = MNIST(real_data / "mnist", train=False, download=False)
    predicted = DigitClassifier()(mnist.data.unsqueeze(1)).logits.argmax(dim=1)
    assert (predicted == mnist.targets).double().mean() >= 0.99


def test_padded_and_repeated_digits_have_the_digits_features(digits):
    extractor = DigitClassifier()
    images = digits["reference_images"][:50].unsqueeze(1)
    expected = extractor(images)
    assert expected.pooled.shape == (50, extractor.num_features)
    padded = F.pad(images, (2, 2, 2, 2)).expand(-1, 3, -1, -1)
    assert torch.equal(extractor(padded).pooled, expected.pooled)
    doubled = images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    same_class = extractor(doubled).logits.argmax(dim=1) == expected.logits.argmax(dim=1)
    assert same_class.double().mean() > 0.95


def test_scores_of_real_digits_and_of_noise(digits):
    extractor = DigitClassifier()
    train, reference = extractor(digits["train_images"][:2000, None]), extractor(digits["reference_images"][:, None])
    noise = extractor(torch.randint(0, 256, (2000, 1, 28, 28), dtype=torch.uint8))

    score = InceptionScore(extractor.num_features)
    score.update(reference, real=False)
    assert 9 < score.compute()["inception_score"] <= 10

    distance = FrechetInceptionDistance(extractor.num_features)
    distance.update(reference, real=True)
    distance.update(train, real=False)
    close = distance.compute()["fid"]
    distance.reset(keep_real=True)
    distance.update(noise, real=False)
    assert 0 < close < distance.compute()["fid"] / 50


def test_building_one_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    DigitClassifier()
    assert torch.equal(torch.get_rng_state(), before)
