"""`train-classifier`, and the digits that it may be tried on."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import Digits
from gan_lightning.classifiers import Classifier
from gan_lightning.classifiers.command import train_classifier
from gan_lightning.cli.digits import digits
from gan_lightning.data.images import to_float
from gan_lightning.metrics.strokes import stroke_measures
from toys import read_png

QUICK: dict[str, Any] = {"epochs": 1, "batch_size": 16, "device": "cpu"}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits") / "digits"
    digits(folder, n=200, image_size=28)
    return folder


def test_digits_and_their_attributes_are_written(written: Path) -> None:
    images, labels = Digits(28).training_storage().batch(torch.arange(200))
    with (written / "attributes.csv").open() as file:
        rows = list(csv.DictReader(file))
    measures = stroke_measures(images)
    assert len(rows) == 200
    for number, row in enumerate(rows):
        assert torch.equal(read_png(written / row["file"]), images[number])
        digit = int(labels[number])
        assert row["file"].startswith(f"{digit}/")
        assert [row[f"digit_{each}"] for each in range(10)] == [str(int(each == digit)) for each in range(10)]
        assert float(row["thickness"]) == pytest.approx(measures["thickness"][number].item(), abs=1e-3)
        assert row["thick"] == str(int(measures["thickness"][number] > measures["thickness"].median()))
    assert sum(int(row["slanted"]) for row in rows) == 100


def test_digits_replace_nothing(written: Path, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="not an empty folder"):
        digits(written)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        digits(tmp_path / "file")
    with pytest.raises(ValueError, match="reference has 2,000 digits, and 3,000 are wanted"):
        digits(tmp_path / "new", n=3000, split="reference")
    (tmp_path / "empty").mkdir()
    digits(tmp_path / "empty", n=2, split="reference")
    assert len(list((tmp_path / "empty").rglob("*.png"))) == 2
    assert not list(tmp_path.glob(".*"))


def test_classes(written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_classifier(written, tmp_path / "c.safetensors", **QUICK | {"epochs": 6})
    said = capsys.readouterr().out
    assert "200 images of 28x28 pixels and 1 channels" in said
    found = Classifier.load(tmp_path / "c.safetensors")
    assert (found.names, found.kind, found.size) == (tuple("0123456789"), "classes", (28, 28))
    assert found.accuracy is not None
    assert f"accuracy on {found.accuracy.images} images held back: {found.accuracy.overall:.1%}" in said
    images, labels = Digits(28).reference_storage().batch(torch.arange(500))
    assert (found.logits(to_float(images)).argmax(1) == labels).float().mean() > 0.6


def test_attributes(written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "c.safetensors"
    train_classifier(written, out, written / "attributes.csv", "thick, digit_3", held_back=0.5, size=16, **QUICK)
    said = capsys.readouterr().out
    assert "100 to train on, 100 held back" in said
    assert "thick " in said
    found = Classifier.load(out)
    assert (found.names, found.kind, found.size) == (("thick", "digit_3"), "attributes", (16, 16))
    lines = (written / "attributes.csv").read_text().splitlines()
    split = [f"{line},{'split' if not i else 'train' if i < 150 else 'test'}" for i, line in enumerate(lines)]
    (tmp_path / "split.csv").write_text("\n".join(split))
    train_classifier(written, out, tmp_path / "split.csv", channels=3, **QUICK)
    said = capsys.readouterr().out
    assert "the table's column split sets the images apart" in said
    assert "149 to train on, 51 held back" in said
    assert "left out: digit, area" in said
    train_classifier(
        written, out, tmp_path / "split.csv", "wide", held_back=0.0, backbone="squeezenet1_1", size=32, **QUICK
    )
    said = capsys.readouterr().out
    assert "200 images of 32x32 pixels and 3 channels: 200 to train on, 0 held back" in said
    assert "accuracy is not known" in said
    assert Classifier.load(out).accuracy is None


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"out": Path("x.pt")}, r"x\.pt cannot be written: name a file that ends in \.safetensors"),
        ({"backbone": "resnet19"}, "there is no backbone 'resnet19': name small, or one of torchvision's"),
        ({"backbone": "alexnet", "size": 16}, "alexnet cannot take images of 16x16"),
        ({"backbone": "resnet18", "channels": 1}, "resnet18 takes images of 3 channels"),
        ({"columns": "thick"}, "name it by --attributes"),
        ({"epochs": 0}, "epochs=0"),
        ({"held_back": 1.0}, "held_back"),
        ({"held_back": 0.999}, "no image of class '.' is left for the training"),
    ],
)
def test_mistakes(written: Path, tmp_path: Path, how: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        train_classifier(**{"data": written, "out": tmp_path / "c.safetensors", **QUICK, **how})
    assert not (tmp_path / "c.safetensors").exists()
