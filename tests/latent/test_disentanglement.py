"""Measures of disentanglement, on generators whose latents control known factors, and on every model."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from every_model import FROM_LATENTS
from gan_lightning.classifiers import Classifier
from gan_lightning.inference import CodesPrior, LatentSampler
from gan_lightning.latent import LatentSpace
from gan_lightning.latent.commands.disentangle import disentangle
from gan_lightning.latent.disentanglement import ClassifierFactors, DigitFactors, Factors, disentanglement, table
from gan_lightning.metrics import PerceptualPathLength
from toys import ToyGAN, ToyGenerator, checkpoint


class Planted(nn.Module):
    """The first pixel shows latent 0, the second the sum of latents 1 and 2; w is a turned z."""

    latent_dim, num_classes = 4, 0

    def __init__(self) -> None:
        super().__init__()
        signs = [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
        self.turn = nn.Parameter(torch.tensor(signs) / 2)

    def mapping(self, z: Tensor) -> Tensor:
        return z @ self.turn.T

    def synthesis(self, w: Tensor) -> Tensor:
        z = w @ self.turn
        return (torch.stack([z[:, 0], (z[:, 1] + z[:, 2]) / 1.5, z[:, 3], z[:, 3]], dim=1) / 3).view(-1, 1, 2, 2)


class Coded(nn.Module):
    """The first pixel shows the category, the second the continuous code."""

    latent_dim, num_classes = 6, 0

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, z: Tensor) -> Tensor:
        category = z[:, 2:5] @ torch.tensor([-1.0, 0.0, 1.0], device=z.device)
        return (torch.stack([category, z[:, 5], z[:, 0], z[:, 1]], dim=1) * 0.9 * self.scale).view(-1, 1, 2, 2)


class Conditional(nn.Module):
    """The first pixel shows the class."""

    latent_dim, num_classes = 2, 3

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        shown = torch.cat([labels[:, None] - 1.0, z / 4, z[:, :1] / 4], dim=1)
        return (shown * self.scale).view(-1, 1, 2, 2)


def pixels(images: Tensor) -> Factors:
    """The first two pixels are factors."""
    first, second = images.flatten(1)[:, :2].double().T
    return Factors({}, {}, {"first": first, "second": second})


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().flatten(1).sum(dim=1)


def test_a_factor_of_one_component_and_one_of_two() -> None:
    sampler = LatentSampler(Planted())
    spaces = [LatentSpace(sampler, "z", batch_size=500), LatentSpace(sampler, "w", batch_size=500)]
    reports = disentanglement(spaces, pixels, n=8000, bins=10, paths=0)
    z, w = reports["z"], reports["w"]
    assert z.gaps["first"] > 0.8
    assert z.gaps["second"] < 0.05
    assert z.mig == pytest.approx((z.gaps["first"] + z.gaps["second"]) / 2)
    assert max(w.gaps.values()) < 0.05, "several components of the turned space tell equally much"
    # a plane sees no axes: both spaces are equally separable
    for report in (z, w):
        assert report.separability == pytest.approx(1, abs=0.05)
        assert report.ppl is None
    assert z.components == ["z0", "z1", "z2", "z3"]
    best = max(range(4), key=z.information["first"].__getitem__)
    assert z.components[best] == "z0"
    assert "first is told best by z0" in table(reports)


def test_a_code_of_several_values_is_one_component() -> None:
    sampler = LatentSampler(Coded(), CodesPrior(3, 1))

    def measure(images: Tensor) -> Factors:
        value, second = images.flatten(1)[:, :2].double().T
        logits = -(value[:, None] - torch.tensor([13.0, 128.0, 242.0])).square() / 1000
        return Factors({"category": (logits, ("low", "middle", "high"))}, {"code": second - 128}, {})

    report = disentanglement([LatentSpace(sampler, batch_size=500)], measure, n=4000, bins=10, paths=0)["z"]
    assert report.components == ["z0", "z1", "z5", "z2-4"]
    assert report.gaps["category"] > 0.98
    assert report.gaps["code"] > 0.95
    assert set(report.entropies) == {"category low", "category middle", "category high", "code"}


def test_the_class_of_a_conditional_model_is_a_component() -> None:
    space = LatentSpace(LatentSampler(Conditional()), batch_size=100)

    def measure(images: Tensor) -> Factors:
        value = images.flatten(1)[:, 0].double()
        return Factors({"class": (-(value[:, None] - torch.tensor([0.0, 128.0, 255.0])).square(), ("a", "b", "c"))})

    report = disentanglement([space], measure, n=3000, bins=10, paths=0)["z"]
    assert report.components[-1] == "class"
    assert report.information["class"][-1] == pytest.approx(1)
    assert report.gaps["class"] > 0.97
    # latents alone do not tell the class: each cut keeps the whole of its entropy
    kept = -(math.log(1 / 3) / 3 + 2 * math.log(2 / 3) / 3)
    assert all(entropy == pytest.approx(kept, abs=0.06) for entropy in report.entropies.values())


def test_path_lengths_are_those_of_the_metric() -> None:
    sampler = LatentSampler(Planted())
    spaces = [LatentSpace(sampler, name, batch_size=50) for name in ("z", "w")]  # type: ignore[arg-type]
    reports = disentanglement(spaces, pixels, n=200, bins=4, paths=300, distance=squared)
    for name in ("z", "w"):
        metric = PerceptualPathLength(name, "end", 300, distance=squared, batch_size=50)  # type: ignore[arg-type]
        metric.update(sampler)
        assert reports[name].ppl == pytest.approx(metric.compute()["ppl"].item())  # type: ignore[index]


def test_the_batch_size_does_not_matter() -> None:
    sampler = LatentSampler(Planted())
    one, other = (
        disentanglement([LatentSpace(sampler, "z", batch_size=size)], pixels, n=300, bins=5, paths=0)
        for size in (7, 300)
    )
    assert one == other


def test_a_cut_that_samples_do_not_show_is_named_and_left_out() -> None:
    def measure(images: Tensor) -> Factors:
        first = images.flatten(1)[:, 0].double()
        return Factors({}, {"always": torch.ones(len(images)), "first": first - 128}, {})

    report = disentanglement([LatentSpace(LatentSampler(Planted()), "z")], measure, n=400, bins=5, paths=0)["z"]
    assert report.left_out == ["always"]
    assert set(report.gaps) == {"first"}


def test_images_in_which_nothing_varies_are_refused() -> None:
    def measure(images: Tensor) -> Factors:
        return Factors({}, {"always": torch.ones(len(images))}, {})

    with pytest.raises(ValueError, match="none of the factors always varies"):
        disentanglement([LatentSpace(LatentSampler(Planted()), "z")], measure, n=100, bins=5, paths=0)


def test_digits_have_a_class_and_strokes() -> None:
    factors = DigitFactors()(torch.randint(0, 255, (3, 1, 28, 28), dtype=torch.uint8))
    assert factors.classes["digit"][0].shape == (3, 10)
    assert set(factors.measures) == {"area", "thickness", "slant", "width", "height"}


@pytest.mark.parametrize("kind", ["classes", "attributes"])
def test_a_classifier_gives_its_classes_or_attributes(kind: Any) -> None:
    torch.manual_seed(0)
    classifier = Classifier(("a", "b", "c"), kind, (8, 8), 1).eval()
    factors = ClassifierFactors(classifier)(torch.randint(0, 255, (5, 3, 9, 9), dtype=torch.uint8))
    if kind == "classes":
        assert factors.classes["class"][1] == ("a", "b", "c")
    else:
        assert [*factors.attributes] == ["a", "b", "c"]
    assert set(factors.splits()) == ({"class a", "class b", "class c"} if kind == "classes" else {"a", "b", "c"})


@pytest.mark.parametrize("build", FROM_LATENTS, ids=lambda build: build.__name__)
def test_the_command_takes_every_model(build: Callable[[], Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = checkpoint(build(), tmp_path / "model.ckpt")
    disentangle(path, tmp_path / "out.json", "digits", n=100, paths=4, distance="digits", bins=4, device="cpu")
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["spaces"]["z"]["ppl"] >= 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_factors_that_are_no_classifier_are_refused_before_the_work(tmp_path: Path) -> None:
    path = checkpoint(ToyGAN(ToyGenerator()), tmp_path / "toy.ckpt")
    with pytest.raises(FileNotFoundError, match="no file of a classifier"):
        disentangle(path, tmp_path / "out.json", str(tmp_path / "absent.safetensors"), paths=0, trusted="toys")
    with pytest.raises(ValueError, match=r"ends in \.json"):
        disentangle(path, tmp_path / "out.txt", "digits", paths=0, trusted="toys")
