"""Label maps: image files whose grey levels or colours say the class of each pixel."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from gan_lightning.data.files import shown

LARGEST = 256
"""The largest number of classes: a label map is stored with 8 bits a pixel."""
_COLOUR = 256  # added to the 24 bits of a colour, so that no code of a colour is that of a grey level
_FORM = re.compile(r"#[0-9a-fA-F]{6}")
_SHOWN = 5  # codes that an error lists


@dataclass(frozen=True)
class LabelCodes:
    """The grey level or the colour of each class in label files; see `code_of` for the form of a code.

    Args:
        classes: the code of each class, in the order of the classes.
        void: codes of pixels that are of no class. If there are any, these pixels are one more class, the last.

    Raises:
        ValueError: there are no classes or too many, a code comes twice, or grey levels stand beside colours.
    """

    classes: tuple[int, ...]
    void: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        codes = self.classes + self.void
        named = ", ".join(map(name_of, codes[:_SHOWN])) + (", ..." if len(codes) > _SHOWN else "")
        if not 2 <= self.num_classes <= LARGEST or not self.classes:
            raise ValueError(f"label maps have 2 to {LARGEST} classes, and not {self.num_classes}: name their codes")
        if len({*codes}) < len(codes):
            raise ValueError(f"the labels {named} name a class twice: give each class, and void, labels of its own")
        if len({code >= _COLOUR for code in codes}) > 1:
            raise ValueError(f"the labels {named} are grey levels and colours: give one kind for all classes and void")

    @classmethod
    def of(cls, classes: Sequence[int | str], void: Sequence[int | str] = ()) -> Self:
        """Make it of grey levels 0 to 255, or of colours such as "#ff8000"."""
        return cls(tuple(map(code_of, classes)), tuple(map(code_of, void)))

    @property
    def num_classes(self) -> int:
        """The number of classes, with void if there is any."""
        return len(self.classes) + bool(self.void)

    @property
    def table(self) -> dict[int, int]:
        """The class of each code."""
        return dict(zip(self.classes, range(len(self.classes)), strict=True)) | dict.fromkeys(
            self.void, len(self.classes)
        )


def code_of(label: int | str) -> int:
    """Return the code of a grey level 0 to 255, which is the level, or of a colour such as "#ff8000".

    Raises:
        ValueError: it is neither.
    """
    if isinstance(label, str) and _FORM.fullmatch(label):
        return _COLOUR + int(label[1:], 16)
    if isinstance(label, int) and 0 <= label < _COLOUR:
        return label
    raise ValueError(f"{label!r} is no label: give a grey level from 0 to 255, or a colour such as '#ff8000'")


def name_of(code: int) -> str:
    """Return a code as `code_of` takes it, in text."""
    return str(code) if code < _COLOUR else f"#{code - _COLOUR:06x}"


def colour_of(code: int) -> tuple[int, int, int] | None:
    """Return red, green and blue, 0 to 255 each, of a colour's code; None for a grey level."""
    return None if code < _COLOUR else ((code - _COLOUR) >> 16, (code - _COLOUR) >> 8 & 255, (code - _COLOUR) & 255)


def read_palette(file: Path) -> tuple[list[str], list[str]]:
    """Read the colours and the names of classes from a text file: one class a line, such as `#804080 road`.

    Returns:
        The colours as "#rrggbb", and the names; a class without a name has that of its colour.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line does not begin with a colour.
    """
    colours, names = [], []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{shown(file)} is not text: write one class a line, such as '#804080 road'") from None
    for number, line in enumerate(lines, start=1):
        colour, _, name = line.strip().partition(" ")
        if not colour:
            continue
        if not _FORM.fullmatch(colour):
            raise ValueError(
                f"line {number} of {shown(file)} begins with {colour!r}: begin it with a colour, '#rrggbb'"
            )
        colours.append(colour)
        names.append(name.strip() or colour)
    return colours, names


def classes_of(values: np.ndarray, table: Mapping[int, int]) -> np.ndarray:
    """Return the class of each pixel of a label map.

    Args:
        values: uint8 or uint16, (H, W) or (H, W, C), of 1 to 4 channels: grey, grey and alpha, RGB, RGBA. Transparency
            is not looked at.
        table: the class of each code. 16 bits become 8 where codes are colours.

    Returns:
        uint8 (H, W).

    Raises:
        ValueError: a pixel has a code that is not in the table. The message names no file.
    """
    planes = values.reshape(*values.shape[:2], -1)
    colours = planes[..., :3] if planes.shape[2] > 2 else planes[..., :1]
    coloured = any(code >= _COLOUR for code in table)
    if coloured:
        eight = (colours.astype(np.int64) + 128) // 257 if values.dtype == np.uint16 else colours.astype(np.int64)
        red, green, blue = np.broadcast_to(eight, (*eight.shape[:2], 3)).transpose(2, 0, 1)
        codes = _COLOUR + (red << 16) + (green << 8) + blue
    elif (colours != colours[..., :1]).any():
        raise ValueError("it has colours, and the labels are grey levels: name the colours by a palette")
    else:
        codes = colours[..., 0].astype(np.int64)
    found, where = np.unique(codes, return_inverse=True)
    strange = [code for code in found.tolist() if code not in table]
    if strange:
        kind, known = ("colours", "the palette") if coloured else ("grey levels", "the labels of the classes")
        named = ", ".join(f"#{code - _COLOUR:06x}" if coloured else str(code) for code in strange[:_SHOWN])
        raise ValueError(
            f"it has {len(strange)} {kind} that are not in {known}: {named}{', ...' if len(strange) > _SHOWN else ''}; "
            "add them, as a class or as void, or fix the file"
        )
    return np.array([table[code] for code in found.tolist()], np.uint8)[where].reshape(codes.shape)
