"""Folders of images of several domains, with a sub-folder for each, aligned by names or not."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from datamodules.base import stored_size
from datamodules.cache import decode_cached
from datamodules.decode import Channels, Decoder, Fit
from datamodules.folders import FolderModule, listed
from datamodules.storage import DomainsStorage
from gan_lightning.data.batches import DomainsBatch
from gan_lightning.data.files import Page, composed, pages, refuse_shared, shown
from gan_lightning.ranges import PositiveInt, ShareBelowOne


class DomainsFolder(FolderModule):
    """A folder with a sub-folder of images for each of two or more domains.

    Args:
        train: the folder.
        domains: names of the sub-folders, in the order of their numbers; others are left out. Null: all that are not
            hidden, sorted by name.
        aligned: the domains hold pictures of the same things, under equal names (with any suffixes). The things of the
            reference set are then trained on in no domain, and evaluations know the true picture in each.
        test: folder of the reference images with the same sub-folders; null holds out a share of `train`.
        holdout: share of each domain (of the things, if they are aligned) that is the reference set and not trained on,
            if `test` is null; with 0, all images are both trained on and evaluated against.
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

    batch_type = DomainsBatch
    train: Path
    test: Path | None

    def __init__(
        self,
        train: Path,
        *,
        domains: Sequence[str] | None = None,
        aligned: bool = False,
        test: Path | None = None,
        holdout: ShareBelowOne = 0.1,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 128,
        load_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None,
        fit: Fit = "crop",
        channels: Channels = 3,
        bits: Literal[8, 16] = 8,
        cache_dir: Path | None = None,
        **kwargs: Any,
    ):
        super().__init__(image_size, holdout, cache_dir, **kwargs)
        if domains is not None and len({*map(composed, domains)}) < max(2, len(domains)):
            raise ValueError(f"domains={list(domains)}: name two or more sub-folders, each once; or null for all")
        self.train = Path(train)
        self.test = None if test is None else Path(test)
        self.domains = domains
        self.aligned = aligned
        self.decoder = Decoder(stored_size(image_size, load_size), channels, bits, fit)

    @property
    def classes(self) -> list[str]:
        """Names of the domains: `domains`, or the sub-folders of `train` that are not hidden, sorted.

        Raises:
            ValueError: there are fewer than two.
        """
        if self.domains is not None:
            return list(self.domains)
        if not self.train.is_dir():
            raise FileNotFoundError(
                f"there is no folder {shown(self.train)}: name one with a sub-folder for each domain"
            )
        names = sorted(path.name for path in self.train.iterdir() if path.is_dir() and not path.name.startswith("."))
        if len(names) < 2:
            raise ValueError(
                f"{shown(self.train)} has {len(names)} sub-folders, and each domain needs one: give two or more"
            )
        return names

    @property
    def num_classes(self) -> int:
        """Number of domains."""
        return len(self.classes)

    def prepare_data(self) -> None:
        """Decode every image, in one process of each machine, and refuse an image that is in two domains."""
        for one, other in itertools.combinations(self._folders(self.train), 2):
            refuse_shared(one, other, "an image belongs to one domain, take them out of the other")
        super().prepare_data()

    def training_storage(self) -> DomainsStorage:
        """Load the images of `train`, without those that are held out, and without truths."""
        items, things = self._load(self.train)
        if self.test is None:
            items = items.subset(self._rows(items, things)[0])
        return DomainsStorage(items.images, items.labels)

    def reference_storage(self) -> DomainsStorage:
        """Load the images of `test`, or those that are held out of `train`, with their truths if they are aligned."""
        items, things = self._load(self.train if self.test is None else self.test)
        return items.subset(self._rows(items, things)[1]) if self.test is None else items

    def _rows(self, items: DomainsStorage, things: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of images to train on and of those that are held out."""
        if self.aligned:
            trained, held = (np.isin(things, part) for part in self._split_rows(int(things.max()) + 1))
            return np.flatnonzero(trained), np.flatnonzero(held)
        labels = items.labels.numpy()
        domains = [np.flatnonzero(labels == number) for number in range(self.num_classes)]
        parts = [[rows[part] for part in self._split_rows(len(rows))] for rows in domains]
        trained, held = (np.concatenate(part) for part in zip(*parts, strict=True))
        return trained, held

    def _folders(self, folder: Path) -> list[Path]:
        """Return the sub-folders of the domains.

        Raises:
            FileNotFoundError: one is missing.
        """
        found = [folder / name for name in self.classes]
        if missing := [path.name for path in found if not path.is_dir()]:
            raise FileNotFoundError(
                f"{shown(folder)} has no sub-folder for the domains {listed(missing)}: name others by `domains`, or "
                "add them"
            )
        return found

    def _load(self, folder: Path) -> tuple[DomainsStorage, np.ndarray]:
        """Return the images of a folder, domain by domain, and the number of each image's thing, int64 (N,)."""
        folders = self._folders(folder)
        images = [pages(each) for each in folders]
        labels = torch.arange(len(images)).repeat_interleave(torch.tensor([len(each) for each in images]))
        if not self.aligned:
            every = decode_cached(folder, [page for each in images for page in each], self.decoder, self.cache_dir)
            return DomainsStorage(every, labels), np.arange(len(labels))
        images = _aligned(folders, images)
        every = decode_cached(folder, [page for each in images for page in each], self.decoder, self.cache_dir)
        things = np.tile(np.arange(len(images[0])), len(images))
        truths = things[:, None] + len(images[0]) * np.arange(len(images))
        return DomainsStorage(every, labels, every, truths), things


def _aligned(folders: Sequence[Path], images: Sequence[Sequence[Page]]) -> list[list[Page]]:
    """Return the images of each domain in the order of their names, which must be those of the first domain.

    Raises:
        ValueError: a name is missing in a domain, or two images of a domain have the same.
    """
    named = []
    for folder, each in zip(folders, images, strict=True):
        found = {composed(page.name(folder, suffix=False)): page for page in each}
        if len(found) < len(each):
            raise ValueError(f"{shown(folder)} has images whose names differ in their suffixes only: keep one of each")
        named.append(found)
    for folder, found in zip(folders[1:], named[1:], strict=True):
        for place, lacks, has in ((folder, found, named[0]), (folders[0], named[0], found)):
            if missing := sorted(has.keys() - lacks.keys()):
                raise ValueError(
                    f"{shown(place)} has no image named {listed(missing)}, which another domain has: add them, or set "
                    "aligned to false"
                )
    return [[found[name] for name in sorted(named[0])] for found in named]
