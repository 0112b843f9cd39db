"""USPS: digits from envelopes."""

from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torchvision import datasets

from datamodules.base import ImageDataModule
from datamodules.storage import ImageStorage, Pixels
from datamodules.torchvision_sets import obtain, resized
from gan_lightning.ranges import PositiveInt


class USPS(ImageDataModule):
    """16 x 16 grey digits with class labels 0 to 9, 7,291 for training and 2,007 for tests, kept in memory.

    Hull, "A database for handwritten text recognition research", 1994. The files are torchvision's.

    Args:
        root: the folder that contains usps.bz2 and usps.t.bz2, or where they will be put.
        reference: the split for evaluation.
        download: download the files that are missing.
        image_size: height and width; 16 keeps the images unchanged, any other size resamples them.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference, flip, binarise and seed of
            `ImageDataModule`.
    """

    def __init__(
        self,
        root: Path,
        *,
        reference: Literal["train", "test"] = "test",
        download: bool = True,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 16,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        self.root = Path(root)
        self.reference = reference
        self.download = download

    @property
    def num_classes(self) -> int:
        """Number of classes: 10."""
        return 10

    def prepare_data(self) -> None:
        """Download the missing files; raise FileNotFoundError, with their names and place, if that fails."""
        if self.download:
            self.root.mkdir(parents=True, exist_ok=True)
        for split in ("train", "test"):
            self._obtain(split, self.download)

    def training_storage(self) -> ImageStorage:
        """Load the training split."""
        return self._load("train")

    def reference_storage(self) -> ImageStorage:
        """Load the split that `reference` names."""
        return self._load(self.reference)

    def _load(self, split: str) -> ImageStorage:
        data = self._obtain(split, download=False)
        images = torch.from_numpy(data.data).unsqueeze(1)
        return ImageStorage(Pixels(resized(images, self.image_size)), torch.tensor(data.targets))

    def _obtain(self, split: str, download: bool) -> datasets.USPS:
        create = partial(datasets.USPS, self.root, train=split == "train")
        return obtain(create, download, self.root, "usps.bz2 and usps.t.bz2")
