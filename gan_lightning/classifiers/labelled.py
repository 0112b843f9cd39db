"""Folders of images with labels: a sub-folder for each class, or a table of attributes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.classifiers.classifier import Kind
from gan_lightning.data.files import shown
from gan_lightning.data.images import to_channels
from gan_lightning.data.tables import read_attributes
from gan_lightning.evaluation.sources import FolderImages

LARGEST = 64
"""Pixels of a side that a classifier's images have at most, unless others are asked for."""


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
    """Read the attributes of a folder's images from a CSV file, as `gan_lightning.data.tables.read_attributes` says.

    Args:
        folder: the folder of the images.
        table: the file.
        columns: names of the columns to take. Of a column that is not binary, each value becomes an attribute
            COLUMN=VALUE. None = all binary ones that vary.

    Raises:
        FileNotFoundError: a file is missing, or named in the table and missing.
        ValueError: the table is damaged, or has no such columns.
    """
    images = FolderImages(folder)
    found = read_attributes(folder, images.files, table, columns)
    return Labelled(images.only(found.pages), found.targets, found.names, "attributes", found.held_back, found.notes)
