"""Folders of your own images: labelled or not, paired, unpaired. Seven formats, any size and shape.

The formats are PNG, JPEG, TIFF, WebP, GIF, BMP and PPM (with PBM, PGM, PNM, PFM). Each page of a TIFF file is an image;
animations are refused. All images are decoded once into a cache on disk (see `datamodules.cache`) in one way
(`datamodules.decode.Decoder`). Every bad file is reported before the first step. If there is no test folder, a share of
the training images is held out as the reference set: a random choice that is equal in every run with the same files.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from datamodules.base import ImageDataModule, random_rows, stored_size
from datamodules.cache import decode_cached
from datamodules.decode import Channels, Decoder, Fit, Region, TileDecoder
from datamodules.storage import ClassesInTurn, ImageStorage, PairedStorage, Pixels, UnpairedStorage
from gan_lightning.data.batches import Batch, PairedBatch, UnpairedBatch
from gan_lightning.data.files import Page, composed, matched, open_image, pages, refuse_shared, shown
from gan_lightning.ranges import PositiveInt, ShareBelowOne

Items = TypeVar("Items", Pixels, ImageStorage, PairedStorage)

_FEWEST_HELD = 4  # images, of a set of 16 or more: precision and recall look at three neighbours
_SHOWN = 5  # names that an error lists


class FolderModule(ImageDataModule):
    """Base class of all kinds of folders, with the hold-out and the cache."""

    train: Path | tuple[Path, Path | None]
    test: Path | tuple[Path, Path | None] | None

    def __init__(
        self,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt],
        holdout: ShareBelowOne,
        cache_dir: Path | None,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        if not 0 <= holdout < 1:
            raise ValueError(f"holdout={holdout} is not a share: make it at least 0 (evaluate on all) and less than 1")
        self.holdout = holdout
        self.cache_dir = cache_dir

    def prepare_data(self) -> None:
        """Decode every image, in one process of each machine.

        Raises:
            ValueError: an image would be both trained on and evaluated against, or a storage raises it.
        """
        for train, test in zip(_folders(self.train), _folders(self.test), strict=False):
            refuse_shared(train, test, "take them out of one, or give no test folder, to hold out a share of the other")
        self.training_storage()
        self.reference_storage()

    def _split(self, items: Items) -> tuple[Items, Items]:
        """Return the items to train on, and those that are held out as the reference set."""
        trained, held = self._split_rows(len(items))
        return (items, items) if trained is held else (items.subset(trained), items.subset(held))

    def _split_rows(self, total: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which of `total` items are trained on, and which are held out; twice the same array for all."""
        if not self.holdout:
            return (np.arange(total),) * 2
        count = max(round(total * self.holdout), min(_FEWEST_HELD, total // 4), min(2, total // 2), 1)
        if not 0 < count < total:
            folders = " and ".join(map(shown, _folders(self.train)))
            raise ValueError(
                f"holdout={self.holdout} of {total} images, in {folders}, leaves none to train on or none to "
                "evaluate against: give more images, or set holdout to 0 to evaluate against the training images"
            )
        held = random_rows(total, count)
        return np.setdiff1d(np.arange(total), held), held


class ImageFolder(FolderModule):
    """A folder of images, in sub-folders of any depth; or a folder with one sub-folder for each class.

    Args:
        train: folder of the training images.
        test: folder of the reference images; null holds out a share of `train`.
        holdout: share of `train` that is the reference set and not trained on, if `test` is null; with 0, all images
            are both trained on and evaluated against.
        labelled: each sub-folder of `train` is a class. The classes are numbered in the order of their names, which is
            numeric if all names are numbers. `test` has the same sub-folders.
        class_names: the classes in the order of their numbers, if some of them have no images in `train`. It keeps the
            numbers for a model that was trained on all of them. Null: the sub-folders of `train`, each with images.
        in_turn: train on one image of each class in turn, so that batches have equally many of each (`CoGAN`). A
            smaller class starts again when it is used up.
        image_size: height and width of the images that networks see.
        load_size: height and width of the images that are stored, from which training cuts `image_size` at random;
            null stores them at `image_size`.
        fit: how images of another shape are brought to `load_size`: "crop" covers it and keeps the middle, "stretch"
            changes the aspect ratio, "pad" fits the image inside and adds black borders.
        channels: 1 grey, 3 RGB, 4 RGBA. With 1 or 3, transparent images are laid over white.
        bits: 16 keeps 16-bit images unchanged (see `Decoder`); 8 scales them.
        cache_dir: where decoded images are kept; null means the environment variable GAN_LIGHTNING_CACHE or
            ~/.cache/gan_lightning.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference, flip and seed of
            `ImageDataModule`.
    """

    train: Path
    test: Path | None

    def __init__(
        self,
        train: Path,
        *,
        test: Path | None = None,
        holdout: ShareBelowOne = 0.1,
        labelled: bool = False,
        class_names: Sequence[str] | None = None,
        in_turn: bool = False,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 64,
        load_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None,
        fit: Fit = "crop",
        channels: Channels = 3,
        bits: Literal[8, 16] = 8,
        cache_dir: Path | None = None,
        **kwargs: Any,
    ):
        super().__init__(image_size, holdout, cache_dir, **kwargs)
        self.train = Path(train)
        self.test = _optional(test)
        self.labelled = labelled
        self.class_names = class_names
        self.in_turn = in_turn
        if in_turn and not labelled:
            raise ValueError("in_turn: true takes classes in turn, and there are none: set labelled to true")
        if class_names is not None and (not labelled or len({*map(composed, class_names)}) < len(class_names)):
            raise ValueError(
                f"class_names={list(class_names)}: set labelled to true, and name each class once; or leave them out"
            )
        self.decoder = Decoder(stored_size(image_size, load_size), channels, bits, fit)

    @property
    def classes(self) -> list[str]:
        """Names of the classes: `class_names`, or the sub-folders of `train` that are not hidden, sorted."""
        if self.class_names is not None:
            return list(self.class_names)
        names = [path.name for path in self.train.iterdir() if path.is_dir() and not path.name.startswith(".")]
        are_numbers = all(name.isascii() and name.isdecimal() for name in names)
        return sorted(names, key=lambda name: (int(name) if are_numbers else 0, name))

    @property
    def num_classes(self) -> int | None:
        """Number of classes; None if there are none."""
        return len(self.classes) if self.labelled else None

    def training_storage(self) -> ImageStorage:
        """Load the images of `train`, without those that are held out."""
        items = self._load(self.train)
        kept = self._split(items)[0] if self.test is None else items
        return kept if not self.in_turn or kept.labels is None else ClassesInTurn(kept.images, kept.labels)

    def reference_storage(self) -> ImageStorage:
        """Load the images of `test`, or those that are held out of `train`."""
        return self._split(self._load(self.train))[1] if self.test is None else self._load(self.test)

    def _load(self, folder: Path) -> ImageStorage:
        images = pages(folder)
        labels = self._labels(folder, images) if self.labelled else None
        return ImageStorage(decode_cached(folder, images, self.decoder, self.cache_dir), labels)

    def _labels(self, folder: Path, images: Sequence[Page]) -> Tensor:
        """Return the classes of a folder's images, int64 (N,)."""
        classes = self.classes
        number = {composed(name): index for index, name in enumerate(classes)}
        labels = []
        for image in images:
            name, *inside = image.file.relative_to(folder).parts
            if not inside or composed(name) not in number:
                known = "class_names" if self.class_names is not None else f"the sub-folders of {shown(self.train)}"
                raise ValueError(
                    f"{image} is in no class: the classes are {known} ({listed(classes)}); move it into a folder of "
                    "one of these names, or set labelled to false"
                )
            labels.append(number[composed(name)])
        empty = [name for index, name in enumerate(classes) if index not in set(labels)]
        if folder == self.train and self.class_names is None and empty:
            raise ValueError(
                f"{shown(folder)} has classes without images ({listed(empty)}): fill or remove these sub-folders, or "
                "name all classes by class_names, if some are to have no images"
            )
        return torch.tensor(labels)


class PairedFolder(FolderModule):
    """Pairs of aligned images: side by side in one file, or in two parallel folders under equal names.

    A is the left half, or the image in `train`; B is the right half, or the image with the same name (and any suffix)
    in `train_b`. Source and target are cut and mirrored together.

    Args:
        train: folder of the training pairs, or, if `train_b` is given, of their images A.
        train_b: folder of the training images B; null means that A and B are side by side in the files of `train`.
        test: folder of the reference pairs, or of their images A; null holds out a share of the training pairs.
        test_b: folder of the reference images B, if `train_b` is given.
        direction: "AtoB" makes A the source and B the target, "BtoA" makes B the source and A the target.
        held_out: names of the pairs that are the reference set and not trained on, if `test` is null: paths in `train`
            without suffix (#3 at the end names the third page of a file). Null: a random share.
        holdout: the random share that is held out, if `test` and `held_out` are null; with 0, all pairs are both
            trained on and evaluated against.
        image_size: height and width of the images that networks see.
        load_size: height and width of the images that are stored, from which training cuts `image_size` at random;
            null stores them at `image_size`.
        tiles: number of tiles of `load_size` that are cut from each image at its own resolution, on a grid that covers
            as much of it as possible, for training and for evaluation; null brings whole images to `load_size`.
        fit: how images of another shape are brought to `load_size`: "crop" covers it and keeps the middle, "stretch"
            changes the aspect ratio, "pad" fits the image inside and adds black borders. It has no effect on tiles.
        channels_source: of the source: 1 grey, 3 RGB, 4 RGBA. With 1 or 3, transparent images are laid over white.
        channels_target: of the target: 1 grey, 3 RGB, 4 RGBA. With 1 or 3, transparent images are laid over white.
        bits: 16 keeps 16-bit images unchanged (see `Decoder`); 8 scales them.
        cache_dir: where decoded images are kept; null means the environment variable GAN_LIGHTNING_CACHE or
            ~/.cache/gan_lightning.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference, flip and seed of
            `ImageDataModule`.
    """

    batch_type = PairedBatch
    train: tuple[Path, Path | None]
    test: tuple[Path, Path | None] | None

    def __init__(
        self,
        train: Path,
        *,
        train_b: Path | None = None,
        test: Path | None = None,
        test_b: Path | None = None,
        direction: Literal["AtoB", "BtoA"] = "AtoB",
        held_out: Sequence[str] | None = None,
        holdout: ShareBelowOne = 0.1,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 256,
        load_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None,
        tiles: PositiveInt | None = None,
        fit: Fit = "crop",
        channels_source: Channels = 3,
        channels_target: Channels = 3,
        bits: Literal[8, 16] = 8,
        cache_dir: Path | None = None,
        **kwargs: Any,
    ):
        super().__init__(image_size, holdout, cache_dir, **kwargs)
        if (test_b is not None) != (test is not None and train_b is not None):
            raise ValueError(
                f"train_b={train_b}, test={test} and test_b={test_b} do not fit together: parallel folders need"
                " train_b, and with test also test_b; files with both images side by side need neither of these"
            )
        self.train = Path(train), _optional(train_b)
        self.test = None if test is None else (Path(test), _optional(test_b))
        self.direction = direction
        self.held_out = held_out
        self.tiles = tiles
        stored = stored_size(image_size, load_size)
        self.decoders = [
            Decoder(stored, channels, bits, fit) if tiles is None else TileDecoder(stored, channels, bits, tiles=tiles)
            for channels in (channels_source, channels_target)
        ]

    def training_storage(self) -> PairedStorage:
        """Load the training pairs, without those that are held out."""
        items = self._load(*self.train)
        return self._tiled(self._split(items)[0] if self.test is None else items)

    def reference_storage(self) -> PairedStorage:
        """Load the test pairs, or those that are held out of the training pairs."""
        return self._tiled(self._split(self._load(*self.train))[1] if self.test is None else self._load(*self.test))

    def _tiled(self, pairs: PairedStorage) -> PairedStorage:
        """Return the tiles of pairs, if `tiles` is set; else the pairs."""
        return pairs if self.tiles is None else PairedStorage(pairs.source.tiled(), pairs.target.tiled())

    def _split(self, items: Items) -> tuple[Items, Items]:
        if self.held_out is None:
            return super()._split(items)
        folder, other = self.train
        images = pages(folder) if other is None else matched(folder, other)[0]
        names = [composed(image.name(folder, suffix=False)) for image in images]
        chosen = [composed(name) for name in self.held_out]
        if missing := sorted(set(chosen) - set(names)):
            raise ValueError(f"held_out names images that are not in {shown(folder)}: {', '.join(map(shown, missing))}")
        held = np.isin(names, chosen)
        if not held.any() or held.all():
            raise ValueError(
                f"held_out names {held.sum()} of the {len(held)} images of {folder}: leave some on each side"
            )
        return items.subset(np.flatnonzero(~held)), items.subset(np.flatnonzero(held))

    def _load(self, a: Path, b: Path | None) -> PairedStorage:
        if b is None:
            both = pages(a)
            sides: list[tuple[Path, list[Page], Region]] = [(a, both, "left"), (a, both, "right")]
        else:
            pages_a, pages_b = matched(a, b)
            sides = [(a, pages_a, "whole"), (b, pages_b, "whole")]
        if self.direction == "BtoA":
            sides.reverse()
        source, target = (
            decode_cached(folder, images, replace(decoder, region=region), self.cache_dir)
            for (folder, images, region), decoder in zip(sides, self.decoders, strict=True)
        )
        if b is not None and self.tiles is not None:  # after decoding, so that all files are known to be readable
            _check_sizes(pages_a, pages_b)
        return PairedStorage(source, target)


class UnpairedFolder(FolderModule):
    """Two folders of unrelated images, domain A and domain B, in sub-folders of any depth.

    An epoch is as long as the larger domain. The reference set is as long as the smaller one, since a batch holds as
    many images of A as of B. It takes the first images in the order of their names; the rest of the larger domain is
    left out.

    Args:
        train_a: folder of the training images A, often called trainA.
        train_b: folder of the training images B, often called trainB.
        test_a: folder of the reference images A, often called testA; null holds out a share of `train_a`, and `test_b`
            must then be null too.
        test_b: folder of the reference images B, often called testB; null holds out a share of `train_b`, and `test_a`
            must then be null too.
        holdout: share of each training folder that is the reference set and not trained on, if there are no test
            folders; with 0, all images are both trained on and evaluated against.
        image_size: height and width of the images that networks see.
        load_size: height and width of the images that are stored, from which training cuts `image_size` at random;
            null stores them at `image_size`.
        fit: how images of another shape are brought to `load_size`: "crop" covers it and keeps the middle, "stretch"
            changes the aspect ratio, "pad" fits the image inside and adds black borders.
        channels_a: of A: 1 grey, 3 RGB, 4 RGBA. With 1 or 3, transparent images are laid over white.
        channels_b: of B: 1 grey, 3 RGB, 4 RGBA. With 1 or 3, transparent images are laid over white.
        bits: 16 keeps 16-bit images unchanged (see `Decoder`); 8 scales them.
        cache_dir: where decoded images are kept; null means the environment variable GAN_LIGHTNING_CACHE or
            ~/.cache/gan_lightning.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference, flip and seed of
            `ImageDataModule`.
    """

    batch_type: ClassVar[type[Batch]] = UnpairedBatch
    storage: ClassVar[type[UnpairedStorage]] = UnpairedStorage
    train: tuple[Path, Path]
    test: tuple[Path, Path] | None

    def __init__(
        self,
        train_a: Path,
        train_b: Path,
        *,
        test_a: Path | None = None,
        test_b: Path | None = None,
        holdout: ShareBelowOne = 0.1,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 256,
        load_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None,
        fit: Fit = "crop",
        channels_a: Channels = 3,
        channels_b: Channels = 3,
        bits: Literal[8, 16] = 8,
        cache_dir: Path | None = None,
        **kwargs: Any,
    ):
        super().__init__(image_size, holdout, cache_dir, **kwargs)
        if (test_a is None) != (test_b is None):
            raise ValueError(f"test_a={test_a} and test_b={test_b}: give a folder for both, or for neither")
        self.train = Path(train_a), Path(train_b)
        self.test = None if test_a is None or test_b is None else (Path(test_a), Path(test_b))
        self.decoders = [
            Decoder(stored_size(image_size, load_size), channels, bits, fit) for channels in (channels_a, channels_b)
        ]

    def prepare_data(self) -> None:
        """Decode every image, in one process of each machine, and refuse an image that is in both domains."""
        if self.train[0].resolve() != self.train[1].resolve():
            refuse_shared(*self.train, "an image belongs to one domain, take them out of the other")
        super().prepare_data()

    def training_storage(self) -> UnpairedStorage:
        """Load the training images, without those that are held out."""
        domains = self._load(self.train)
        if self.test is None:
            domains = [self._split(images)[0] for images in domains]
        return self.storage(*domains)

    def reference_storage(self) -> UnpairedStorage:
        """Load as many test images of A as of B, or as many of those that are held out of the training images."""
        if self.test is None:
            domains = [self._split(images)[1] for images in self._load(self.train)]
        else:
            domains = self._load(self.test)
        return self.storage(*domains).subset(np.arange(min(map(len, domains))))

    def _load(self, folders: tuple[Path, Path]) -> list[Pixels]:
        return [
            decode_cached(folder, pages(folder), decoder, self.cache_dir)
            for folder, decoder in zip(folders, self.decoders, strict=True)
        ]


def _check_sizes(pages_a: Sequence[Page], pages_b: Sequence[Page]) -> None:
    """Check that paired images are equally large; only then do their tiles show the same place."""
    for a, b in zip(pages_a, pages_b, strict=True):
        with open_image(a) as image_a, open_image(b) as image_b:
            if image_a.size != image_b.size:
                raise ValueError(
                    f"{a} has {image_a.width}x{image_a.height} pixels and {b} {image_b.width}x{image_b.height}: images "
                    "that are cut into tiles must be equally large; make them so, or set tiles to null"
                )


def listed(names: Sequence[str]) -> str:
    """Join the first names of a list."""
    return ", ".join(map(shown, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")


def _folders(given: Path | tuple[Path | None, ...] | None) -> list[Path]:
    """Return the folders among one path or several, without None."""
    return [path for path in (given if isinstance(given, tuple) else [given]) if path is not None]


def _optional(path: Path | None) -> Path | None:
    return None if path is None else Path(path)
