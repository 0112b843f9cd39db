"""The models that come with the package: small, found by name, and good."""

import json
import os
from pathlib import Path

import pytest
import torch
import yaml

import gan_lightning
from gan_lightning import shipped
from gan_lightning.cli.commands import main
from gan_lightning.data.images import to_uint8
from gan_lightning.evaluation.sources import load_sampler
from gan_lightning.export import is_trained
from gan_lightning.export.card import PICTURE
from gan_lightning.export.files import CARD
from gan_lightning.extractors.digits import DigitClassifier
from gan_lightning.models import DCGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from gan_lightning.weights import CONFIG, WEIGHTS

MOST = 3_000_000  # bytes in all


def test_they_are_small_and_whole() -> None:
    assert {"digits", "faces"} <= {*shipped.names()}
    files = [file for file in shipped.FOLDER.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= MOST
    for name in shipped.names():
        assert {file.name for file in (shipped.FOLDER / name).iterdir()} == {CONFIG, WEIGHTS, CARD, PICTURE}


@pytest.mark.parametrize("name", shipped.names())
def test_a_card_states_licence_command_and_scores(name: str) -> None:
    text = (shipped.FOLDER / name / CARD).read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "apache-2.0"
    (command,) = {line for line in text.split("`") if line.startswith("gan-lightning fit --config ")}
    config = Path(__file__).parents[1] / "configs" / f"{command.split()[3]}.yaml"
    generator = yaml.safe_load(config.read_text())["model"]["init_args"]["generator"]
    made_by = json.loads((shipped.FOLDER / name / CONFIG).read_text())["made_by"]["init_args"]["network"]
    assert made_by["class_path"].rpartition(".")[2] == generator["class_path"].rpartition(".")[2]
    assert generator["init_args"].items() <= made_by["init_args"].items()
    assert any(metric["type"] == "fid" for metric in front["model-index"][0]["results"][0]["metrics"])


def test_the_digits_are_of_their_classes() -> None:
    sampler = gan_lightning.load("digits")
    images = sampler.sample(200, seed=1)  # type: ignore[union-attr]
    logits = DigitClassifier()(to_uint8(images)).logits
    assert (logits.argmax(1) == torch.arange(200) % 10).float().mean() > 0.97


def test_the_faces_are_of_many_colours_on_a_plain_ground() -> None:
    images = gan_lightning.load("faces").sample(64, seed=1)  # type: ignore[union-attr]
    assert images.shape == (64, 3, 64, 64)
    corners = images[:, :, :6, [0, 1, 2, 61, 62, 63]]
    assert corners.std(dim=(0, 2, 3)).max() < 0.1
    assert images[:, :, 20:44, 20:44].std(dim=0).mean() > 0.3


def test_a_path_that_exists_is_no_name_of_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_trained(Path("digits"))
    Path("digits").mkdir()
    assert not is_trained(Path("digits"))
    with pytest.raises(
        ValueError, match=r"digits is neither .* that comes with the package, which this path hides, is "
    ):
        gan_lightning.load("digits")
    assert gan_lightning.load(shipped.FOLDER / "digits") is not None


def test_an_unknown_name_lists_those_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sample", "digts", "grid.png"]) == 2
    assert (
        f"there is no checkpoint digts: name another, or a model ({shipped.hint('digts')})" in capsys.readouterr().err
    )
    assert ", ".join(shipped.names()) in shipped.hint("digts")


def test_commands_take_them_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sample", "digits", "grid.png", "--classes", "3,8", "--n", "2"]) == 0
    assert main(["interpolate", "faces", "strip.png", "--seeds", "0-1"]) == 0
    assert main(["export", "digits", "copy"]) == 0
    assert (tmp_path / "copy" / CARD).read_text() == (shipped.FOLDER / "digits" / CARD).read_text()
    assert main(["models"]) == 0
    assert ", ".join(shipped.names()) in capsys.readouterr().out
    assert load_sampler(Path("digits")).images_seen > 0
    assert sorted(os.listdir()) == ["copy", "grid.png", "strip.png"]


def test_a_run_starts_from_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = gan_lightning.load("faces").network  # type: ignore[union-attr]
    size = {"image_size": 64, "channels": 3}
    model = DCGAN(DCGANGenerator(64, width=20, **size), DCGANDiscriminator(width=4, **size))  # type: ignore[arg-type]
    model.load_weights("faces")
    assert all(map(torch.equal, model.generator.state_dict().values(), own.state_dict().values()))
    model.load_weights({"generator": "faces"})
