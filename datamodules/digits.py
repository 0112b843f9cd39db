"""The embedded digits: a tenth of MNIST that is part of the package, for a first run without a download."""

from importlib.resources import files
from typing import Any

import numpy as np
import torch

from datamodules.base import ImageDataModule
from datamodules.storage import ImageStorage, Pixels
from datamodules.torchvision_sets import padded
from gan_lightning.ranges import NonNegativeInt, PositiveInt

ASSET = files("datamodules") / "assets" / "digits.npz"


class Digits(ImageDataModule):
    """8,000 handwritten digits for training and 2,000 as the reference, 10 classes, grey; nothing to download.

    Args:
        image_size: height and width; 28 keeps the images unchanged, 32 adds two black pixels on each side, any other
            size resamples them.
        labels_per_class: for semi-supervised training, how many images of each class keep their label. The others
            get the label -1, and half of every training batch is labelled. None: all images keep their labels.
        label_set: number of the choice of these images, which is equal in every run.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference, flip, binarise and seed of
            `ImageDataModule`.
    """

    def __init__(
        self,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 32,
        *,
        labels_per_class: PositiveInt | None = None,
        label_set: NonNegativeInt = 0,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        self.labels_per_class, self.label_set = labels_per_class, label_set

    @property
    def num_classes(self) -> int:
        """Number of classes: 10."""
        return 10

    def training_storage(self) -> ImageStorage:
        """Load the training digits."""
        return self._load("train")

    def reference_storage(self) -> ImageStorage:
        """Load the reference digits; none of them is among the training digits."""
        return self._load("reference")

    def _load(self, split: str) -> ImageStorage:
        with ASSET.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        return ImageStorage(
            Pixels(padded(torch.from_numpy(images), self.image_size)), torch.from_numpy(labels.astype(np.int64))
        )
