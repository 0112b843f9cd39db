"""Images as files in a folder or a zip archive, each whole or not at all; and as one picture."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from gan_lightning.data.files import shown, unlike, write_whole
from gan_lightning.data.images import write_png

RECORD = "samples.json"
MOST_PIXELS = 100_000_000
"""Pixels that one picture may have."""
_LONGEST_RECORD = 1_000_000  # bytes


class ImageStore:
    """A folder, or a .zip archive, of PNG or other files that were all made with the same settings.

    Files are written whole or not at all, and those that are there are kept, so that stopped work goes on. The settings
    stand in samples.json. An archive is filled beside itself, in the folder `NAME.zip.parts`, and is written on exit.

    Args:
        out: the folder, or the file if its name ends in .zip.
        settings: all that the images depend on, as JSON has it.

    Raises:
        FileExistsError: there is a folder or an archive that holds something else, or images with other settings.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self.out = out
        self.archived = out.suffix.lower() == ".zip"
        self.folder = out.with_name(f"{out.name}.parts") if self.archived else out
        self.settings = dict(settings)
        self._held: set[str] = set()  # names in the archive
        if self.archived and out.exists():
            self._held = self._read_archive()
        if self.folder.exists():
            self._check_folder()

    def __contains__(self, name: str) -> bool:
        """Return whether the store has an image of this name, a relative path."""
        return name in self._held or (self.folder / name).exists()

    def __enter__(self) -> Self:
        record = self.folder / RECORD
        if not record.exists():
            write_whole(record, lambda part: part.write_text(json.dumps(self.settings, indent=2) + "\n"))
        return self

    def fill(
        self,
        names: Iterable[str],
        batches: Iterable[Tensor],
        write: Callable[[Tensor, Path], None] = write_png,
    ) -> None:
        """Write images, those of a batch while the next one is made.

        Args:
            names: relative paths, one for each image, with the suffix of the files that `write` writes.
            batches: uint8 (n, C, H, W), or outputs of another kind (n, ...).
            write: writes one of them as a file, whole or not at all.
        """
        left = iter(names)
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow encodes outside of Python's lock
            written: list[Future[None]] = []
            for batch in batches:
                _finish(written)
                written = [pool.submit(write, image, self.folder / next(left)) for image in batch.cpu()]
            _finish(written)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.archived and kind is None:
            write_whole(self.out, self._pack)
            shutil.rmtree(self.folder)

    def _pack(self, part: Path) -> None:
        """Write the archive: its present content, and the files of the folder."""
        if self.out.exists():
            shutil.copyfile(self.out, part)
        with zipfile.ZipFile(part, "a") as archive:  # PNG files are compressed already
            for file in sorted(self.folder.rglob("*")):
                name = file.relative_to(self.folder).as_posix()
                if file.is_file() and not file.name.startswith(".") and name not in self._held:
                    archive.write(file, name)

    def _read_archive(self) -> set[str]:
        try:
            with zipfile.ZipFile(self.out) as archive:
                held = set(archive.namelist())
                size = archive.getinfo(RECORD).file_size if RECORD in held else 0
                then = archive.read(RECORD) if 0 < size <= _LONGEST_RECORD else None
        except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
            raise FileExistsError(
                f"{shown(self.out)} is there already, and is no archive that can be read ({error}): give another name"
            ) from error
        self._compare(self.out, then)
        return held

    def _check_folder(self) -> None:
        if not self.folder.is_dir():
            raise FileExistsError(f"{shown(self.folder)} is a file: name a folder, a .zip or a .png")
        record = self.folder / RECORD
        if record.is_file():
            self._compare(self.folder, record.read_bytes() if record.stat().st_size <= _LONGEST_RECORD else None)
        elif any(self.folder.iterdir()):
            self._compare(self.folder, None)

    def _compare(self, where: Path, then: bytes | None) -> None:
        if (reason := unlike(where, RECORD, then, self.settings)) is not None:
            raise FileExistsError(reason)


def _finish(written: Iterable[Future[None]]) -> None:
    """Wait for files, and raise the error of the first that could not be written."""
    for file in written:
        file.result()


def tiled(images: Iterable[Tensor], count: int, columns: int, gap: int = 2) -> Tensor:
    """Return images as one picture, row by row on black.

    Args:
        images: batches of uint8 images (n, C, H, W), `count` in all.
        count: number of images.
        columns: number of images side by side.
        gap: pixels around each.

    Returns:
        uint8 (C, H', W').

    Raises:
        ValueError: the picture would have more than 100 million pixels.
    """
    picture: Tensor | None = None
    place = 0
    columns = min(columns, count)
    for batch in images:
        height, width = batch.shape[2] + gap, batch.shape[3] + gap
        if picture is None:
            size = (-(-count // columns) * height + gap, columns * width + gap)
            check_size(*size)
            picture = torch.zeros(batch.shape[1], *size, dtype=torch.uint8)
        for image in batch.cpu():
            top, left = place // columns * height + gap, place % columns * width + gap
            picture[:, top : top + height - gap, left : left + width - gap] = image
            place += 1
    assert picture is not None
    return picture


def check_size(height: int, width: int) -> None:
    """Raise ValueError if a picture of this height and width, in pixels, is too large to be written."""
    if height * width > MOST_PIXELS:
        raise ValueError(
            f"one picture of {width:,}x{height:,} pixels is too large: show fewer images, or write them as files into "
            "a folder"
        )
