"""Folders of images with labels: a sub-folder for each class, or a table of attributes."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path, PurePath
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.classifiers.classifier import Kind
from gan_lightning.data.files import composed, shown
from gan_lightning.data.images import to_channels
from gan_lightning.evaluation.sources import FolderImages

LARGEST = 64
"""Pixels of a side that a classifier's images have at most, unless others are asked for."""
SPLIT = "split"
"""Name of the column that separates images to train on from others."""
MOST_VALUES = 32
"""Different values that a column may have, each of which becomes an attribute."""
_MOST_BYTES = 500_000_000  # of a table
_YES, _NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "-1", "-1.0", "false", "no"}
_TRAINING, _OTHERS = {"train", "training"}, {"test", "val", "valid", "validation", "eval", "evaluation", "dev"}


class Labelled(NamedTuple):
    """Images of a folder, and what is known of them.

    Args:
        images: the images, in the order of the targets.
        targets: class of each, int64 (N,), or its attributes, int64 (N, K) of 0 and 1.
        names: of the classes or attributes.
        kind: "classes" or "attributes".
        held_back: bool (N,), the images that a table sets apart from the training. None = it sets none apart.
        notes: sentences about images and columns that are left out.
    """

    images: FolderImages
    targets: Tensor
    names: list[str]
    kind: Kind
    held_back: Tensor | None = None
    notes: Sequence[str] = ()

    def pixels(self, size: tuple[int, int], channels: int | None = None) -> Tensor:
        """Read all images, resized until they cover a height and width, and cut to the middle; uint8 (N, C, H, W).

        Args:
            size: height and width.
            channels: 1 or 3. None = 1 if all are grey, else 3.

        Raises:
            ValueError: an image cannot be read.
        """
        images = self.images.resized(size)
        parts = []
        with tqdm(total=len(images), desc="reading images", unit="image", disable=None, delay=2) as bar:
            for batch in images:
                part = batch.images
                parts.append(to_channels(part, channels or (1 if part.shape[1] < 3 else 3)))
                bar.update(len(part))
        most = max(part.shape[1] for part in parts)
        return torch.cat([to_channels(part, most) for part in parts])

    def own_size(self) -> tuple[int, int]:
        """Return height and width of the first image, each at most 64."""
        first = next(self.images.decoded())
        return min(first.shape[1], LARGEST), min(first.shape[2], LARGEST)


def classes_of(folder: Path) -> Labelled:
    """Take the sub-folders of a folder for classes.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
        ValueError: an image is in no sub-folder, or there is one only.
    """
    images = FolderImages(folder, labelled=True)
    names = images.classes or []
    if len(names) < 2:
        raise ValueError(
            f"all images of {shown(folder)} are of the class {names[0]!r}, and a classifier tells classes apart: add "
            "the sub-folder of another class, or name a table of attributes (--attributes)"
        )
    number = {name: index for index, name in enumerate(names)}
    labels = [number[page.file.relative_to(folder).parts[0]] for page in images.files]
    return Labelled(images, torch.tensor(labels), names, "classes")


def attributes_of(folder: Path, table: Path, columns: Sequence[str] | None = None) -> Labelled:
    """Read the attributes of a folder's images from a CSV file with a header.

    The first column has the files' names relative to the folder. Others hold 1 or 0 (or true and false, yes and no, 1
    and -1). A column `split` with train and test (or val, ...) sets images apart.

    Args:
        folder: the folder of the images.
        table: the file.
        columns: names of the columns to take. Of a column that is not binary, each value becomes an attribute
            COLUMN=VALUE. None = all binary ones that vary.

    Raises:
        FileNotFoundError: a file is missing, or named in the table and missing.
        ValueError: the table is damaged, or has no such columns.
    """
    header, rows = _table(table)
    images = FolderImages(folder)
    pages = {composed(page.name(folder)): page for page in images.files}
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
    return Labelled(images.only([pages[name] for name in lines]), targets, list(chosen), "attributes", split, notes)


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
