"""Storages: whole data sets as arrays, in memory or mapped, from which loaders take a batch at a time by index."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.batches import (
    Batch,
    CaptionedBatch,
    CartoonBatch,
    DomainsBatch,
    ImageBatch,
    PairedBatch,
    UnpairedBatch,
)


def digest(*parts: object) -> str:
    """Return a short name for content, 32 hexadecimal digits: of values, shape and dtype of arrays, else of `repr`."""
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
        values: uint8 or uint16 (N, C, H, W), in memory or memory-mapped; (N, tiles, C, H, W) for images in tiles.
        fingerprint: a name for the content of `values`; None computes it, which reads all of them.
        rows: int64 (n,), the indices of these images in `values`; None means all of them.
    """

    def __init__(self, values: np.ndarray, fingerprint: str | None = None, rows: np.ndarray | None = None):
        self.values = values
        self.fingerprint = digest(values) if fingerprint is None else fingerprint
        self.rows = np.arange(len(values)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Tensor) -> Tensor:
        """Return a copy of the images with these indices, int64 (n,), as uint8 or uint16 (n, C, H, W)."""
        return torch.from_numpy(self.values[self.rows[rows.numpy()]])

    def subset(self, rows: np.ndarray) -> "Pixels":
        """Return only the images with these indices, int64 (n,), in this order; no pixel is copied."""
        return Pixels(self.values, digest("subset", self.fingerprint, rows), self.rows[rows])

    def tiled(self) -> "Pixels":
        """Return the tiles as images, for images in tiles; no pixel is copied."""
        tiles = self.values.shape[1]
        rows = self.rows[:, None] * tiles + np.arange(tiles)
        return Pixels(self.values.reshape(-1, *self.values.shape[2:]), digest("tiles", self.fingerprint), rows.ravel())


class Storage(ABC):
    """Items by index. An order is a tensor with a row for each item; `batch` takes any part of it.

    Attributes:
        fingerprint: a name that is equal only for the same items in the same order, and equal on any machine.
    """

    fingerprint: str

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of items, which is also the length of every order."""

    @abstractmethod
    def batch(self, rows: Tensor) -> Batch:
        """Return the items of a part of an order, as integer images and their labels on the CPU."""

    @abstractmethod
    def subset(self, rows: np.ndarray) -> Self:
        """Return only the items with these indices, int64 (n,), in this order; no pixel is copied."""

    def class_labels(self) -> Mapping[str, Tensor]:
        """Return the class labels of the whole set, int64 (N,), by the field of a batch that contains them."""
        return {}

    def order(self, rng: np.random.Generator | None = None) -> Tensor:
        """Return all items once, int64 (len(self),), in the order in which they are stored, or shuffled by `rng`."""
        return torch.from_numpy(np.arange(len(self)) if rng is None else rng.permutation(len(self)))


class ImageStorage(Storage):
    """Images and, if there are any, their labels: int64 (N,) classes or float32 (N, A) attributes.

    Raises:
        ValueError: there are more or fewer labels than images.
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
        """Return the images and labels at `rows`."""
        return ImageBatch(self.images.take(rows), None if self.labels is None else self.labels[rows])

    def class_labels(self) -> Mapping[str, Tensor]:
        """Return the labels of the images, unless they are attributes."""
        return {} if self.labels is None or self.labels.is_floating_point() else {"labels": self.labels}

    def subset(self, rows: np.ndarray) -> "ImageStorage":
        """Return the images and labels at `rows`."""
        return ImageStorage(self.images.subset(rows), None if self.labels is None else self.labels[rows])


class DomainsStorage(Storage):
    """Images of several domains, the domain of each, and perhaps the same thing in every domain.

    Args:
        images: the images.
        labels: int64 (N,), their domains.
        every: the images of every thing in every domain, among which the truths are. None = they are not served.
        truths: int64 (N, domains), the rows in `every` of each image's thing, by domain.
    """

    def __init__(self, images: Pixels, labels: Tensor, every: Pixels | None = None, truths: np.ndarray | None = None):
        self.images, self.labels, self.every, self.truths = images, labels, every, truths
        known = () if every is None or truths is None else (every.fingerprint, truths)
        self.fingerprint = digest("domains", images.fingerprint, labels.numpy(), *known)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Tensor) -> DomainsBatch:
        """Return the images, domains and truths at `rows`."""
        truths = None
        if self.every is not None and self.truths is not None:
            wanted = torch.from_numpy(self.truths[rows.numpy()])
            truths = self.every.take(wanted.flatten()).unflatten(0, wanted.shape).movedim(1, 2)
        return DomainsBatch(self.images.take(rows), self.labels[rows], truths)

    def class_labels(self) -> Mapping[str, Tensor]:
        """Return the domains of the images."""
        return {"labels": self.labels}

    def subset(self, rows: np.ndarray) -> "DomainsStorage":
        """Return the images at `rows`, with all their truths."""
        truths = None if self.truths is None else self.truths[rows]
        return DomainsStorage(self.images.subset(rows), self.labels[rows], self.every, truths)


