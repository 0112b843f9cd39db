"""What a loader draws batches from: whole data sets as arrays, in memory or mapped, indexed a batch at a time."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from hashlib import blake2b
from typing import Self

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.batches import Batch, ImageBatch, PairedBatch, UnpairedBatch


def digest(*parts: object) -> str:
    """A short name for content, 32 hexadecimal digits: for arrays of values, shape and dtype; else of the `repr`."""
    name = blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            name.update(f"{part.shape} {part.dtype.str}\0".encode())
            name.update(np.ascontiguousarray(part).data)
        else:
            name.update(f"{part!r}\0".encode())
    return name.hexdigest()


class Pixels:
    """Images of one size, and a name for exactly these images in this order.

    Args:
        values: uint8 or uint16 (N, C, H, W), in memory or memory-mapped; of images in tiles (N, tiles, C, H, W).
        fingerprint: a name for the content of `values`; None computes it, which reads all of them.
        rows: int64 (n,), the indices that these images have in `values`; None means all of them.
    """

    def __init__(self, values: np.ndarray, fingerprint: str | None = None, rows: np.ndarray | None = None):
        self.values = values
        self.fingerprint = digest(values) if fingerprint is None else fingerprint
        self.rows = np.arange(len(values)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Tensor) -> Tensor:
        """A copy of the images with these indices, int64 (n,), as uint8 or uint16 (n, C, H, W)."""
        return torch.from_numpy(self.values[self.rows[rows.numpy()]])

    def subset(self, rows: np.ndarray) -> "Pixels":
        """Only the images with these indices, int64 (n,), in this order; no pixel is copied."""
        return Pixels(self.values, digest("subset", self.fingerprint, rows), self.rows[rows])

    def tiled(self) -> "Pixels":
        """The tiles of images in tiles, each an image of its own; no pixel is copied."""
        tiles = self.values.shape[1]
        rows = self.rows[:, None] * tiles + np.arange(tiles)
        return Pixels(self.values.reshape(-1, *self.values.shape[2:]), digest("tiles", self.fingerprint), rows.ravel())


class Storage(ABC):
    """Items by index. An order is a tensor with a row for each item; any stretch of it is what `batch` takes.

    Attributes:
        fingerprint: the same name only for the same items in the same order, on any machine.
    """

    fingerprint: str

    @abstractmethod
    def __len__(self) -> int:
        """Number of items, which is also the length of every order."""

    @abstractmethod
    def batch(self, rows: Tensor) -> Batch:
        """The items of a stretch of an order, as integer images and their labels on the CPU."""

    @abstractmethod
    def subset(self, rows: np.ndarray) -> Self:
        """Only the items with these indices, int64 (n,), in this order; no pixel is copied."""

    def class_labels(self) -> Mapping[str, Tensor]:
        """The class labels of the whole set, int64 (N,), by the field of a batch that they are served in."""
        return {}

    def order(self, rng: np.random.Generator | None = None) -> Tensor:
        """All items once, int64 (len(self),): as they are stored, or shuffled by `rng`."""
        return torch.from_numpy(np.arange(len(self)) if rng is None else rng.permutation(len(self)))


class ImageStorage(Storage):
    """Images and, where there are any, their labels: int64 (N,) classes or float32 (N, A) attributes.

    Raises:
        ValueError: if there are more or fewer labels than images.
    """

    def __init__(self, images: Pixels, labels: Tensor | None = None):
        if labels is not None and len(labels) != len(images):
            raise ValueError(f"{len(images)} images have {len(labels)} labels: give each image exactly one")
        self.images = images
        self.labels = labels
        self.fingerprint = (
            images.fingerprint if labels is None else digest("labels", images.fingerprint, labels.numpy())
        )

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Tensor) -> ImageBatch:
        """The images and labels at `rows`."""
        return ImageBatch(self.images.take(rows), None if self.labels is None else self.labels[rows])

    def class_labels(self) -> Mapping[str, Tensor]:
        """Those of the images, where they are no attributes."""
        return {} if self.labels is None or self.labels.is_floating_point() else {"labels": self.labels}

    def subset(self, rows: np.ndarray) -> "ImageStorage":
        """The images and labels at `rows`."""
        return ImageStorage(self.images.subset(rows), None if self.labels is None else self.labels[rows])


class PartlyLabelledStorage(ImageStorage):
    """Images of which few have a label, the others -1, for semi-supervised training.

    An order takes in turn any image and a labelled one, so that half of every batch (rounded down, where it is cut to
    an odd length) is labelled. The images come once in an order; the labelled ones as often in all, in rounds, each
    round in an order of its own.

    Raises:
        ValueError: if no image is labelled.
    """

    def __init__(self, images: Pixels, labels: Tensor):
        super().__init__(images, labels)
        self.labelled = np.flatnonzero(labels.numpy() >= 0)
        if not len(self.labelled):
            raise ValueError("no image of a partly labelled set has a label: give a few of them one")

    def __len__(self) -> int:
        return 2 * len(self.images)

    def order(self, rng: np.random.Generator | None = None) -> Tensor:
        """Indices of images, int64 (len(self),): any, labelled, any, labelled, ..."""
        count, known = len(self.images), len(self.labelled)
        rounds = [np.arange(known) if rng is None else rng.permutation(known) for _ in range(-(-count // known))]
        labelled = self.labelled[np.concatenate(rounds)[:count]]
        every = np.arange(count) if rng is None else rng.permutation(count)
        return torch.from_numpy(np.stack([every, labelled], axis=1).reshape(-1))


class PairedStorage(Storage):
    """Sources and their targets, matched by position.

    Raises:
        ValueError: if there are more or fewer targets than sources.
    """

    def __init__(self, source: Pixels, target: Pixels):
        if len(source) != len(target):
            raise ValueError(f"{len(source)} sources have {len(target)} targets: give each source exactly one")
        self.source = source
        self.target = target
        self.fingerprint = digest("paired", source.fingerprint, target.fingerprint)

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, rows: Tensor) -> PairedBatch:
        """The pairs at `rows`."""
        return PairedBatch(self.source.take(rows), self.target.take(rows))

    def subset(self, rows: np.ndarray) -> "PairedStorage":
        """The pairs at `rows`."""
        return PairedStorage(self.source.subset(rows), self.target.subset(rows))


class UnpairedStorage(Storage):
    """Two domains that meet by chance: a row of an order is an index into A and one into B, int64 (len(self), 2).

    It is as long as the larger domain; the smaller one comes round again when it is used up. Shuffled, each domain has
    an order of its own, and a new one for each round.
    """

    def __init__(self, real_a: Pixels, real_b: Pixels):
        self.real_a = real_a
        self.real_b = real_b
        self.fingerprint = digest("unpaired", real_a.fingerprint, real_b.fingerprint)

    def __len__(self) -> int:
        return max(len(self.real_a), len(self.real_b))

    def order(self, rng: np.random.Generator | None = None) -> Tensor:
        """Index pairs: each domain shuffled by itself, or both as they are stored."""
        columns = []
        for size in (len(self.real_a), len(self.real_b)):
            rounds = -(-len(self) // size)
            orders = [np.arange(size) if rng is None else rng.permutation(size) for _ in range(rounds)]
            columns.append(np.concatenate(orders)[: len(self)])
        return torch.from_numpy(np.stack(columns, axis=1))

    def batch(self, rows: Tensor) -> UnpairedBatch:
        """The images of A and of B that the index pairs name."""
        return UnpairedBatch(self.real_a.take(rows[:, 0]), self.real_b.take(rows[:, 1]))

    def subset(self, rows: np.ndarray) -> "UnpairedStorage":
        """The images at `rows` of both domains, each of which must have that many."""
        return UnpairedStorage(self.real_a.subset(rows), self.real_b.subset(rows))
