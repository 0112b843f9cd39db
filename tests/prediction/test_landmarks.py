"""`gan-lightning landmarks`: pictures from points and from a detector, and what it refuses."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch

from gan_lightning.data.images import write_png
from gan_lightning.data.landmarks import draw_landmarks, fitted_landmarks, parts_of, read_landmarks
from gan_lightning.prediction.landmarks import landmarks
from toys import read_png

POINTS = np.random.default_rng(0).uniform(2, 14, (68, 2)).round(2)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    for name in ("a/1", "b/2"):
        write_png(torch.randint(0, 256, (3, 16, 24), dtype=torch.uint8), tmp_path / "frames" / f"{name}.png")
        (tmp_path / "points" / name).parent.mkdir(parents=True)
        (tmp_path / "points" / f"{name}.json").write_text(json.dumps(POINTS.tolist()))
    return tmp_path / "frames"


def drawn(size: tuple[int, int]) -> torch.Tensor:
    return torch.from_numpy(draw_landmarks(fitted_landmarks(parts_of(POINTS), (16, 24), size), size).copy())


def test_points_become_pictures_in_the_same_sub_folders(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert landmarks(frames, out, points=tmp_path / "points") == 0
    assert torch.equal(read_png(out / "a" / "1.png"), drawn((16, 24)))
    (out / "a" / "1.png").write_bytes(b"kept")
    (out / "b" / "2.png").unlink()
    landmarks(frames, out, points=tmp_path / "points")
    assert (out / "a" / "1.png").read_bytes() == b"kept"
    assert torch.equal(read_png(out / "b" / "2.png"), drawn((16, 24)))


def test_a_frame_stands_beside_its_landmarks_at_any_size(frames: Path, tmp_path: Path) -> None:
    landmarks(frames, tmp_path / "out", points=tmp_path / "points", beside=True)
    both = read_png(tmp_path / "out" / "a" / "1.png")
    assert torch.equal(both[:, :, :24], read_png(frames / "a" / "1.png"))
    assert torch.equal(both[:, :, 24:], drawn((16, 24)))
    landmarks(frames, tmp_path / "small", points=tmp_path / "points", beside=True, size=8)
    small = read_png(tmp_path / "small" / "a" / "1.png")
    assert small.shape == (3, 8, 16)
    assert torch.equal(small[:, :, 8:], drawn((8, 8)))


def test_a_frame_without_points_is_skipped_with_a_sentence(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "points" / "a" / "1.json").unlink()
    assert landmarks(frames, tmp_path / "out", points=tmp_path / "points") == 1
    assert "a/1 has no file of points" in capsys.readouterr().out
    assert (tmp_path / "out" / "b" / "2.png").exists()


class Detector:
    """The part of face_alignment.FaceAlignment that is used."""

    def __init__(self, kind: str, device: str, flip_input: bool, compile: bool) -> None:
        assert (kind, device) == ("2d", "cpu")

    def get_landmarks_from_image(self, image: np.ndarray) -> list[np.ndarray] | None:
        assert image.shape == (16, 24, 3)
        assert image.dtype == np.uint8
        return [POINTS / 4, POINTS] if image[0, 0, 0] else None  # a small face, and a large one


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module: Any = ModuleType("face_alignment")
    module.FaceAlignment, module.LandmarksType = Detector, SimpleNamespace(TWO_D="2d")
    monkeypatch.setitem(sys.modules, "face_alignment", module)
    return module


def test_the_detectors_largest_face_is_drawn_or_written(frames: Path, tmp_path: Path, package: ModuleType) -> None:
    write_png(torch.zeros(3, 16, 24, dtype=torch.uint8), frames / "none.png")
    write_png(torch.full((3, 16, 24), 9, dtype=torch.uint8), frames / "a" / "1.png")
    write_png(torch.full((3, 16, 24), 9, dtype=torch.uint8), frames / "b" / "2.png")
    assert landmarks(frames, tmp_path / "out", device="cpu") == 1
    assert torch.equal(read_png(tmp_path / "out" / "a" / "1.png"), drawn((16, 24)))
    assert not (tmp_path / "out" / "none.png").exists()
    landmarks(frames, tmp_path / "written", as_points=True, device="cpu")
    found = read_landmarks(tmp_path / "written" / "b" / "2.json")
    np.testing.assert_allclose(np.concatenate([*found.values()]), POINTS)


def test_a_missing_detector_and_missing_weights_are_named(
    frames: Path, tmp_path: Path, package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    package.FaceAlignment = offline
    with pytest.raises(ConnectionError, match=r"could not be fetched \(no network\).*--points"):
        landmarks(frames, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    with pytest.raises(ModuleNotFoundError, match=r"gan_lightning\[landmarks\]"):
        landmarks(frames, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_does_not_fit_together(frames: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leave --size and --beside out"):
        landmarks(frames, tmp_path / "out", as_points=True, size=8)
    with pytest.raises(ValueError, match="lies in"):
        landmarks(frames, frames / "out", points=tmp_path / "points")
    with pytest.raises(FileNotFoundError, match="nothing"):
        landmarks(tmp_path / "nothing", tmp_path / "out", points=tmp_path / "points")
