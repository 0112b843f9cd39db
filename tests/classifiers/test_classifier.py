"""A classifier's numbers and its file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.classifiers import Accuracy, Classifier, backbones

ACCURACY = Accuracy(0.75, {"a": 0.5, "b": 1.0}, 8)


def small(**how: Any) -> Classifier:
    torch.manual_seed(0)
    classifier = Classifier(**{"names": ("a", "b"), "size": (12, 16), "channels": 1, "accuracy": ACCURACY, **how})
    return classifier.eval().requires_grad_(False)


def test_images_of_any_size_and_channels_are_converted_and_have_gradients() -> None:
    classifier = small()
    images = (torch.rand(2, 3, 24, 32) * 2 - 1).requires_grad_()
    luma = (images * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    resized = F.interpolate(luma, (12, 16), mode="bilinear", align_corners=False, antialias=True)
    logits = classifier.logits(images)
    torch.testing.assert_close(logits, classifier.network(resized))
    logits.sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).abs().sum(dim=1) > 0).all()
    colour = small(channels=3)
    grey = torch.rand(2, 1, 12, 16)
    torch.testing.assert_close(colour.logits(grey), colour.network(grey.expand(-1, 3, -1, -1)))


def test_the_sigmoid_of_log_odds_is_the_probability() -> None:
    images = torch.rand(5, 1, 12, 16, dtype=torch.float64) * 2 - 1
    for kind in ("classes", "attributes"):
        classifier = small(kind=kind)
        torch.testing.assert_close(classifier.log_odds(images).sigmoid(), classifier.scores(images))
    torch.testing.assert_close(small().scores(images).sum(dim=1), torch.ones(5))


def test_a_file_gives_back_the_same_classifier(tmp_path: Path) -> None:
    classifier = small(kind="attributes")
    classifier.save(tmp_path / "c.safetensors")
    state = torch.get_rng_state()
    read = Classifier.load(tmp_path / "c.safetensors")
    assert torch.equal(torch.get_rng_state(), state)
    images = torch.rand(3, 3, 20, 20)
    assert torch.equal(read.logits(images), classifier.logits(images))
    facts = ("names", "kind", "size", "channels", "backbone", "accuracy")
    assert [getattr(read, fact) for fact in facts] == [getattr(classifier, fact) for fact in facts]
    assert not read.training
    assert not any(parameter.requires_grad for parameter in read.parameters())


def test_backbones_of_torchvision_by_name(tmp_path: Path) -> None:
    assert {"small", "resnet18", "vit_b_16", "inception_v3"} <= {*backbones()}
    classifier = small(backbone="squeezenet1_1", channels=3, size=(32, 32))
    classifier.save(tmp_path / "c.safetensors")
    images = torch.rand(2, 1, 32, 32)
    assert torch.equal(Classifier.load(tmp_path / "c.safetensors").logits(images), classifier.logits(images))
    with pytest.raises(ValueError, match=r"no backbone 'resnet19'"):
        small(backbone="resnet19")
    with pytest.raises(ValueError, match=r"resnet18 takes images of 3 channels, not 1"):
        small(backbone="resnet18")
    with pytest.raises(ValueError, match=r"alexnet cannot take images of 8x8 pixels .*choose another size"):
        small(backbone="alexnet", channels=3, size=(8, 8)).try_out()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"names": ("a",)}, "needs names for its classes"),
        ({"names": ("a", "a")}, "each once"),
        ({"kind": "things"}, "not of 'things'"),
        ({"size": (0, 8)}, "sides of 1 to 4096"),
        ({"channels": 2}, "1 or 3 channels, not 2"),
    ],
)
def test_a_classifier_that_is_none(how: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Classifier(**{"names": ("a", "b"), "channels": 1, **how})


def test_outputs_are_found_by_name_and_not_by_their_place() -> None:
    classifier = small(names=("1", "cat"))
    assert [classifier.number(name) for name in ("1", "cat")] == [0, 1]
    for name in ("0", "dog"):
        with pytest.raises(ValueError, match=r"knows no class .*: it knows 1, cat"):
            classifier.number(name)


def changed(path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], Any]) -> None:
    with safe_open(path, "pt") as file:
        facts = file.metadata()
    description, weights = json.loads(facts["description"]), load_file(path)
    change(description, weights)
    save_file(weights, path, facts | {"description": json.dumps(description)})


@pytest.mark.parametrize(
    "change",
    [
        lambda about, _: about.update(names=["a"] * 2),
        lambda about, _: about.update(names=[str(i) for i in range(99_000)]),  # no memory for such weights
        lambda about, _: about.update(names=3),
        lambda about, _: about.update(size=[12]),
        lambda about, _: about.update(size=[12, "16"]),
        lambda about, _: about.update(channels=True),
        lambda about, _: about.update(backbone="os.system"),
        lambda about, _: about.update(backbone="regnet_y_128gf", channels=3),
        lambda about, _: about.update(accuracy=[1]),
        lambda about, _: about.clear(),
        lambda _, weights: weights.pop("0.weight"),
        lambda _, weights: weights.update(more=torch.zeros(2)),
        lambda _, weights: weights["0.weight"].fill_(float("nan")),
        lambda _, weights: weights.update({"0.weight": weights["0.weight"].double()}),
    ],
)
def test_a_forged_file_is_refused(tmp_path: Path, change: Any) -> None:
    path = tmp_path / "c.safetensors"
    small().save(path)
    changed(path, change)
    with pytest.raises(ValueError, match=r"c\.safetensors holds no classifier \(.*\): give a file"):
        Classifier.load(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file of a classifier"):
        Classifier.load(tmp_path / "none.safetensors")
    for name, content in {"text": b"hello", "empty": b"", "deep": b"\x40" + b"\0" * 7 + b"[" * 64}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="holds no classifier"):
            Classifier.load(tmp_path / name)
    save_file({"vectors": torch.zeros(2, 2)}, tmp_path / "directions.safetensors", {"kind": "directions"})
    with pytest.raises(ValueError, match="its metadata do not say so"):
        Classifier.load(tmp_path / "directions.safetensors")
