"""Stacked MNIST: three digits as the channels of one image, which make 1,000 modes to count.

Metz, Poole, Pfau, Sohl-Dickstein, "Unrolled Generative Adversarial Networks", 2016, arXiv 1611.02163, section 3.3.1;
Srivastava et al., "VEEGAN", 2017, arXiv 1705.07761; Lin, Khetan, Fanti, Oh, "PacGAN", 2017, arXiv 1712.04086.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from datamodules.base import SPLIT_SEED, ImageDataModule
from datamodules.digits import Digits
from datamodules.mnist import MNIST
from datamodules.storage import ImageStorage, Pixels, Storage, digest
from gan_lightning.data.batches import ImageBatch
from gan_lightning.ranges import PositiveInt

Triples = Literal["fixed", "fresh"]


class TripleStorage(Storage):
    """Images of three digits, one in each channel, labelled by the number that the digits spell: 0 to 999.

    A row of an order has the indices of three digits. No image is kept: a batch joins its digits.

    Args:
        digits: grey digits with their classes, 0 to 9.
        triples: int64 (N, 3), the digits of each image: hundreds (red), tens (green) and ones (blue).
        fresh: a shuffled order draws all triples anew, with replacement. Else it shuffles `triples`.
    """

    def __init__(self, digits: ImageStorage, triples: np.ndarray, fresh: bool = False):
        assert digits.labels is not None
        self.digits, self.triples, self.fresh = digits, triples, fresh
        self.fingerprint = digest("triples", digits.fingerprint, triples, fresh)

    def __len__(self) -> int:
        return len(self.triples)

    def order(self, rng: np.random.Generator | None = None) -> Tensor:
        """Return the triples, int64 (N, 3), as they are stored, shuffled by `rng`, or drawn anew by it."""
        if rng is None:
            return torch.from_numpy(self.triples)
        if self.fresh:
            return torch.from_numpy(_drawn(rng, len(self.digits), len(self)))
        return torch.from_numpy(rng.permutation(self.triples))

    def batch(self, rows: Tensor) -> ImageBatch:
        """Return the images (n, 3, H, W) of triples (n, 3), and their labels."""
        images = self.digits.images.take(rows.flatten())  # (3n, 1, H, W)
        return ImageBatch(images.reshape(len(rows), 3, *images.shape[2:]), self._labels(rows))

    def subset(self, rows: np.ndarray) -> "TripleStorage":
        """Return only the images with these indices, int64 (n,), of the stored order."""
        return TripleStorage(self.digits, self.triples[rows], self.fresh)

    def class_labels(self) -> Mapping[str, Tensor]:
        """Return the labels of the stored triples."""
        return {"labels": self._labels(torch.from_numpy(self.triples))}

    def _labels(self, rows: Tensor) -> Tensor:
        assert self.digits.labels is not None
        return self.digits.labels[rows] @ torch.tensor([100, 10, 1])


class StackedMNIST(ImageDataModule):
    """Images of 3 x 28 x 28 with a random digit in each channel, and 1,000 classes: 100 · red + 10 · green + blue.

    The digits of the reference triples are MNIST's test images, which no training triple has unless `digits` is "all".
    The extractor `stacked_digits` finds the classes, and `ModesCovered` counts them.

    Published protocols: Metz et al. and table 3 of PacGAN draw fresh triples of the 60,000 training images (the
    defaults); table 2 of PacGAN, as VEEGAN, fixes 128,000 triples of all 70,000 images.

    NOTE: fixed triples are shuffled in each epoch; PacGAN's code takes them in the order in which they were drawn,
        which is as random.

    Args:
        root: the folder that contains MNIST/raw, or where it will be made; null takes the embedded digits, a tenth of
            MNIST that comes with the package.
        triples: "fresh" draws new triples in each epoch; "fixed" draws them once, equal in every run.
        num_triples: number of triples in an epoch. With "fixed" it is that of all training images.
        num_reference_triples: number of reference triples, drawn once and equal in every run.
        digits: the images that training triples are drawn from: "train", or "all", the test images too.
        download: download the files of MNIST that are missing.
        image_size: height and width; 28 keeps the digits unchanged, 32 adds two black pixels on each side, any other
            size resamples them.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference and seed of `ImageDataModule`.

    Raises:
        ValueError: `flip` is set, which makes other digits.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        triples: Triples = "fresh",
        num_triples: PositiveInt = 128_000,
        num_reference_triples: PositiveInt = 26_000,
        digits: Literal["train", "all"] = "train",
        download: bool = True,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 28,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        if triples not in ("fixed", "fresh") or digits not in ("train", "all"):
            raise ValueError(f'triples are "fixed" or "fresh" and digits "train" or "all", not {triples!r}, {digits!r}')
        if self.flip:
            raise ValueError("flip mirrors digits, which are then none: set it to false")
        self.triples, self.digits = triples, digits
        self.num_triples, self.num_reference_triples = num_triples, num_reference_triples
        self.source = Digits(image_size) if root is None else MNIST(root, image_size=image_size, download=download)

    @property
    def num_classes(self) -> int:
        """Number of classes: 1,000."""
        return 1000

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes: 000 to 999."""
        return [f"{number:03}" for number in range(1000)]

    def prepare_data(self) -> None:
        """Download the missing files of MNIST; raise FileNotFoundError, with their names and place, if that fails."""
        self.source.prepare_data()

    def training_storage(self) -> TripleStorage:
        """Draw the training triples."""
        digits = self.source.training_storage()
        if self.digits == "all":
            digits = _joined(digits, self.source.reference_storage())
        return _triples(digits, self.num_triples, 0, self.triples == "fresh")

    def reference_storage(self) -> TripleStorage:
        """Draw the reference triples, of the test images."""
        return _triples(self.source.reference_storage(), self.num_reference_triples, 1)


def _triples(digits: ImageStorage, count: int, stream: int, fresh: bool = False) -> TripleStorage:
    return TripleStorage(digits, _drawn(np.random.default_rng((SPLIT_SEED, stream)), len(digits), count), fresh)


def _drawn(rng: np.random.Generator, digits: int, count: int) -> np.ndarray:
    return rng.integers(0, digits, (count, 3))


def _joined(one: ImageStorage, other: ImageStorage) -> ImageStorage:
    assert one.labels is not None
    assert other.labels is not None
    pixels = Pixels(np.concatenate([one.images.values, other.images.values]))
    return ImageStorage(pixels, torch.cat([one.labels, other.labels]))
