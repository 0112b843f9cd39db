"""Digits in two domains: unchanged, and over coloured textures, where a classifier of the first domain fails.

The second domain is made like MNIST-M (Ganin & Lempitsky, 2014, arXiv 1409.7495, section 4): it is the absolute
difference of a digit and a colour picture behind it, which inverts the picture where the strokes are. MNIST-M's
pictures are patches of photographs. The textures here are drawn, so that nothing needs to be downloaded.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from datamodules.base import ImageDataModule
from datamodules.digits import Digits
from datamodules.storage import ImageStorage, Pixels, Storage, UnpairedStorage, digest
from datamodules.torchvision_sets import resized
from gan_lightning.data.batches import Batch, DomainBatch
from gan_lightning.ranges import NonNegativeInt, PositiveInt

CELLS = 7  # of a texture in each direction, about as coarse as the strokes of a digit


def textures(count: int, size: tuple[int, int], seed: int) -> np.ndarray:
    """Draw coloured textures, uint8 (count, 3, *size): clouds around a colour; a seed always gives the same ones."""
    random = np.random.default_rng(seed)
    colours = random.integers(0, 256, (count, 3, 1, 1))
    cells = random.integers(0, 256, (count, 3, CELLS, CELLS), dtype=np.uint8)
    clouds = resized(torch.from_numpy(cells), size).astype(np.int64)
    return (colours + (clouds - 128) // 4).clip(0, 255).astype(np.uint8)


def shifted(digits: np.ndarray, seed: int) -> np.ndarray:
    """Lay grey digits, uint8 (N, 1, H, W), over textures: |texture - digit|, uint8 (N, 3, H, W)."""
    behind = textures(len(digits), digits.shape[2:], seed)
    return np.maximum(behind, digits) - np.minimum(behind, digits)


class DomainStorage(Storage):
    """Two labelled sets that are paired at random, as in `UnpairedStorage`; the target may have no labels."""

    def __init__(self, source: ImageStorage, target: ImageStorage):
        self.source = source
        self.target = target
        self._pairs = UnpairedStorage(source.images, target.images)
        self.fingerprint = digest("domains", source.fingerprint, target.fingerprint)

    def __len__(self) -> int:
        return len(self._pairs)

    def order(self, rng: np.random.Generator | None = None) -> Tensor:
        """Return index pairs: each domain shuffled by itself, or both in the order in which they are stored."""
        return self._pairs.order(rng)

    def batch(self, rows: Tensor) -> DomainBatch:
        """Return the images and labels of both domains at the index pairs."""
        source, target = self.source.batch(rows[:, 0]), self.target.batch(rows[:, 1])
        assert source.labels is not None
        return DomainBatch(source.images, source.labels, target.images, target.labels)

    def class_labels(self) -> Mapping[str, Tensor]:
        """Return the class labels of both domains, by field."""
        domains = {"source_labels": self.source.labels, "target_labels": self.target.labels}
        return {name: labels for name, labels in domains.items() if labels is not None}

    def subset(self, rows: np.ndarray) -> "DomainStorage":
        """Return the items at `rows` of both domains; each domain must have that many."""
        return DomainStorage(self.source.subset(rows), self.target.subset(rows))


class ShiftedDigits(ImageDataModule):
    """The embedded digits in RGB (the source, labelled), and over coloured textures (the target).

    Each domain has 8,000 digits for training, those of the target without labels, and 2,000 other digits with labels
    for validation. As in MNIST-M, both domains show the same digits, though not in the same batch.

    Args:
        image_size: height and width; 28 keeps the images unchanged, 32 adds two black pixels on each side, any other
            size resamples them.
        batch_size: training images of each domain in a step, on all ranks together.
        eval_batch_size: reference images of each domain in a batch, on all ranks together.
        reference_split: the digits for validation: "test", or "train", the training digits.
        num_reference: number of reference images, a random choice that is equal in every run; null uses all.
        seed: seed of the order of the training images.
    """

    batch_type: ClassVar[type[Batch]] = DomainBatch

    def __init__(
        self,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 28,
        *,
        batch_size: PositiveInt = 64,
        eval_batch_size: PositiveInt = 256,
        reference_split: Literal["test", "train"] = "test",
        num_reference: PositiveInt | None = None,
        seed: NonNegativeInt = 0,
    ):
        super().__init__(
            image_size,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            reference_split=reference_split,
            num_reference=num_reference,
            seed=seed,
        )
        self._digits = Digits(image_size)

    @property
    def num_classes(self) -> int:
        """Number of classes: 10."""
        return 10

    def training_storage(self) -> DomainStorage:
        """Load the training digits in both domains, without the labels of the target."""
        return _domains(self._digits.training_storage(), labelled=False, seed=0)

    def reference_storage(self) -> DomainStorage:
        """Load the reference digits in both domains."""
        return _domains(self._digits.reference_storage(), labelled=True, seed=1)


def _domains(digits: ImageStorage, labelled: bool, seed: int) -> DomainStorage:
    grey = digits.images.values
    source = Pixels(np.broadcast_to(grey, (len(grey), 3, *grey.shape[2:])))
    target = Pixels(shifted(grey, seed))
    return DomainStorage(ImageStorage(source, digits.labels), ImageStorage(target, digits.labels if labelled else None))
