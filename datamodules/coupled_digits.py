"""Digits, and other digits as edges or negatives: two domains without pairs, whose true pairs a formula tells.

Liu, Tuzel, "Coupled Generative Adversarial Networks", 2016, arXiv 1606.07536, section 4: half of the digits form the
first domain, and the other half, transformed, the second.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datamodules.base import SPLIT_SEED, ImageDataModule
from datamodules.digits import Digits
from datamodules.mnist import MNIST
from datamodules.storage import ClassesInTurn, ImageStorage, Pixels
from gan_lightning.data.counterparts import Counterpart, Edges
from gan_lightning.data.images import to_float, to_uint8
from gan_lightning.ranges import PositiveInt

_CHUNK = 4096  # images that are transformed at a time, as floats


class CoupledDigits(ImageDataModule):
    """Half of the digits as they are, labelled 0, and the other half transformed, labelled 1; one of each in turn.

    The label is the domain. No digit is in both domains, and which are in which is a random choice that is equal in
    every run.

    Args:
        root: the folder that contains MNIST/raw, or where it will be made; null takes the embedded digits, a tenth of
            MNIST that comes with the package.
        counterpart: the transformation of the second domain; null is `Edges`.
        download: download the files of MNIST that are missing.
        image_size: height and width; 28 keeps the images unchanged, 32 adds two black pixels on each side, any other
            size resamples them.
        kwargs: batch_size (images of both domains together), eval_batch_size, reference_split, num_reference, flip and
            seed of `ImageDataModule`.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        counterpart: Counterpart | None = None,
        download: bool = True,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 28,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        self.counterpart = counterpart or Edges()
        self.digits = Digits(image_size) if root is None else MNIST(root, image_size=image_size, download=download)

    @property
    def num_classes(self) -> int:
        """Number of domains: 2."""
        return 2

    @property
    def classes(self) -> Sequence[str]:
        """Names of the domains."""
        return "digits", self.counterpart.name

    def prepare_data(self) -> None:
        """Download the missing files of MNIST; raise FileNotFoundError, with their names and place, if that fails."""
        self.digits.prepare_data()

    def training_storage(self) -> ClassesInTurn:
        """Load the training digits, one of each domain in turn."""
        coupled = self._coupled(self.digits.training_storage())
        assert coupled.labels is not None
        return ClassesInTurn(coupled.images, coupled.labels)

    def reference_storage(self) -> ImageStorage:
        """Load the reference digits in their domains."""
        return self._coupled(self.digits.reference_storage())

    def _coupled(self, digits: ImageStorage) -> ImageStorage:
        images = digits.images.values.copy()
        order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
        labels = torch.zeros(len(images), dtype=torch.int64)
        transformed = order[len(images) // 2 :]
        labels[transformed] = 1
        for start in range(0, len(transformed), _CHUNK):
            rows = transformed[start : start + _CHUNK]
            images[rows] = to_uint8(self.counterpart(to_float(torch.from_numpy(images[rows])))).numpy()
        return ImageStorage(Pixels(images), labels)
