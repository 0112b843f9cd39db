"""Loaders: small iterables over a storage whose order, share and position are exact on any number of ranks.

They are not torch DataLoaders. There is no work for worker processes, since a batch is one indexing operation.
Lightning does not shard an iterable that is not a DataLoader, so the loaders do it: no padding, and equal batches on
any number of ranks.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from datamodules.storage import Storage, digest
from gan_lightning.data.batches import Batch
from gan_lightning.data.growth import Growth


class TrainingLoader:
    """An endless stream of shuffled batches, which yields `len(loader)` of them at a time.

    The stream is one epoch after the other. An epoch has every item at most once, in an order that only `seed` and the
    number of the epoch determine; no global random state is read or changed. A remainder that fills no whole batch is
    left out. Each batch is cut into contiguous parts, one for each rank, so that all ranks together see the batches of
    a run on one rank.

    `iter()` continues the stream where it is and never goes back. So a run that is stopped at any step and resumed sees
    exactly the batches of a run without a stop, however the trainer counts epochs, limits their batches or repeats
    `iter()`.

    With a `growth`, the number of images so far decides the size of the next batch, and epochs differ in length.

    Args:
        storage: the items.
        batch_size: items in a batch, on all ranks together. A `growth` has batch sizes of its own.
        seed: seed of the shuffle.
        rank: this process, 0 to `world_size` - 1.
        world_size: number of processes that share each batch.
        growth: the growth of the model. None: all batches have one size.

    Raises:
        ValueError: ranks cannot share a batch equally, or the storage does not fill one batch.
    """

    def __init__(
        self,
        storage: Storage,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        growth: Growth | None = None,
    ):
        named = {"batch_size": batch_size}
        if growth is not None:
            named = {f"growth.batch_sizes[{size}]": count for size, count in growth.batch_sizes.items()}
        for name, size in named.items():
            if size < 1 or size % world_size:
                raise ValueError(
                    f"{name}={size} counts the images of all ranks together, and {world_size} ranks cannot share it "
                    f"equally: make it a positive multiple of {world_size}"
                )
            if len(storage) < size:
                raise ValueError(
                    f"{len(storage)} of the images (or pairs) are to be trained on, without those that are held out, "
                    f"which is less than one batch of {size}: make {name} {len(storage)} or less, or give more images"
                )
        self.storage = storage
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.growth = growth
        self._epoch = 0
        self._position = 0  # items that were yielded in this epoch, on all ranks together
        self._images = 0  # items that were yielded in all epochs
        self._extents: dict[tuple[float, float, float], tuple[float, float, float]] = {}

    def __len__(self) -> int:
        """Return the number of batches in the current epoch; at its end, in the next one."""
        return self._length(self._images, self._position)

    def __iter__(self) -> Iterator[Batch]:
        ordered, order = -1, Tensor()
        for _ in range(len(self)):
            size, _ = next(self._sizes(self._images))
            if self._position + size > len(self.storage):
                self._epoch, self._position = self._epoch + 1, 0
            if ordered != self._epoch:
                ordered, order = self._epoch, self.storage.order(np.random.default_rng((self.seed, self._epoch)))
            share = size // self.world_size
            first = self._position + self.rank * share
            self._position += size
            self._images += size
            yield self.storage.batch(order[first : first + share])

    def state_dict(self) -> dict[str, int]:
        """Return the place in the stream after the last batch that was yielded, equal on every rank."""
        place = {"epoch": self._epoch, "position": self._position}
        return place if self.growth is None else place | {"images": self._images}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to the place of another loader's stream.

        Raises:
            ValueError: the state is not such a place.
        """
        names = ["epoch", "position"] if self.growth is None else ["epoch", "position", "images"]
        place: list[Any] = [state.get(name) if isinstance(state, dict) else None for name in names]
        if not all(type(number) is int and 0 <= number < 2**63 for number in place) or place[-1] < place[1]:
            raise ValueError(
                f"the checkpoint does not say where its data were ({str(state)[:80]}): give one that `gan-lightning "
                "fit` "
                f"wrote{'' if self.growth is None else ' for a model that grows'}"
            )
        self._epoch, self._position, self._images = (*place, 0)[:3]

    def extent(self, epochs: float, batches: float, limit: float = 1.0) -> tuple[float, float, float]:
        """Return epochs, batches and images of a run from the start of the stream, up to the first limit reached.

        Args:
            epochs: the most epochs, or infinity.
            batches: the most batches, or infinity.
            limit: the most batches in an epoch, as the trainer's `limit_train_batches`: a number or, as a float, a
                share of the epoch.
        """
        key = epochs, batches, limit
        if key not in self._extents:
            self._extents[key] = (math.inf,) * 3 if math.isinf(min(epochs, batches)) else self._run(*key)
        return self._extents[key]

    def _run(self, epochs: float, batches: float, limit: float) -> tuple[float, float, float]:
        begun = 0.0
        done = images = position = 0
        while begun < epochs and done < batches:
            length = self._length(images, position)
            length = min(limit, length) if isinstance(limit, int) else max(1, int(limit * length))
            left = taken = int(min(batches - done, length))
            while left:
                if not (runs := self._left(images, position)):
                    position = 0
                for size, count in runs:
                    taking = min(count, left)
                    images, position, left = images + taking * size, position + taking * size, left - taking
            begun, done = begun + taken / length, done + taken
        return begun, done, images

    def _sizes(self, images: int) -> Iterator[tuple[int, float]]:
        """Return the batches after the first `images` images, as pairs: items in a batch, number of such batches."""
        return iter([(self.batch_size, math.inf)]) if self.growth is None else self.growth.batches(images)

    def _left(self, images: int, position: int) -> list[tuple[int, int]]:
        """Return those of the batches of `_sizes` that still fit into the epoch."""
        runs = []
        for size, count in self._sizes(images):
            fitting = int(min(count, max(0, len(self.storage) - position) // size))
            if fitting:
                runs.append((size, fitting))
            if fitting < count:
                break
            position += fitting * size
        return runs

    def _length(self, images: int, position: int) -> int:
        """Return the batches in the epoch at `position`, after `images` images in all; at its end, in the next one."""
        first = images - position if self._left(images, position) else images
        return sum(count for _, count in self._left(first, 0))


class ReferenceLoader:
    """Every item exactly once, in the storage's own order, on all ranks together; each `iter()` starts again.

    Each rank has a contiguous part of the order; that of the first rank comes first. So results that are gathered rank
    by rank are in order. Parts differ in length by at most one; so a rank may have one batch fewer.

    Args:
        storage: the items.
        batch_size: items in a batch, on all ranks together.
        image_size: height and width to which items are cut on the device; part of the fingerprint, since it changes the
            images that a reader of this loader sees.
        rank: this process, 0 to `world_size` - 1.
        world_size: number of processes that share each batch.
        split: name of the split of the items.

    Attributes:
        shares: for each batch on this rank, the place of its first item in the storage's order, and the place after its
            last.
        num_items: number of items on all ranks together.
        fingerprint: a name that is equal only for the same images in the same order, shared out in the same way; it is
            equal on every rank and machine.

    Raises:
        ValueError: a full batch has no item for some rank.
    """

    def __init__(
        self,
        storage: Storage,
        batch_size: int,
        image_size: tuple[int, int],
        rank: int = 0,
        world_size: int = 1,
        split: str = "test",
    ):
        if batch_size < world_size:
            raise ValueError(
                f"eval_batch_size={batch_size} counts the images of all ranks together, and there are {world_size}"
                f" ranks: make it {world_size} or more"
            )
        # which images a rank sees depends on the number of ranks
        sharing = (world_size,) if world_size > 1 else ()
        self.fingerprint = digest(storage.fingerprint, image_size, *sharing)
        self.split = split
        self.num_items = len(storage)
        self._storage = storage
        first, end = (len(storage) * part // world_size for part in (rank, rank + 1))
        length = batch_size // world_size
        self.shares = [(start, min(start + length, end)) for start in range(first, end, length)]

    def __len__(self) -> int:
        """Return the number of batches on this rank."""
        return len(self.shares)

    def __iter__(self) -> Iterator[Batch]:
        order = self._storage.order()
        for first, end in self.shares:
            yield self._storage.batch(order[first:end])
