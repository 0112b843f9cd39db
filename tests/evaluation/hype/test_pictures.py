import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_lightning.evaluation.hype import pictures as module
from gan_lightning.evaluation.hype.pictures import Pictures


def chunks(png: bytes) -> set[bytes]:
    """The kinds of chunks in a PNG file."""
    kinds, at = set(), 8
    while at < len(png):
        kinds.add(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return kinds


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_both_kinds_are_treated_alike(folders: tuple[Path, Path]) -> None:
    pictures = Pictures(*folders, seed=0)
    pictures.check()
    assert pictures.size == (32, 32)
    for names, real in ((pictures.real, True), (pictures.fake, False)):
        assert len(names) == 20
        png = pictures.png(names[0], real)
        assert pixels(png).shape == (32, 32, 3)
        assert chunks(png) == {b"IHDR", b"IDAT", b"IEND"}
        assert b"secret" not in png
        assert b"camera" not in png


def test_pixels_of_fakes_stay_as_they_are(folders: tuple[Path, Path]) -> None:
    pictures = Pictures(*folders, seed=0)
    pictures.check()
    name = pictures.fake[3]
    assert (pixels(pictures.png(name, False)) == np.asarray(Image.open(folders[1] / name))).all()


def test_larger_images_are_covered_and_cropped_to_the_middle(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    real, fake = tmp_path / "real", tmp_path / "fake"
    for folder, values in ((real, wide), (fake, wide[:10, :10])):
        folder.mkdir()
        Image.fromarray(values).save(folder / "a.png")
    pictures = Pictures(real, fake, seed=0)
    pictures.check()
    shown = pixels(pictures.png("a.png", True))
    assert shown.shape == (10, 10, 3)
    assert shown.min() > 200


def test_depth_transparency_and_grey(tmp_path: Path) -> None:
    files = {
        "deep.png": Image.fromarray(np.full((4, 4), 257 * 100, np.uint16)),
        "grey.png": Image.new("L", (4, 4), 7),
        "clear.png": Image.new("RGBA", (4, 4), (10, 20, 30, 0)),
        "half.png": Image.new("LA", (4, 4), (0, 51)),
    }
    for folder in ("real", "fake"):
        (tmp_path / folder).mkdir()
        for name, image in files.items():
            image.save(tmp_path / folder / name)
    pictures = Pictures(tmp_path / "real", tmp_path / "fake", seed=0)
    pictures.check()
    values = {"deep.png": 100, "grey.png": 7, "clear.png": 255, "half.png": 204}
    for name, value in values.items():
        assert (pixels(pictures.png(name, True)) == value).all(), name


def test_large_folders_are_drawn_from(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POOL", 5)
    first, again, other = (Pictures(*folders, seed) for seed in (0, 0, 1))
    assert len(set(first.real)) == 5
    assert (first.real, first.fake) == (again.real, again.fake)
    assert first.real != other.real


def test_images_that_cannot_be_shown(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    Image.new("RGB", (40, 31)).save(tmp_path / "small/a.png")
    with pytest.raises(ValueError, match=r"a\.png has 40x31 pixels, fewer than the 32x32"):
        Pictures(tmp_path / "small", folders[1], 0).check()

    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/b.png").write_bytes((folders[1] / "secret/made0.png").read_bytes()[:-400])
    with pytest.raises(ValueError, match=r"b\.png cannot be read"):
        Pictures(folders[0], tmp_path / "broken", 0).check()


def test_folders_that_make_no_study(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        Pictures(folders[0], tmp_path / "nothing", 0)
    with pytest.raises(FileNotFoundError, match="holds no images"):
        Pictures(tmp_path, folders[1], 0)
    with pytest.raises(ValueError, match="the same folder"):
        Pictures(folders[0], folders[0] / ".", 0)