class CaptionedStorage(Storage):
    """Images with captions, of which an order takes one for each image, and one that is wrong for it.

    A row of an order is the index of an image, of one of its captions, and of a caption of another image: int64
    (len(self), 3). The wrong caption is one of an image of another class if there are classes, and another sentence in
    any case, as far as there is one. In the stored order, each image comes with its first caption.

    Args:
        images: the images.
        owners: int64 (M,), the row in `images.values` of each caption, ascending; captions of other images are there
            for storages that are a subset.
        codes: the codes of all captions, (M, ...).
        sentences: int64 (M,), a number of each caption that is equal for equal sentences.
        labels: int64 (N,), the class of each of the images. None = there are no classes.

    Raises:
        ValueError: an image has no caption.
    """

    def __init__(
        self, images: Pixels, owners: np.ndarray, codes: Tensor, sentences: np.ndarray, labels: Tensor | None = None
    ):
        self.images, self.owners, self.codes, self.sentences, self.labels = images, owners, codes, sentences, labels
        self._first = np.searchsorted(owners, images.rows)
        self._counts = np.searchsorted(owners, images.rows, side="right") - self._first
        if not self._counts.all():
            raise ValueError(f"image {int(self._counts.argmin())} has no caption: give it one")
        self._own = np.concatenate([f + np.arange(c) for f, c in zip(self._first, self._counts, strict=True)])
        of_image = np.repeat(np.arange(len(images)), self._counts)
        # by caption, in the order of `_own`
        self._kinds = sentences[self._own] if labels is None else labels.numpy()[of_image]
        if len({*self._kinds.tolist()}) < 2:  # such as a single class that is held out: only other sentences are wrong
            self._kinds = sentences[self._own]
        self.fingerprint = digest(
            "captions", images.fingerprint, owners, codes.numpy(), () if labels is None else labels.numpy()
        )

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Tensor) -> CaptionedBatch:
        """Return the images, captions and wrong captions at the triples of indices."""
        image, caption, wrong = rows.unbind(dim=1)
        labels = None if self.labels is None else self.labels[image]
        return CaptionedBatch(self.images.take(image), self.codes[caption], self.codes[wrong], labels)

    def class_labels(self) -> Mapping[str, Tensor]:
        """Return the classes of the images."""
        return {} if self.labels is None else {"labels": self.labels}

    def order(self, rng: np.random.Generator | None = None) -> Tensor:
        """Return triples of indices: shuffled, with any caption of each image; or stored, with the first ones."""
        shuffled, draws = rng is not None, rng or np.random.default_rng(0)
        image = draws.permutation(len(self)) if shuffled else np.arange(len(self))
        caption = self._first[image] + (draws.integers(self._counts[image]) if shuffled else 0)
        starts = np.cumsum(self._counts) - self._counts  # place in `_own` of each image's first caption
        kind = self._kinds[starts[image] + caption - self._first[image]]
        places = draws.integers(len(self._own), size=len(self))
        for _ in range(1000 if self.has_wrong_captions else 0):  # a caption that is not wrong is drawn again
            again = (self._kinds[places] == kind) | (self.sentences[self._own[places]] == self.sentences[caption])
            if not again.any():
                break
            places[again] = draws.integers(len(self._own), size=int(again.sum()))
        return torch.from_numpy(np.stack([image, caption, self._own[places]], axis=1))

    def subset(self, rows: np.ndarray) -> "CaptionedStorage":
        """Return the images at `rows`, with all their captions."""
        labels = None if self.labels is None else self.labels[rows]
        return CaptionedStorage(self.images.subset(rows), self.owners, self.codes, self.sentences, labels)

    @property
    def has_wrong_captions(self) -> bool:
        """Whether there is more than one class or sentence."""
        return len({*self._kinds.tolist()}) > 1

    def first_captions(self, rows: Sequence[int]) -> list[int]:
        """Return the index of the first caption of each of these images."""
        return self._first[list(rows)].tolist()


