"""Folders with labels: classes by sub-folders, attributes by a table, and all that a table may lack."""

from pathlib import Path

import pytest
import torch

from gan_lightning.classifiers.labelled import attributes_of, classes_of
from gan_lightning.data.images import write_png


def image(path: Path, value: int, channels: int = 1, size: tuple[int, int] = (8, 10)) -> None:
    write_png(torch.full((channels, *size), value, dtype=torch.uint8), path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        image(tmp_path / "images" / "sub" / f"{number}.png", 40 * number)
    return tmp_path / "images"


def table(folder: Path, text: str) -> Path:
    path = folder.parent / "table.csv"
    path.write_text(text)
    return path


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    for number, name in enumerate(("cat", "dog", "cat", "emu")):
        image(tmp_path / name / "deep" / f"{number}.png", number)
    found = classes_of(tmp_path)
    assert (found.names, found.targets.tolist(), found.kind) == (["cat", "dog", "emu"], [0, 0, 1, 2], "classes")
    assert found.pixels((8, 10))[:, 0, 0, 0].tolist() == [0, 2, 1, 3]
    assert found.held_back is None
    image(tmp_path / "loose.png", 0)
    with pytest.raises(ValueError, match=r"loose\.png is in no class"):
        classes_of(tmp_path)


def test_one_class_is_none(folder: Path) -> None:
    with pytest.raises(
        ValueError, match=r"all images of .* are of the class 'sub', and a classifier tells classes apart"
    ):
        classes_of(folder)


def test_a_table_gives_attributes(folder: Path) -> None:
    text = (
        "name, hat ,smile,hair,age,same,Split\n"
        "sub/3.png,1,TRUE,black,31.5,1,x\n"
        "./sub/0.png,0,false,red,2,1,x\n"
        '"sub/1.png",-1,Yes,"black",3,1,x\n'
        "\n"
        "sub/5.png,1.0,no,red,4,1,x\n"
    )
    found = attributes_of(folder, table(folder, "\ufeff" + text))
    assert (found.names, found.kind) == (["hat", "smile"], "attributes")
    assert found.targets.tolist() == [[1, 1], [0, 0], [0, 1], [1, 0]]
    assert found.pixels((8, 10))[:, 0, 0, 0].tolist() == [120, 0, 40, 200]
    assert found.own_size() == (8, 10)
    assert "2 images" in found.notes[0]
    assert found.notes[1].endswith("left out: hair, age, same, Split")
    chosen = attributes_of(folder, table(folder, text), ["hair", "same"])
    assert (chosen.names, chosen.targets.tolist()) == (
        ["hair=black", "hair=red", "same"],
        [[1, 0, 1], [0, 1, 1], [1, 0, 1], [0, 1, 1]],
    )
    assert len(chosen.notes) == 1


def test_a_column_split_sets_images_apart(folder: Path) -> None:
    rows = [f"sub/{number}.png,{word},{number % 2}" for number, word in enumerate(["train", "test", "Train", "val"])]
    found = attributes_of(folder, table(folder, "\n".join(["file,split,hat", *rows])))
    assert found.held_back is not None
    assert found.held_back.tolist() == [False, True, False, True]
    assert found.names == ["hat"]
    same = attributes_of(
        folder, table(folder, "\n".join(["file,split,hat", *rows[::2]]).replace("2.png,Train,0", "2.png,train,1"))
    )
    assert same.held_back is None


def test_images_are_converted(tmp_path: Path) -> None:
    image(tmp_path / "a" / "0.png", 7, channels=3, size=(20, 40))
    image(tmp_path / "b" / "0.png", 9, channels=1)
    image(tmp_path / "b" / "1.png", 255, channels=4)
    found = classes_of(tmp_path)
    assert found.pixels((4, 4)).shape == (3, 3, 4, 4)
    assert found.pixels((4, 6), 1)[:, 0, 0, 0].tolist() == [7, 9, 255]
    image(tmp_path / "a" / "0.png", 7, channels=1, size=(100, 70))
    (tmp_path / "b" / "1.png").unlink()
    grey = classes_of(tmp_path)
    assert grey.pixels((4, 4)).shape[1] == 1
    assert grey.own_size() == (64, 64)


@pytest.mark.parametrize(
    ("text", "columns", "sentence"),
    [
        ("", None, r"table\.csv is no table of attributes \(it has no lines below its header\)"),
        ("file,hat", None, "no lines below its header"),
        ("file\nsub/0.png", None, "its header is not a name of its own"),
        ("file,hat,hat\nsub/0.png,1,0", None, "its header is not a name of its own"),
        ("file,hat\nsub/0.png,1,0", None, "line 2 has 3 fields, and the header 2"),
        ('file,hat\nsub/0.png,"1', None, "is no table of attributes"),
        ("file,hat\nsub/0.png,1\nsub/0.png,0", None, r"names 'sub/0\.png', and so does a later line"),
        ("file,hat\nsub/0.png,x\nsub/1.png,y", None, "has no column of attributes, .* it has hat"),
        ("file,hat\nsub/0.png,1\nsub/1.png,0", ["hut"], "has no column 'hut': it has hat"),
        ("file,hat\nsub/0.png,1\nsub/1.png,0", ["file"], "has no column 'file'"),
    ],
)
def test_a_damaged_table(folder: Path, text: str, columns: list[str] | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        attributes_of(folder, table(folder, text), columns)


def test_other_mistakes(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"line 3, names '\.\./x\.png', which is no image in .*2 such lines"):
        attributes_of(folder, table(folder, "file,hat\nsub/0.png,1\n../x.png,0\nsub/9.png,1"))
    with pytest.raises(FileNotFoundError, match="there is no table"):
        attributes_of(folder, tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00,1\n")
    with pytest.raises(ValueError, match=r"bytes\.csv is no table"):
        attributes_of(folder, tmp_path / "bytes.csv")
    (tmp_path / "nul.csv").write_bytes(b"file,hat\nsub/0.png,\0\n")
    with pytest.raises(ValueError, match=r"nul\.csv"):
        attributes_of(folder, tmp_path / "nul.csv")
    for number in range(40):
        image(folder / "sub" / f"{number}.png", number)
    ages = "\n".join(["file,age", *(f"sub/{number}.png,{number}" for number in range(40))])
    with pytest.raises(ValueError, match=r"column 'age' .* has 40 different values, such as 0, 1, 10"):
        attributes_of(folder, table(folder, ages), ["age"])
