"""`gan-lightning export`, and the commands that take what it wrote."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import gan_lightning
from evaluation.test_sources import checkpoint
from gan_lightning.cli.commands import main
from gan_lightning.data.files import image_files, read_image
from gan_lightning.data.images import write_png
from gan_lightning.evaluation.pictures.sets import open_images
from gan_lightning.evaluation.sources import GeneratedImages
from gan_lightning.weights import CONFIG, WEIGHTS
from models.test_cgan import cgan
from models.test_cyclegan import cyclegan
from models.test_dann import dann
from models.test_pix2pix import pix2pix


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with checkpoints of three models, and with images."""
    folder = tmp_path_factory.mktemp("export")
    for build in (cgan, cyclegan, pix2pix, dann):
        torch.manual_seed(0)
        checkpoint(build(), folder / f"{build.__name__}.ckpt")
    generator = torch.Generator().manual_seed(0)
    for i in range(20):
        for name, channels in (("photos", 3), ("real", 1)):
            pixels = torch.randint(0, 256, (channels, 32, 16), dtype=torch.uint8, generator=generator)
            write_png(pixels, folder / name / f"{i}.png")
    return folder


def export(*arguments: Any) -> int:
    return main(["export", *map(str, arguments)])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_the_format_is_that_of_the_suffix_and_the_difference_is_printed(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, words in (("folder", "safetensors"), ("model.pt2", r"pt2: z (N, 6) and labels (N) to images")):
        assert export(place / "cgan.ckpt", tmp_path / name) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("CGAN written to ")
        assert words in lines[0]
        assert lines[1].startswith("largest difference from PyTorch on random inputs: 0.0e+00 (allowed: 0.001)")
    assert {file.name for file in (tmp_path / "folder").iterdir()} >= {CONFIG, WEIGHTS}
    assert export(tmp_path / "folder", tmp_path / "again") == 0  # an export is as good as a checkpoint
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (tmp_path / "folder" / WEIGHTS).read_bytes()


def test_a_translator_keeps_both_directions_or_the_one_asked_for(place: Path, tmp_path: Path) -> None:
    assert export(place / "cyclegan.ckpt", tmp_path / "both") == 0
    assert export(place / "cyclegan.ckpt", tmp_path / "one", "--direction", "b_to_a") == 0
    assert export(place / "pix2pix.ckpt", tmp_path / "still", "--dropout", "false") == 0
    both, one, still = (gan_lightning.load(tmp_path / name) for name in ("both", "one", "still"))
    assert (both.directions, one.directions) == (("a_to_b", "b_to_a"), ("b_to_a",))
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(both.translate(images, "b_to_a"), one.translate(images))
    assert (still.policy.dropout, still.policy.batch_norm) == (False, "instance")


def test_evaluate_takes_an_export_for_its_checkpoint(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "cache"))
    assert export(place / "cgan.ckpt", tmp_path / "model") == 0
    numbers = []
    for fake in (place / "cgan.ckpt", tmp_path / "model"):
        how = ["--recipe", "fid20@digits", "--device", "cpu", "--json", str(tmp_path / "numbers.json")]
        assert main(["evaluate", str(place / "real"), str(fake), *how]) == 0
        numbers.append(json.loads((tmp_path / "numbers.json").read_text())["values"])
    assert numbers[0] == numbers[1]
    pictured = open_images(tmp_path / "model", 4, 0, torch.device("cpu"), None)  # by the commands of `plot`
    assert isinstance(pictured, GeneratedImages)


def test_translate_goes_on_with_an_export_for_its_checkpoint(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(place / "cyclegan.ckpt", tmp_path / "model") == 0
    how = ["--direction", "b_to_a", "--output", str(tmp_path / "out"), "--accelerator", "cpu"]
    assert main(["translate", str(place / "cyclegan.ckpt"), str(place / "photos"), *how]) == 0
    first, *_ = made = image_files(tmp_path / "out")
    assert len(made) == 20
    image = read_image(first)
    first.unlink()
    capsys.readouterr()
    assert main(["translate", str(tmp_path / "model"), str(place / "photos"), *how]) == 0
    assert "1 images translated" in capsys.readouterr().out
    assert torch.equal(read_image(first), image)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dann.ckpt", "out"], "makes no images"),
        (["photos", "out"], "is neither a run's folder with a checkpoint nor an export"),
        (["absent.ckpt", "out"], "there is no checkpoint"),
        (["cgan.ckpt", "photos"], "there is already"),
        (["cgan.ckpt", "out.safetensors"], "a folder of several files"),
        (["cgan.ckpt", "out", "--direction", "a_to_b"], "--direction is for models that translate"),
        (["cgan.ckpt", "out.pt2", "--dropout", "false"], "--dropout is for models that translate"),
        (["cyclegan.ckpt", "out", "--direction", "up"], "choose a_to_b or b_to_a"),
        (["pix2pix.ckpt", "out.onnx"], "--dropout false"),
        (["cgan.ckpt", "out", "--format", "gif"], "format"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    arguments: list[str], words: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    assert export(*arguments) == 2
    printed = said(capsys)
    assert words in printed
    assert len([line for line in printed.splitlines() if line.startswith("error: ")]) == 1
    assert sorted(place.rglob("*")) == before


def test_commands_refuse_an_export_of_the_wrong_kind(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(place / "cgan.ckpt", tmp_path / "cgan") == 0
    assert export(place / "cyclegan.ckpt", tmp_path / "cyclegan") == 0
    assert main(["translate", str(tmp_path / "cgan"), str(place / "photos")]) == 2
    assert "CGAN does not translate images" in said(capsys)
    assert main(["evaluate", str(place / "real"), str(tmp_path / "cyclegan"), "--recipe", "fid20@digits"]) == 2
    assert "holds a CycleGAN, which needs images to translate" in said(capsys)
