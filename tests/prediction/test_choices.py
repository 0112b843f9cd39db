"""Choices by name: from the command line to folders, their sub-folders and their record."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.cli.commands import main
from gan_lightning.data.files import image_files, read_image, write_image
from gan_lightning.export import load, save
from gan_lightning.inference import Choice, DomainTranslator, StyleTranslator, Translator
from gan_lightning.inference.stored import as_example
from gan_lightning.prediction import named_choices, translate_folder, translate_image
from toys import BrightnessClassifier, DomainNetwork, ExampleNetwork, StyleNetwork, trainer

NAMES = ["hat", "beard", "glasses"]
STYLED = StyleTranslator(StyleNetwork())
EXAMPLED = StyleTranslator(ExampleNetwork())
DOMAINS = DomainTranslator(DomainNetwork(), ["noto", "a,b", "fluent"])
ATTRIBUTES = DomainTranslator(DomainNetwork(), NAMES, [], BrightnessClassifier())


def grey(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, height, width), generator=generator).to(torch.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed, name in enumerate(["a.png", "b/c.png"]):
        write_image(grey(8, 10, seed), tmp_path / "photos" / name)
    return tmp_path / "photos"


def names(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in image_files(folder)}


def translated(translator: Translator, photos: Path, out: Path, **chosen: Any) -> Any:
    choices = named_choices(translator, **chosen)
    return translate_folder(translator, photos, out, trainer=trainer(out.parent), choices=choices)


@pytest.mark.parametrize(
    ("translator", "given", "found"),
    [
        (DOMAINS, {}, [""]),
        (DOMAINS, {"to": "fluent"}, ["fluent"]),
        (DOMAINS, {"to": "a,b"}, ["a,b"]),
        (DOMAINS, {"to": "fluent,noto"}, ["fluent", "noto"]),
        (DOMAINS, {"to": "all"}, ["noto", "a,b", "fluent"]),
        (ATTRIBUTES, {"to": "hat+no_beard, glasses"}, ["hat+no_beard", "glasses"]),
        (STYLED, {"style_seed": "3"}, ["style-3"]),
        (STYLED, {"style_seed": "0-2,7"}, ["style-0", "style-1", "style-2", "style-7"]),
    ],
)
def test_choices_have_the_names_that_were_given(translator: Translator, given: Any, found: list[str]) -> None:
    assert [*named_choices(translator, **given)] == found


@pytest.mark.parametrize(
    ("translator", "given", "said"),
    [
        (DOMAINS, {"to": "hat"}, r"no target 'hat': its domains are noto, a,b, fluent"),
        (DOMAINS, {"style_seed": "1"}, r"--style_seed has no meaning for this model, which takes --to: leave it out"),
        (STYLED, {"to": "hat"}, r"--to has no meaning for this model, which takes --style_seed or --example"),
        (STYLED, {"style_seed": "few"}, r"'few' is neither a number nor a range"),
        (STYLED, {"style_seed": "1", "example": Path("a")}, r"--style_seed and --example both choose the style"),
        (STYLED, {"example": Path("absent.png")}, r"there is no example absent\.png: name an image"),
        (EXAMPLED, {}, r"takes the style from an example: name an image, or a folder of them, by --example"),
        (EXAMPLED, {"style_seed": "1"}, r"--style_seed has no meaning for this model, which takes --example"),
        (Translator(nn.Conv2d(1, 1, 1)), {"to": "b"}, r"no meaning for this model, which leaves no choice: leave it"),
    ],
)
def test_a_wrong_choice_is_one_sentence(translator: Translator, given: Any, said: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        named_choices(translator, **given)


def test_a_direction_without_styles_is_named() -> None:
    both = StyleTranslator(nn.ModuleDict({"a_to_b": StyleNetwork(), "b_to_a": nn.Conv2d(1, 1, 1)}))
    with pytest.raises(ValueError, match=r"--style_seed has no meaning for this model in the direction b_to_a"):
        named_choices(both, "b_to_a", style_seed="1")


def test_an_example_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"text\.png cannot be read"):
        named_choices(STYLED, example=tmp_path / "text.png")
    with pytest.raises((ValueError, FileNotFoundError), match="empty"):
        named_choices(STYLED, example=tmp_path / "empty")
    for name in ("a.png", "a.tif"):
        write_image(grey(4, 4), tmp_path / "twice" / name)
    with pytest.raises(ValueError, match="have the same name: rename one"):
        named_choices(STYLED, example=tmp_path / "twice")


def test_one_choice_needs_no_sub_folder_and_several_have_one_each(photos: Path, tmp_path: Path) -> None:
    assert translated(DOMAINS, photos, tmp_path / "one", to="fluent").made == 2
    assert names(tmp_path / "one") == {"a.png", "b/c.png"}
    assert translated(DOMAINS, photos, tmp_path / "several", to="all").made == 6
    assert names(tmp_path / "several") == {f"{to}/{name}" for to in DOMAINS.targets for name in ("a.png", "b/c.png")}
    for file in image_files(photos):
        name = file.relative_to(photos)
        made = read_image(tmp_path / "several" / "fluent" / name)
        assert torch.equal(made, read_image(tmp_path / "one" / name))
        assert torch.equal(made, translate_image(DOMAINS, read_image(file), choice=Choice(to="fluent")))
    assert translated(DOMAINS, photos, tmp_path / "several", to="all") == (0, 6, [])


def test_the_record_holds_the_choices_and_other_ones_are_refused(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    translated(STYLED, photos, out, style_seed="0,1")
    chosen = json.loads((out / "translation.json").read_text())["choices"]
    assert chosen == {f"style-{n}": {"to": None, "style_seed": n, "example": None} for n in (0, 1)}
    for given in ({}, {"style_seed": "0"}, {"example": photos / "a.png"}):
        with pytest.raises(FileExistsError, match=r"made with other settings \(choices; see translation\.json"):
            translated(STYLED, photos, out, **given)
    translated(STYLED, photos, tmp_path / "two", example=photos)
    chosen = json.loads((tmp_path / "two" / "translation.json").read_text())["choices"]
    assert chosen.keys() == {"a", "b/c"}
    assert chosen["a"]["example"] != chosen["b/c"]["example"]
    assert names(tmp_path / "two") == {f"{each}/{name}" for each in ("a", "b/c") for name in ("a.png", "b/c.png")}


def test_without_a_choice_a_style_follows_the_name(photos: Path, tmp_path: Path) -> None:
    write_image(read_image(photos / "a.png"), photos / "same.png")
    translated(STYLED, photos, tmp_path / "out")
    again = read_image(tmp_path / "out" / "a.png")
    assert not torch.equal(again, read_image(tmp_path / "out" / "same.png"))
    translated(STYLED, photos, tmp_path / "more")
    assert torch.equal(again, read_image(tmp_path / "more" / "a.png"))


def test_all_tiles_of_an_image_have_the_same_code() -> None:
    image = grey(40, 36)
    image[:, :, 18:] = 255  # one half is bright, and the other mostly not
    for choice in (Choice(), Choice(style_seed=3), Choice(example=torch.rand(1, 1, 4, 4))):
        whole = translate_image(STYLED, image, choice=choice, seed=1)
        tiled = translate_image(STYLED, image, tile=16, overlap=4, choice=choice, seed=1)
        assert (whole.int() - tiled.int()).abs().max() <= 1
    image[:, :20] = 0
    image[:, 20:] = 120
    deep = torch.stack([image[0], torch.full_like(image[0], 255)]).int() * 257
    assert translate_image(ATTRIBUTES, deep.to(torch.uint16), tile=16, choice=Choice(to="hat")).shape == (2, 40, 36)
    whole, tiled = (translate_image(ATTRIBUTES, image, tile=tile, choice=Choice(to="hat")) for tile in (64, 16))
    assert (whole.int() - tiled.int()).abs().max() <= 1


@pytest.mark.parametrize("shape", [(1, 9, 7), (3, 8, 8), (4, 1, 1), (2, 2000, 30)])
def test_an_example_of_any_size_fits_the_network(shape: tuple[int, int, int]) -> None:
    example = as_example(torch.randint(0, 256, shape).to(torch.uint8), STYLED.network())
    assert example.shape[:2] == (1, 1)
    assert not any(side % 2 or not 2 <= side <= 512 for side in example.shape[2:])
    network = StyleNetwork()
    network.example_channels, network.example_size = 3, (6, 4)  # type: ignore[assignment]
    assert as_example(torch.zeros(shape, dtype=torch.uint8), network).shape == (1, 3, 6, 4)


@pytest.mark.parametrize(
    ("translator", "flags", "folders"),
    [
        (DOMAINS, ["--to=fluent"], [""]),
        (ATTRIBUTES, ["--to", "hat+no_beard,glasses"], ["hat+no_beard/", "glasses/"]),
        (STYLED, ["--style_seed", "0-1"], ["style-0/", "style-1/"]),
        (STYLED, ["--style_seed", "3"], [""]),
        (EXAMPLED, ["--example", "{photos}/a.png"], [""]),
    ],
)
def test_an_export_is_translated_by_a_choice(
    translator: Translator, flags: list[str], folders: list[str], photos: Path, tmp_path: Path
) -> None:
    save(translator, tmp_path / "model")
    loaded: Any = load(tmp_path / "model", trusted="toys")
    assert loaded.targets == translator.targets
    flags = [flag.format(photos=photos) for flag in flags]
    command = ["translate", str(tmp_path / "model"), str(photos), "--trusted=toys", "--accelerator=cpu", *flags]
    assert main([*command, f"--output={tmp_path / 'out'}"]) == 0
    assert names(tmp_path / "out") == {f"{folder}{name}" for folder in folders for name in ("a.png", "b/c.png")}
    assert main(command) == 0
    (place,) = (tmp_path / "predictions").iterdir()
    label = flags[-1].rpartition("=")[2]
    ending = {"fluent": "-fluent", "3": "-style-3", f"{photos}/a.png": "-a"}.get(label, "")
    assert place.name == f"photos{ending}"


def test_a_wrong_choice_ends_the_command(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(DOMAINS, tmp_path / "model")
    assert main(["translate", str(tmp_path / "model"), str(photos), "--trusted=toys", "--to=emoji"]) == 2
    assert "no target 'emoji': its domains are noto, a,b, fluent" in capsys.readouterr().err
    assert not (tmp_path / "predictions").exists()
