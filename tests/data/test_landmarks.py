"""Landmarks: three forms of files, wrong ones, moving with the image, drawing."""

import json
from pathlib import Path

import numpy as np
import pytest

from gan_lightning.data.landmarks import PARTS, draw_landmarks, fitted_landmarks, parts_of, read_landmarks

POINTS = np.arange(136.0).reshape(68, 2) / 4


def test_the_three_forms_say_the_same(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", POINTS)
    (tmp_path / "b.csv").write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in POINTS))
    (tmp_path / "c.json").write_text(json.dumps(POINTS.tolist()))
    parts = parts_of(POINTS)
    (tmp_path / "d.json").write_text(json.dumps({name: line.tolist() for name, line in parts.items()}))
    (tmp_path / "e.csv").write_text(
        "part,x,y\n" + "".join(f"{name},{x},{y}\n" for name, line in parts.items() for x, y in line)
    )
    for file in sorted(tmp_path.iterdir()):
        found = read_landmarks(file)
        assert found.keys() == PARTS.keys()
        assert all(np.array_equal(found[name], parts[name]) for name in PARTS), file
    assert sum(map(len, parts.values())) == 68
    assert parts["left_eye"].tolist() == POINTS[42:48].tolist()


def test_parts_may_be_missing_and_of_any_length(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("part,x,y\nleft_eye,1,2\n\nleft_eye, 3 ,4\nouter_lips,5,6\n")
    found = read_landmarks(tmp_path / "a.csv")
    assert {name: line.tolist() for name, line in found.items()} == {
        "left_eye": [[1, 2], [3, 4]],
        "outer_lips": [[5, 6]],
    }


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.csv", b"", "header"),
        ("a.csv", b"x,y\n1,2\n", r"\(1, 2\)"),
        ("a.csv", b"part,x,y\nthird_eye,1,2\n", "third_eye"),
        ("a.csv", b"part,x,y\nleft_eye,1\n", "3 values"),
        ("a.csv", b"part,x,y\nleft_eye,1,a\n", "convert"),
        ("a.csv", b"part,x,y\nleft_eye,1,inf\n", "finite"),
        ("a.csv", b"part,x,y\n", "no points"),
        ("a.csv", b"\xff\xfe\x00", "decode"),
        ("a.json", b"{", "Expecting"),
        ("a.json", b"[" * 100_000, "recursion"),
        ("a.json", b'{"left_eye": [[1, 2], [3]]}', "left_eye|inhomogeneous"),
        ("a.json", b'{"left_eye": [1, 2]}', "pairs"),
        ("a.json", b'"text"', "float"),
        ("a.json", b"[" + b" " * (1 << 20) + b"]", "1 MB"),
        ("a.npy", b"nothing", "no array of numbers"),
    ],
)
def test_wrong_files_are_one_sentence_with_their_name(tmp_path: Path, name: str, content: bytes, match: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"(?s)a\.\w+ does not hold landmarks \(.*({match}).*68 points") as error:
        read_landmarks(tmp_path / name)
    assert "\n" not in str(error.value)


def test_an_array_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="does not hold landmarks"):
        read_landmarks(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.full((68, 2), "1"))
    with pytest.raises(ValueError, match="pairs of numbers"):
        read_landmarks(tmp_path / "b.npy")


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("crop", (2 * 10 + 0.5 - 40, 2 * 3 + 0.5)),  # twice as large, and 40 columns cut off on each side
        ("stretch", (10 * 40 / 60 + 20 / 60 - 0.5 + 1 / 3 - 1 / 3, 2 * 3 + 0.5)),
        ("pad", (10 * 40 / 60 + 20 / 60 - 0.5, 3 * 2 / 3 + 1 / 3 - 0.5 + (40 - 20 * 2 / 3 * 1) / 2 - 0)),
    ],
)
def test_points_move_as_the_image_does(fit: str, expected: tuple[float, float]) -> None:
    # an image of 20x60 pixels becomes 40x40
    moved = fitted_landmarks({"jaw": np.array([[10.0, 3.0]])}, (20, 60), (40, 40), fit)["jaw"][0]  # type: ignore[arg-type]
    assert moved == pytest.approx(expected)


def test_lines_are_drawn_where_the_points_are_each_part_in_its_colour() -> None:
    row = np.array([[4.0, 10.0], [12.0, 10.0]])
    column = np.array([[20.0, 4.0], [20.0, 12.0]])
    picture = draw_landmarks({"left_eyebrow": row, "jaw": column}, (24, 32))
    assert picture.shape == (3, 24, 32)
    assert picture.dtype == np.uint8
    lit = picture.max(axis=0)
    assert lit[10, 5:12].min() > 120
    assert lit[5:12, 20].min() > 120
    assert lit[:8, :16].max() == 0
    assert np.ptp(picture[:, 10, 8] / lit[10, 8] - picture[:, 8, 20] / lit[8, 20]) > 0.5


def test_eyes_and_lips_are_closed_lines() -> None:
    square = np.array([[4.0, 4.0], [20.0, 4.0], [20.0, 20.0], [4.0, 20.0]])
    closed, opened = (draw_landmarks({name: square}, (24, 24)).max(axis=0) for name in ("left_eye", "jaw"))
    assert closed[12, 4] > 120
    assert opened[12, 4] == 0


def test_points_outside_and_single_points_are_no_error() -> None:
    picture = draw_landmarks(
        {"jaw": np.array([[-50.0, -50.0], [100.0, 1e6]]), "left_eye": np.array([[8.0, 8.0]])}, (16, 16)
    )
    assert picture[:, 8, 8].max() > 60
