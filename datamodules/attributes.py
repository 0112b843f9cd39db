"""A folder of images with attributes, which a CSV file states."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.base import stored_size
from datamodules.cache import decode_cached
from datamodules.decode import Channels, Decoder, Fit
from datamodules.folders import FolderModule
from datamodules.storage import ImageStorage
from gan_lightning.data.files import pages, shown
from gan_lightning.data.tables import Attributes, read_attributes
from gan_lightning.ranges import PositiveInt, ShareBelowOne


class AttributesFolder(FolderModule):
    """A folder of images, in sub-folders of any depth, and a table of their attributes, float32 (N, A) in {0, 1}.

    The table is a CSV file with a header. Its first column has the files' names, relative to the folder; others hold 1
    or 0 (or true and false, yes and no, 1 and -1). A column `split` with train and test (or val, ...) says which images
    are the reference set, and not trained on. Images without a line are left out.

    Args:
        train: folder of the images.
        table: the CSV file.
        attributes: names of the columns to take, in this order. Of a column that is not binary, each value becomes an
            attribute COLUMN=VALUE. Null: all binary ones that vary.
        holdout: share of the images that is the reference set and not trained on, if the table has no column `split`;
            with 0, all images are both trained on and evaluated against.
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
    test: None

    def __init__(
        self,
        train: Path,
        table: Path,
        *,
        attributes: Sequence[str] | None = None,
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
        self.train, self.test = Path(train), None
        self.table = Path(table)
        self.attributes = attributes
        if attributes is not None and (not attributes or len({*attributes}) < len(attributes)):
            raise ValueError(f"attributes={list(attributes)}: name one column or more, each once; or null for all")
        self.decoder = Decoder(stored_size(image_size, load_size), channels, bits, fit)

    @cached_property
    def found(self) -> Attributes:
        """The content of the table."""
        return read_attributes(self.train, pages(self.train), self.table, self.attributes)

    @property
    def attribute_names(self) -> list[str]:
        """Names of the attributes."""
        return self.found.names

    def training_storage(self) -> ImageStorage:
        """Load the images to train on."""
        return self._parts()[0]

    def reference_storage(self) -> ImageStorage:
        """Load the images that are not trained on."""
        return self._parts()[1]

    def _parts(self) -> tuple[ImageStorage, ImageStorage]:
        found = self.found
        if not found.pages:
            raise ValueError(f"{shown(self.table)} names no image: add a line for each")
        images = decode_cached(self.train, found.pages, self.decoder, self.cache_dir)
        items = ImageStorage(images, found.targets.float())
        if found.held_back is None:
            return self._split(items)
        held = found.held_back.numpy()
        return items.subset(np.flatnonzero(~held)), items.subset(np.flatnonzero(held))
