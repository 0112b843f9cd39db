"""Folders and files of shapes: occupancy in .npy, .npz or .binvox, labelled or not, with pictures or without."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from scipy.ndimage import binary_fill_holes
from torch import Tensor
from torch.nn.functional import adaptive_max_pool3d, pad

from datamodules.cache import decode_cached
from datamodules.decode import Channels, Decoder
from datamodules.folders import FolderModule, listed
from datamodules.storage import Pixels, Storage, digest
from gan_lightning.data.batches import Batch, DepictedBatch, VoxelBatch, batch_length, map_fields, map_pictures
from gan_lightning.data.files import Page, composed, image_files, open_file, shown
from gan_lightning.data.images import as_channels, cover, to_float
from gan_lightning.data.voxels import SUFFIXES, array_shape, read_arrays, read_voxels
from gan_lightning.ranges import PositiveInt, ShareBelowOne

Up = Literal["x", "y", "z"]
META = "meta.json"
_LONGEST_META = 100_000_000  # bytes
_WORD = re.compile(r"\w+")
_AXES: Mapping[Up, tuple[int, int, int]] = {"x": (1, 0, 2), "y": (0, 1, 2), "z": (0, 2, 1)}


@lru_cache(maxsize=2)
def _shapes(file: Path, key: str | None, stamp: tuple[int, int]) -> np.ndarray:
    return read_voxels(file, key)


@lru_cache(maxsize=2)
def _pictures(file: Path, key: str, stamp: tuple[int, int]) -> np.ndarray:
    found = read_arrays(file, [key]) if file.suffix.lower() == ".npz" else {}
    if key not in found:
        raise ValueError(f"{shown(file)} has no array {key!r} of pictures: name one of an .npz by picture_key")
    values = found[key]
    if values.dtype != np.uint8 or values.ndim != 4 or values.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"{key} in {shown(file)} is {values.dtype} of shape {values.shape}, and pictures are uint8 (N, H, W, C) "
            "with 1, 3 or 4 channels: write such an array"
        )
    return values


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def fitted(shape: np.ndarray, size: int) -> np.ndarray:
    """Bring a shape, bool (X, Y, Z), to a cube of `size` voxels a side.

    A shape with a side longer than `size` is reduced as a whole: a voxel is occupied if any of those that it stands for
    is. Then it is laid into the middle of empty space.
    """
    longest = max(shape.shape)
    grid = torch.from_numpy(np.ascontiguousarray(shape)).float()[None]
    if longest > size:
        grid = adaptive_max_pool3d(grid, [max(1, round(side * size / longest)) for side in shape.shape])
    margins: list[int] = []
    for side in reversed(grid.shape[1:]):
        margins += [(size - side) // 2, size - side - (size - side) // 2]
    return pad(grid, margins)[0].numpy() > 0


@dataclass(frozen=True)
class VoxelDecoder(Decoder):
    """Decodes one shape of a file to uint8 (1, S, S, S), 0 or 255; `size` is (S, S).

    Args:
        key: the array of an .npz; None = see `gan_lightning.data.voxels.read_voxels`.
        up: the axis of the file that points upwards; it becomes y.
        solid: fill the space that a surface closes off.
    """

    key: str | None = None
    up: Up = "y"
    solid: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of every array: (1, S, S, S)."""
        return (1, *(self.size[0],) * 3)

    def __call__(self, image: Path | Page) -> np.ndarray:
        """Return the shape in a file, or number `page.number` of a file with several."""
        page = image if isinstance(image, Page) else Page(image)
        shape = _shapes(page.file, self.key, _stamp(page.file))[(page.number or 1) - 1].transpose(_AXES[self.up])
        cube = fitted(shape, self.size[0])
        if self.solid:
            cube = binary_fill_holes(cube)
        return cube[None].astype(np.uint8) * 255


@dataclass(frozen=True)
class PictureDecoder(Decoder):
    """Decodes the picture of a shape from an array beside it, to uint8 (C, H, W).

    Args:
        key: the array in the shape's .npz, uint8 (N, H, W, C).
    """

    key: str = ""

    def __call__(self, image: Path | Page) -> np.ndarray:
        """Return the picture of the shape in a file, or of number `page.number` of a file with several."""
        page = image if isinstance(image, Page) else Page(image)
        values = torch.from_numpy(_pictures(page.file, self.key, _stamp(page.file))[(page.number or 1) - 1])
        return cover(as_channels(values.permute(2, 0, 1)[None], self.channels)[0], self.size).numpy()


