"""`gan-lightning digits`."""

import csv
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.data.files import shown
from gan_lightning.data.images import write_png
from gan_lightning.metrics.strokes import stroke_measures
from gan_lightning.ranges import PositiveInt, checked

TABLE = "attributes.csv"
ABOVE = {"thickness": "thick", "slant": "slanted", "width": "wide"}
"""Attributes that are 1 where a measure is above the median of the digits that are written."""


@checked
def digits(
    folder: Path,
    n: PositiveInt | None = None,
    split: Literal["train", "reference"] = "train",
    image_size: PositiveInt = 32,
) -> None:
    """Write the handwritten digits that come with the package as files, with a table of attributes.

    The images are in sub-folders 0 to 9. The table attributes.csv has the measures of their strokes, in pixels and
    degrees; whether thickness, slant and width are above the median (thick, slanted, wide); and the digit (digit_0 to
    digit_9).

    Args:
        folder: Folder to write, which does not exist or is empty.
        n: Number of digits, the first ones. Null: all of the split.
        split: train, 8,000 digits, on which the configs of digits train; or reference, 2,000 others.
        image_size: Height and width; 32 as in the configs, 28 as in MNIST.

    Raises:
        ValueError: there are fewer digits.
        FileExistsError: the folder has something in it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"there is already {shown(folder)}, which is not an empty folder: name another")
    # by its name, as configs name it
    data = import_module("datamodules").Digits(image_size)
    storage = data.training_storage() if split == "train" else data.reference_storage()
    if n is not None and n > len(storage):
        raise ValueError(f"the split {split} has {len(storage):,} digits, and {n:,} are wanted: take fewer")
    images, labels = storage.batch(torch.arange(n or len(storage)))
    names = [f"{label}/{number:05d}.png" for number, label in enumerate(labels.tolist())]
    part = folder.with_name(f".{folder.name[:200]}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow encodes outside of Python's lock
            written = pool.map(lambda image, name: write_png(image, part / name), images, names)
            for _ in tqdm(written, total=len(names), desc="digits", unit="image", disable=None, delay=2):
                pass
        _write_table(part / TABLE, names, images, labels)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    print(f"{len(names):,} digits and their {TABLE} written into {shown(folder)}")


def _write_table(path: Path, names: list[str], images: Tensor, labels: Tensor) -> None:
    """Write the attributes of digits, uint8 (N, 1, H, W), as a CSV file."""
    measures = stroke_measures(images)
    columns: dict[str, list[str]] = {"file": names, "digit": [str(label) for label in labels.tolist()]}
    columns |= {name: [f"{value:.3f}" for value in values.tolist()] for name, values in measures.items()}
    columns |= {
        attribute: [str(int(above)) for above in measures[name] > measures[name].median()]
        for name, attribute in ABOVE.items()
    }
    columns |= {f"digit_{digit}": [str(int(label == digit)) for label in labels.tolist()] for digit in range(10)}
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([list(columns), *zip(*columns.values(), strict=True)])
