import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from gan_lightning.demo.settings import Settings, one_image
from gan_lightning.inference import ImageName

MOVED = Settings(ImageName(7, 12), 3, 0.7, 0.8, (0.0, -1.5))


def test_a_file_gives_back_the_settings(tmp_path: Path) -> None:
    for settings in (MOVED, Settings(ImageName(0))):
        file = tmp_path / "picture.json"
        file.write_text(settings.as_json())
        assert Settings.load(file) == settings


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"kind": "other"}, "say so"),
        ({"image": "0-5"}, "6 images"),
        ({"image": {}}, "names no image"),
        ({"class": "cat"}, "cat"),
        ({"class": True}, "True"),
        ({"psi": "much"}, "much"),
        ({"psi": float("nan")}, "nan"),
        ({"truncation": []}, "truncation"),
        ({"directions": {"0": 1}}, "numbered from 1"),
        ({"directions": {"99999999": 1}}, "numbered from 1"),
        ({"directions": {"1": "far"}}, "far"),
        ({"directions": [1]}, "picture"),
    ],
)
def test_other_files_are_refused_in_one_sentence(change: dict[str, Any], word: str, tmp_path: Path) -> None:
    file = tmp_path / "picture.json"
    file.write_text(json.dumps(json.loads(MOVED.as_json()) | change))
    with pytest.raises(ValueError, match=word) as refusal:
        Settings.load(file)
    assert "holds no settings of a picture" in str(refusal.value)


@pytest.mark.parametrize("content", ["", "5", "[]", "{}", "[" * 90_000, "x" * 200_000])
def test_damaged_files_are_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "picture.json"
    file.write_text(content)
    with pytest.raises(ValueError, match="holds no settings of a picture"):
        Settings.load(file)
    with pytest.raises(FileNotFoundError, match="absent"):
        Settings.load(tmp_path / "absent.json")


def test_the_command_names_all_that_is_not_the_default() -> None:
    plain = Settings(ImageName(7)).command("a folder/run")
    assert shlex.split(plain) == ["gan-lightning", "sample", "a folder/run", "pictures", "--seeds", "7"]
    whole = Settings(ImageName(7, 12), 3, 0.7, 0.8).command("run")
    assert whole == "gan-lightning sample run pictures --seeds 7:12 --classes 3 --truncation 0.7 --psi 0.8"
    moved = MOVED.command("run", Path("sefa.safetensors"))
    assert moved == "gan-lightning demo run --settings image-7-12-class-3.json --directions sefa.safetensors"


def test_one_image_is_named() -> None:
    assert one_image(" 7:12 ") == ImageName(7, 12)
    with pytest.raises(ValueError, match="2 images"):
        one_image("3,4")