class PartlyLabelledStorage(ImageStorage):
    """Images of which few have a label, and the others -1, for semi-supervised training.

    An order takes any image and a labelled one in turn, so that half of every batch (rounded down for a batch of odd
    length) is labelled. Each image comes once in an order. The labelled ones come in rounds, each round in its own
    order, until there are as many of them.

    Raises:
        ValueError: no image is labelled.
    """

    def __init__(self, images: Pixels, labels: Tensor):
        super().__init__(images, labels)
        self.labelled = np.flatnonzero(labels.numpy() >= 0)
        if not len(self.labelled):
            raise ValueError("no image of a partly labelled set has a label: give a few of them one")

    def __len__(self) -> int:
        return 2 * len(self.images)

    def order(self, rng: np.random.Generator | None = None) -> Tensor:
        """Return indices of images, int64 (len(self),): any, labelled, any, labelled, ..."""
        count, known = len(self.images), len(self.labelled)
        rounds = [np.arange(known) if rng is None else rng.permutation(known) for _ in range(-(-count // known))]
        labelled = self.labelled[np.concatenate(rounds)[:count]]
        every = np.arange(count) if rng is None else rng.permutation(count)
        return torch.from_numpy(np.stack([every, labelled], axis=1).reshape(-1))


class ClassesInTurn(ImageStorage):
    """Labelled images of which an order takes one of each class in turn: 0, 1, ..., 0, 1, ...

    A batch whose length is a multiple of the number of classes then has equally many images of each. The storage is as
    long as if all classes were as large as the largest; a smaller one starts again when it is used up.

    Raises:
        ValueError: a class has no images.
    """

    def __init__(self, images: Pixels, labels: Tensor):
        super().__init__(images, labels)
        self.members = [np.flatnonzero(labels.numpy() == k) for k in range(int(labels.max()) + 1)]
        if empty := [k for k, members in enumerate(self.members) if not len(members)]:
            raise ValueError(f"class {empty[0]} of the classes that come in turn has no images: give it some")

    def __len__(self) -> int:
        return len(self.members) * max(map(len, self.members))

    def order(self, rng: np.random.Generator | None = None) -> Tensor:
        """Return indices of images, int64 (len(self),): each class shuffled by itself, or as it is stored."""
        count, columns = max(map(len, self.members)), []
        for members in self.members:
            rounds = [members if rng is None else rng.permutation(members) for _ in range(-(-count // len(members)))]
            columns.append(np.concatenate(rounds)[:count])
        return torch.from_numpy(np.stack(columns, axis=1).reshape(-1))

    def subset(self, rows: np.ndarray) -> ImageStorage:  # type: ignore[override]
        """Return the images and labels at `rows` of the stored order, which are no longer in turn."""
        items = self.order()[rows]
        assert self.labels is not None
        return ImageStorage(self.images.subset(items.numpy()), self.labels[items])


class PairedStorage(Storage):
    """Sources and their targets, matched by position.

    Raises:
        ValueError: there are more or fewer targets than sources.
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
        """Return the pairs at `rows`."""
        return PairedBatch(self.source.take(rows), self.target.take(rows))

    def subset(self, rows: np.ndarray) -> "PairedStorage":
        """Return the pairs at `rows`."""
        return PairedStorage(self.source.subset(rows), self.target.subset(rows))


class UnpairedStorage(Storage):
    """Two domains that are paired at random: a row of an order is an index into A and one into B, int64 (len(self), 2).

    The storage is as long as the larger domain; the smaller one starts again when it is used up. If it is shuffled,
    each domain has an order of its own, and a new one for each round.
    """

    def __init__(self, real_a: Pixels, real_b: Pixels):
        self.domains: tuple[Pixels, ...] = real_a, real_b
        self.fingerprint = digest("unpaired", real_a.fingerprint, real_b.fingerprint)

    def __len__(self) -> int:
        return max(map(len, self.domains))

    def order(self, rng: np.random.Generator | None = None) -> Tensor:
        """Return index pairs: each domain shuffled by itself, or both in the order in which they are stored."""
        columns = []
        for size in map(len, self.domains):
            rounds = -(-len(self) // size)
            orders = [np.arange(size) if rng is None else rng.permutation(size) for _ in range(rounds)]
            columns.append(np.concatenate(orders)[: len(self)])
        return torch.from_numpy(np.stack(columns, axis=1))

    def batch(self, rows: Tensor) -> Any:
        """Return the images of A and of B at the index pairs."""
        return UnpairedBatch(*self.taken(rows))

    def taken(self, rows: Tensor) -> Iterator[Tensor]:
        """Yield the images of each domain at its column of indices."""
        return (images.take(chosen) for images, chosen in zip(self.domains, rows.unbind(dim=1), strict=True))

    def subset(self, rows: np.ndarray) -> Self:
        """Return the images at `rows` of all domains; each domain must have that many."""
        return type(self)(*(images.subset(rows) for images in self.domains))


class CartoonStorage(UnpairedStorage):
    """Photographs, cartoons, and the same cartoons with smoothed edges, all three paired at random."""

    def __init__(self, real_a: Pixels, real_b: Pixels, smoothed: Pixels):
        super().__init__(real_a, real_b)
        self.domains = real_a, real_b, smoothed
        self.fingerprint = digest("cartoons", *(images.fingerprint for images in self.domains))

    def batch(self, rows: Tensor) -> CartoonBatch:
        """Return the images at the triples of indices."""
        return CartoonBatch(*self.taken(rows))
