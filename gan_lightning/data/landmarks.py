"""Landmarks of faces: files of points, and their pictures, in which each part of a face is a line of its own colour.

A file holds the points of one image, in pixels as column and row; (0, 0) is the middle of the image's first pixel.

    .csv   a header `part,x,y` and a row for each point, in the order of the part's line;
           or a header `x,y` and 68 rows
    .json  {"left_eye": [[x, y], ...], ...}; or a list of 68 points [x, y]
    .npy   an array (68, 2)

The parts are those of `PARTS`; any of them may be missing. The 68 points are those of the 300-W challenge (Sagonas et
al., 2013), which most detectors find. Left and right are those of the person.
"""

import colorsys
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from gan_lightning.data.files import open_file, shown

Landmarks: TypeAlias = Mapping[str, np.ndarray]
"""The points of each part, float64 (P, 2), column and row in pixels."""


class Part(NamedTuple):
    """A part of a face among the 68 points."""

    first: int
    end: int  # one past its last point
    closed: bool  # whether its line returns to the first point


PARTS: Mapping[str, Part] = {
    "jaw": Part(0, 17, False),
    "right_eyebrow": Part(17, 22, False),
    "left_eyebrow": Part(22, 27, False),
    "nose_bridge": Part(27, 31, False),
    "nose_tip": Part(31, 36, False),
    "right_eye": Part(36, 42, True),
    "left_eye": Part(42, 48, True),
    "outer_lips": Part(48, 60, True),
    "inner_lips": Part(60, 68, True),
}
COUNT = 68
SUFFIXES = (".csv", ".json", ".npy")
"""The suffixes of files of points."""
_COLOURS = {
    name: tuple(round(255 * value) for value in colorsys.hsv_to_rgb(number / len(PARTS), 1.0, 1.0))
    for number, name in enumerate(PARTS)
}
_WIDTH = 0.012  # of a line, as a share of the shorter side
_FINE = 4  # lines are drawn at this multiple of the size, and scaled down
_LARGEST = 1 << 20  # bytes of a file of points


def read_landmarks(file: Path) -> Landmarks:
    """Read a file of points: see the module for the forms.

    Raises:
        ValueError: it has none of these forms, or cannot be read. The error names the file.
    """
    try:
        with open_file(file) as stream:
            content = stream.read(_LARGEST + 1)
            if len(content) > _LARGEST:
                raise ValueError("it is larger than 1 MB")
            if file.suffix.lower() == ".npy":
                return parts_of(_array(stream))
        text = content.decode("utf-8-sig")
        return _from_csv(text) if file.suffix.lower() == ".csv" else _from_json(json.loads(text))
    except (OSError, ValueError, TypeError, EOFError, RecursionError) as error:  # damaged JSON and arrays: ValueErrors
        raise ValueError(
            f"{shown(file)} does not hold landmarks ({' '.join(str(error).split())}): write {COUNT} points x,y, or "
            f"rows part,x,y with the parts {', '.join(PARTS)}"
        ) from error


def _array(stream: BinaryIO) -> np.ndarray:
    stream.seek(0)
    try:
        return np.asarray(np.load(stream, allow_pickle=False))
    except (ValueError, EOFError):  # NumPy's advice on pickled objects would have code of the file run
        raise ValueError("it is no array of numbers") from None


def parts_of(points: np.ndarray) -> Landmarks:
    """Split 68 points, (68, 2), into parts.

    Raises:
        ValueError: there are not 68 points, or one is not finite.
    """
    if points.shape != (COUNT, 2):
        raise ValueError(f"it has points of shape {tuple(points.shape)}, not ({COUNT}, 2)")
    return _checked({name: points[part.first : part.end] for name, part in PARTS.items()})


def _from_csv(text: str) -> Landmarks:
    header, *rows = [row for row in csv.reader(text.splitlines()) if row] or [[]]
    header = [name.strip() for name in header]
    if header == ["x", "y"]:
        return parts_of(np.array([[float(value) for value in row] for row in rows]))
    if header != ["part", "x", "y"]:
        raise ValueError(f"its header is {','.join(header)[:60]!r}, not 'x,y' or 'part,x,y'")
    found: dict[str, list[list[float]]] = {}
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"the row {','.join(row)[:60]!r} does not have 3 values")
        found.setdefault(row[0].strip(), []).append([float(value) for value in row[1:]])
    return _checked({name: np.array(points) for name, points in found.items()})


def _from_json(content: object) -> Landmarks:
    if isinstance(content, dict):
        return _checked({str(name): np.array(points, dtype=np.float64) for name, points in content.items()})
    return parts_of(np.array(content, dtype=np.float64))


def _checked(parts: Landmarks) -> Landmarks:
    if unknown := parts.keys() - PARTS.keys():
        raise ValueError(f"it has the unknown part {sorted(unknown)[0][:40]!r}")
    if not parts:
        raise ValueError("it has no points")
    for name, points in parts.items():
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 1 or points.dtype.kind not in "fiu":
            raise ValueError(f"the points of {name} are not pairs of numbers")
        if not np.isfinite(points).all() or np.abs(points).max() > 1e6:
            raise ValueError(f"a point of {name} is not a finite number of pixels")
    return {name: points.astype(np.float64) for name, points in parts.items()}


def fitted_landmarks(
    parts: Landmarks, source: Sequence[int], size: Sequence[int], fit: Literal["crop", "stretch", "pad"] = "crop"
) -> Landmarks:
    """Move landmarks with their image, which is brought from one size to another.

    Args:
        parts: landmarks in the image.
        source: height and width of the image, in pixels.
        size: height and width that it is brought to.
        fit: "crop" covers the size and keeps the middle, "stretch" changes the aspect ratio, "pad" keeps the whole
            image.
    """
    ratio = np.array([size[1] / source[1], size[0] / source[0]])
    scale = {"crop": ratio.max(), "pad": ratio.min(), "stretch": ratio}[fit]
    offset = (np.array([size[1], size[0]]) - scale * np.array([source[1], source[0]])) / 2
    return {name: (points + 0.5) * scale + offset - 0.5 for name, points in parts.items()}


def draw_landmarks(parts: Landmarks, size: Sequence[int]) -> np.ndarray:
    """Draw landmarks on black: each part as a line of its own colour, closed for eyes and lips. One point is a dot.

    Args:
        parts: the landmarks. Those outside the picture are cut off.
        size: height and width of the picture, in pixels.

    Returns:
        uint8 (3, height, width).
    """
    height, width = size
    canvas = Image.new("RGB", (_FINE * width, _FINE * height))
    pen = ImageDraw.Draw(canvas)
    thickness = max(_FINE, round(_FINE * _WIDTH * min(size)))
    for name in PARTS:  # in one order, so that crossings look alike
        if name not in parts:
            continue
        points = [*map(tuple, _FINE * (parts[name] + 0.5))]
        line = [*points, points[0]] if PARTS[name].closed else points
        pen.line(line, fill=_COLOURS[name], width=thickness, joint="curve")
        if len(points) == 1:
            pen.circle(points[0], thickness / 2, fill=_COLOURS[name])
    return np.asarray(canvas.reduce(_FINE)).transpose(2, 0, 1)