class VoxelStorage(Storage):
    """Shapes and, if there are any, their labels and pictures.

    Raises:
        ValueError: there are more or fewer labels or pictures than shapes.
    """

    def __init__(self, voxels: Pixels, labels: Tensor | None = None, pictures: Pixels | None = None):
        for name, others in (("labels", labels), ("pictures", pictures)):
            if others is not None and len(others) != len(voxels):
                raise ValueError(f"{len(voxels)} shapes have {len(others)} {name}: give each shape exactly one")
        self.voxels, self.labels, self.pictures = voxels, labels, pictures
        beside = ["voxels", *([] if labels is None else [labels.numpy()])]
        beside += [] if pictures is None else [pictures.fingerprint]
        self.fingerprint = digest(voxels.fingerprint, *beside)

    def __len__(self) -> int:
        return len(self.voxels)

    def batch(self, rows: Tensor) -> VoxelBatch | DepictedBatch:
        """Return the shapes, labels and pictures at `rows`."""
        voxels, labels = self.voxels.take(rows), None if self.labels is None else self.labels[rows]
        if self.pictures is None:
            return VoxelBatch(voxels, labels)
        return DepictedBatch(self.pictures.take(rows), voxels, labels)

    def class_labels(self) -> Mapping[str, Tensor]:
        """Return the labels of the shapes."""
        return {} if self.labels is None else {"labels": self.labels}

    def subset(self, rows: np.ndarray) -> "VoxelStorage":
        """Return the shapes at `rows`."""
        labels = None if self.labels is None else self.labels[rows]
        pictures = None if self.pictures is None else self.pictures.subset(rows)
        return VoxelStorage(self.voxels.subset(rows), labels, pictures)


