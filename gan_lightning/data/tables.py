"""Tables of attributes: a CSV file with a line for each image of a folder."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path, PurePath
from typing import NamedTuple

import torch
from torch import Tensor

from gan_lightning.data.files import Page, composed, shown

SPLIT = "split"
"""Name of the column that separates images to train on from others."""
MOST_VALUES = 32
"""Different values that a column may have, each of which becomes an attribute."""
_MOST_BYTES = 500_000_000  # of a table
_YES, _NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "-1", "-1.0", "false", "no"}
_TRAINING, _OTHERS = {"train", "training"}, {"test", "val", "valid", "validation", "eval", "evaluation", "dev"}


class Attributes(NamedTuple):
    """What a table says of a folder's images.

    Args:
        pages: the images that it names, in the order of its lines.
        targets: the attributes of each, int64 (N, K) of 0 and 1.
        names: of the attributes.
        held_back: bool (N,), the images that it sets apart from the training. None = it sets none apart.
        notes: sentences about images and columns that are left out.
    """

    pages: list[Page]
    targets: Tensor
    names: list[str]
    held_back: Tensor | None
    notes: list[str]


def read_attributes(
    folder: Path, images: Sequence[Page], table: Path, columns: Sequence[str] | None = None
) -> Attributes:
    """Read the attributes of a folder's images from a CSV file with a header.

    The first column has the files' names relative to the folder. Others hold 1 or 0 (or true and false, yes and no, 1
    and -1). A column `split` with train and test (or val, ...) sets images apart.

    Args:
        folder: the folder of the images.
        images: all images in it.
        table: the file.
        columns: names of the columns to take. Of a column that is not binary, each value becomes an attribute
            COLUMN=VALUE. None = all binary ones that vary.

    Raises:
        FileNotFoundError: the table is missing, or an image that it names.
        ValueError: the table is damaged, or has no such columns.
    """
    header, rows = _table(table)
    pages = {composed(page.name(folder)): page for page in images}
    lines = {_plain(fields[0]): fields for _, fields in rows}
    where = shown(table)
    if missing := [(line, fields[0]) for line, fields in rows if _plain(fields[0]) not in pages]:
        line, name = missing[0]
        raise FileNotFoundError(
            f"{where}, line {line}, names {name!r}, which is no image in {shown(folder)} ({len(missing):,} such "
            "lines): its first column has names relative to that folder"
        )
    if len(lines) < len(rows):
        line, name = next((line, fields[0]) for line, fields in rows if lines[_plain(fields[0])] is not fields)
        raise ValueError(
            f"{where}, line {line}, names {name!r}, and so does a later line: keep one line for each image"
        )
    notes = []
    if extra := len(pages) - len(lines):
        notes.append(f"{extra:,} images of {shown(folder)} have no line in {where}, and are left out")
    values = {name: [fields[i].strip() for fields in lines.values()] for i, name in enumerate(header) if i}
    split = _split(values.get(SPLIT, [])) if columns is None or SPLIT not in columns else None
    if split is not None:
        del values[SPLIT]
    chosen, others = _chosen(values, columns, where)
    if others:
        notes.append(f"columns that are not binary, or the same in all images, are left out: {', '.join(others)}")
    targets = torch.tensor(list(chosen.values())).T.contiguous()
    return Attributes([pages[name] for name in lines], targets, list(chosen), split, notes)


def _plain(name: str) -> str:
    return composed(PurePath(name.strip()).as_posix())


def _chosen(
    values: dict[str, list[str]], columns: Sequence[str] | None, where: str
) -> tuple[dict[str, list[int]], list[str]]:
    """Return the attributes by name, and the names of columns that are none."""
    chosen: dict[str, list[int]] = {}
    for name in values if columns is None else columns:
        if name not in values:
            raise ValueError(f"{where} has no column {name!r}: it has {', '.join(values)}")
        words = [word.lower() for word in values[name]]
        different = sorted(set(values[name]))
        if set(words) <= _YES | _NO:
            if columns is not None or len({word in _YES for word in words}) == 2:
                chosen[name] = [int(word in _YES) for word in words]
        elif columns is not None and len(different) <= MOST_VALUES:
            chosen |= {f"{name}={value}": [int(each == value) for each in values[name]] for value in different}
        elif columns is not None:
            raise ValueError(
                f"the column {name!r} of {where} has {len(different):,} different values, such as "
                f"{', '.join(different[:3])}, and an attribute is 0 or 1 (or one of {MOST_VALUES} values at most): "
                "leave it out"
            )
    if not chosen:
        raise ValueError(
            f"{where} has no column of attributes, with 0 or 1 in each line and not the same in all: it has "
            f"{', '.join(values) or 'none'}"
        )
    return chosen, [name for name in values if name not in chosen] if columns is None else []


def _split(words: Sequence[str]) -> Tensor | None:
    """Return which images a column sets apart from the training, or None if it does not do so."""
    lower = [word.lower() for word in words]
    if not set(lower) <= _TRAINING | _OTHERS or len({word in _TRAINING for word in lower}) < 2:
        return None
    return torch.tensor([word not in _TRAINING for word in lower])


def _table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Read a CSV file: the names of its columns, and its other lines by their numbers."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no table {shown(path)}: name a CSV file whose first column has file names")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        lines = list(_lines(path.read_text(encoding="utf-8-sig")))
        if len(lines) < 2:
            raise ValueError("it has no lines below its header")
        (_, header), *rows = lines
        header = [name.strip() for name in header]
        if len(header) < 2 or len(set(header)) < len(header) or not all(header[1:]):
            raise ValueError("its header is not a name of its own for each of two columns or more")
        for line, fields in rows:
            if len(fields) != len(header):
                raise ValueError(f"line {line} has {len(fields)} fields, and the header {len(header)}")
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{shown(path)} is no table of attributes ({error}): correct it, or name another") from error
    return header, rows


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(StringIO(text, newline=""), strict=True, skipinitialspace=True)
    for fields in reader:
        if fields:
            yield reader.line_num, fields