class VoxelFolder(FolderModule):
    """Shapes as occupancy, from a folder or from one file: for models that make shapes.

    Files are .npy and .npz with one shape (X, Y, Z) or many (N, X, Y, Z), and .binvox. An .npz may hold bits that
    `numpy.packbits` packed along the last axis, beside an array "shape" with the whole shape. All shapes are brought to
    `size` and decoded once into a cache.

    Args:
        train: folder of the training shapes, in sub-folders of any depth, or one file.
        test: folder or file of the reference shapes; null holds out a share of `train`.
        holdout: share of `train` that is the reference set and not trained on, if `test` is null; with 0, all shapes
            are both trained on and evaluated against.
        size: voxels along each side of the grids that networks see. Larger shapes are reduced as a whole, where a voxel
            is occupied if any part of it is; smaller ones lie in the middle of empty space.
        up: axis of the files that points upwards; it becomes y.
        solid: fill the space that surfaces close off.
        labels: the labels of the shapes. "folder": the sub-folders of `train` are the classes. Any other word: the
            field of this name in meta.json, a list with an object for each shape in the order of the files, beside the
            file or in the folder. Null: none.
        where: only shapes whose field in meta.json has one of these words, such as {name: [chair, stool]}; whole words,
            without regard to upper case. Null: all shapes.
        key: the array of an .npz; null: "voxels" or "vox", or the only one.
        turn: turn each training shape by 0, 90, 180 or 270 degrees around the upright axis, at random.
        mirror: mirror each training shape left to right with probability 1/2.
        cache_dir: where decoded shapes are kept; null means the environment variable GAN_LIGHTNING_CACHE or
            ~/.cache/gan_lightning.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference and seed of `ImageDataModule`.
    """

    batch_type: ClassVar[type[Batch]] = VoxelBatch
    train: Path
    test: Path | None

    def __init__(
        self,
        train: Path,
        *,
        test: Path | None = None,
        holdout: ShareBelowOne = 0.1,
        size: PositiveInt = 64,
        up: Up = "y",
        solid: bool = False,
        labels: str | None = None,
        where: dict[str, list[str]] | None = None,
        key: str | None = None,
        turn: bool = False,
        mirror: bool = False,
        cache_dir: Path | None = None,
        **kwargs: Any,
    ):
        if kwargs.get("flip"):
            raise ValueError("flip: true mirrors images; mirror: true mirrors shapes")
        super().__init__(size, holdout, cache_dir, **kwargs)
        self.train, self.test = Path(train), None if test is None else Path(test)
        self.labels, self.where = labels, where
        self.turn, self.mirror = turn, mirror
        self.decoder = VoxelDecoder((size, size), 1, 8, "crop", key=key, up=up, solid=solid)
        self._listed: dict[Path, list[Page]] = {}
        self._meta: dict[Path, list[Mapping[str, Any]]] = {}
        self._classes: list[str] | None = None

    def prepare_data(self) -> None:
        """Decode every shape, in one process of each machine.

        Raises:
            ValueError: a file would be both trained on and evaluated against, or a storage raises it.
        """
        if self.test is not None:
            trained, tested = ({page.file.resolve() for page in self._pages(at)} for at in (self.train, self.test))
            if both := sorted(trained & tested):
                raise ValueError(
                    f"{shown(both[0])} is in both {shown(self.train)} and {shown(self.test)}: take it out of one, or "
                    "give no test, to hold out a share of the other"
                )
        self.training_storage()
        self.reference_storage()

    @property
    def classes(self) -> list[str]:
        """Names of the classes of the training shapes, sorted."""
        if self._classes is None:
            pages = self._chosen_pages(self.train)
            self._classes = sorted({self._label(self.train, *each) for each in pages}) if self.labels else []
        return self._classes

    @property
    def num_classes(self) -> int | None:
        """Number of classes; None if there are no labels."""
        return len(self.classes) if self.labels else None

    def training_storage(self) -> VoxelStorage:
        """Load the shapes of `train`, without those that are held out."""
        items = self._load(self.train)
        return items.subset(self._split_rows(len(items))[0]) if self.test is None and self.holdout else items

    def reference_storage(self) -> VoxelStorage:
        """Load the shapes of `test`, or those that are held out of `train`."""
        if self.test is not None:
            return self._load(self.test)
        items = self._load(self.train)
        return items.subset(self._split_rows(len(items))[1]) if self.holdout else items

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Turn and mirror shapes in training, and make float32 in [-1, 1] of integers."""
        if self.trainer is not None and self.trainer.training and (self.turn or self.mirror):
            draws = self.draws_for(batch)
            none = torch.zeros(batch_length(batch), dtype=torch.int64)
            turns = draws.integers(0, 4) if self.turn else none
            mirrored = draws.integers(0, 2) if self.mirror else none
            batch = map_fields(
                batch, lambda field, values: turned(values, turns, mirrored) if field.role.is_picture else values
            )
        return map_pictures(batch, to_float)

    # ------------------------------------------------------------------ finding shapes

    def _load(self, place: Path) -> VoxelStorage:
        chosen = self._chosen_pages(place)
        pages = [page for _, page in chosen]
        labels = None
        if self.labels:
            number = {name: index for index, name in enumerate(self.classes)}
            names = [self._label(place, *each) for each in chosen]
            if unknown := sorted({*names} - number.keys()):
                raise ValueError(
                    f"{shown(place)} has shapes of classes that {shown(self.train)} has not ({listed(unknown)}): train "
                    "on shapes of all classes"
                )
            labels = torch.tensor([number[name] for name in names])
        voxels = decode_cached(_root(place), pages, self.decoder, self.cache_dir)
        return VoxelStorage(voxels, labels, self._pictures_of(place, pages))

    def _pictures_of(self, place: Path, pages: Sequence[Page]) -> Pixels | None:
        return None

    def _chosen_pages(self, place: Path) -> list[tuple[int, Page]]:
        """Return the shapes that `where` keeps, with their numbers among all, in the order of the files."""
        numbered = list(enumerate(self._pages(place)))
        for field, words in (self.where or {}).items():
            wanted = {word.lower() for word in words}
            words_of = (self._field(place, number, field).lower() for number, _ in numbered)
            numbered = [each for each, text in zip(numbered, words_of, strict=True) if wanted & {*_WORD.findall(text)}]
        if not numbered:
            raise ValueError(f"no shape of {shown(place)} fits where={self.where}: name other words, or leave it out")
        return numbered

    def _pages(self, place: Path) -> list[Page]:
        """Return all shapes of a folder or a file, in the order of the files."""
        if place not in self._listed:
            if not place.exists():
                raise FileNotFoundError(f"there is no {shown(place)}: name a folder of shapes, or one file")
            files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if _counts(path, place))
            if not files or files[0].suffix.lower() not in SUFFIXES:
                raise FileNotFoundError(
                    f"there is no shape in {shown(place)}: name a folder with files of {', '.join(sorted(SUFFIXES))}"
                )
            self._listed[place] = [page for file in files for page in self._pages_of(file)]
        return self._listed[place]

    def _pages_of(self, file: Path) -> list[Page]:
        if file.suffix.lower() == ".binvox" or len(array_shape(file) or ()) == 3:
            return [Page(file)]
        count = len(_shapes(file, self.decoder.key, _stamp(file)))
        return [Page(file)] if count == 1 else [Page(file, number) for number in range(1, count + 1)]

    def _label(self, place: Path, number: int, page: Page) -> str:
        if self.labels != "folder":
            return self._field(place, number, str(self.labels))
        inside = page.file.relative_to(_root(place)).parts[:-1]
        if not inside:
            raise ValueError(
                f"{page} is in no class: put it into a sub-folder of {shown(place)}, or set labels to null or to a "
                f"field of {META}"
            )
        return composed(inside[0])

    def _field(self, place: Path, number: int, name: str) -> str:
        if place not in self._meta:
            self._meta[place] = _read_meta(_root(place) / META, len(self._pages(place)))
        value = self._meta[place][number].get(name)
        if not isinstance(value, str | int):
            raise ValueError(f"entry {number} of {shown(_root(place) / META)} has no {name!r}: name another field")
        return str(value)


class DepictedVoxels(VoxelFolder):
    """Shapes with a picture of each, for models that make a shape from a picture.

    Args:
        train: see `VoxelFolder`.
        pictures: folder of pictures with the names of the shapes' files (and any suffix), for shapes in one file each.
            Null: they are an array in the shapes' .npz.
        picture_key: array of the pictures in an .npz, uint8 (N, H, W, C).
        image_size: height and width of the pictures that networks see.
        channels: of the pictures: 1 grey, 3 RGB, 4 RGBA. With 1 or 3, transparent pictures are laid over white.
        kwargs: the other arguments of `VoxelFolder`, without `test`, `turn` and `mirror`: a turned shape would not be
            that of its picture.
    """

    batch_type: ClassVar[type[Batch]] = DepictedBatch

    def __init__(
        self,
        train: Path,
        *,
        pictures: Path | None = None,
        picture_key: str = "pictures",
        image_size: PositiveInt = 64,
        channels: Channels = 3,
        **kwargs: Any,
    ):
        for name in ("test", "turn", "mirror"):
            if kwargs.get(name):
                raise ValueError(f"{name} is not for shapes with pictures: leave it out")
        super().__init__(train, **kwargs)
        self.pictures = None if pictures is None else Path(pictures)
        side = (image_size, image_size)
        self.picture_decoder = (
            PictureDecoder(side, channels, key=picture_key) if pictures is None else Decoder(side, channels)
        )

    def _pictures_of(self, place: Path, pages: Sequence[Page]) -> Pixels:
        if self.pictures is None:
            return decode_cached(_root(place), pages, self.picture_decoder, self.cache_dir)
        beside = {composed(str(f.relative_to(self.pictures).with_suffix(""))): f for f in image_files(self.pictures)}
        names = [composed(page.name(_root(place), suffix=False)) for page in pages]
        if missing := [name for name in names if name not in beside]:
            raise ValueError(
                f"{len(missing)} of {len(names)} shapes have no picture in {shown(self.pictures)} ({listed(missing)}): "
                "put an image of the same name there"
            )
        return decode_cached(self.pictures, [beside[name] for name in names], self.picture_decoder, self.cache_dir)


def turned(values: Tensor, turns: Tensor, mirrored: Tensor) -> Tensor:
    """Turn shapes (N, C, X, Y, Z) around y, each by a number of quarter turns, int64 (N,), and mirror some along x."""
    result = values.clone()
    for quarters in range(4):
        for side in (0, 1):
            rows = ((turns == quarters) & (mirrored == side)).nonzero().flatten().to(values.device)
            if len(rows):
                part = torch.rot90(values[rows], quarters, dims=(2, 4))
                result[rows] = part.flip(2) if side else part
    return result


def _root(place: Path) -> Path:
    return place if place.is_dir() else place.parent


def _counts(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()


def _read_meta(file: Path, count: int) -> list[Mapping[str, Any]]:
    """Read the list of objects about shapes.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no such list, or has another length.
    """
    if not file.is_file():
        raise FileNotFoundError(
            f"there is no {shown(file)}, from which labels and `where` come: write it, or leave both out"
        )
    if file.stat().st_size > _LONGEST_META:
        raise ValueError(f"{shown(file)} is larger than {_LONGEST_META:,} bytes: shorten it")
    try:
        with open_file(file) as opened:
            entries = json.loads(opened.read())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{shown(file)} is not JSON ({error}): write a list with an object for each shape") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries) or len(entries) != count:
        found = len(entries) if isinstance(entries, list) else "no list"
        raise ValueError(f"{shown(file)} has {found} entries for {count} shapes: write a list with an object for each")
    return entries
