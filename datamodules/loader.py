"""Loaders: small iterables over a storage whose order, share and position are exact on any number of ranks.

They are not torch DataLoaders. There is nothing for worker processes to do (a batch is one indexing operation), and
Lightning leaves the sharding of an iterable of our own to us: no padding, and the same batches on any number of ranks.
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
    """An endless stream of shuffled batches, handed out `len(loader)` at a time.

    The stream is one epoch after the other: every item at most once an epoch, in an order that only `seed` and the
    number of the epoch determine (no global random state is read or changed); what fills no whole batch is left out.
    Each batch is cut into contiguous parts, one a rank, so that the ranks together see what one rank alone would.

    `iter()` goes on where the stream stands and never rewinds it. So a run that is stopped anywhere and resumed sees
    exactly the batches it would have seen, however the trainer counts epochs, limits their batches or repeats `iter()`.

    Under a `growth`, the images handed out decide how many are in the next batch, and epochs differ in length.

    Args:
        storage: what to draw from.
        batch_size: items in a batch, over all ranks together. A `growth` states its own.
        seed: names the shuffle.
        rank: this process, 0 to `world_size` - 1.
        world_size: number of processes that share each batch.
        growth: the model's. None = batches are all of one size.

    Raises:
        ValueError: if ranks cannot share a batch equally, or the storage does not fill one batch.
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
        self._position = 0  # items of this epoch that were handed out, on all ranks together
        self._images = 0  # items of all epochs that were
        self._extents: dict[tuple[float, float, float], tuple[float, float, float]] = {}

    def __len__(self) -> int:
        """Batches in the epoch that the stream is in; at its end, in the next one."""
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
        """Where the stream stands, after the last batch that was handed out. The same on every rank."""
        place = {"epoch": self._epoch, "position": self._position}
        return place if self.growth is None else place | {"images": self._images}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where another loader's stream stood.

        Raises:
            ValueError: it is no such place.
        """
        names = ["epoch", "position"] if self.growth is None else ["epoch", "position", "images"]
        place: list[Any] = [state.get(name) if isinstance(state, dict) else None for name in names]
        if not all(type(number) is int and 0 <= number < 2**63 for number in place) or place[-1] < place[1]:
            raise ValueError(
                f"the checkpoint does not say where its data stood ({str(state)[:80]}): give one that `train.py fit` "
                f"wrote{'' if self.growth is None else ' for a model that grows'}"
            )
        self._epoch, self._position, self._images = (*place, 0)[:3]

    def extent(self, epochs: float, batches: float, limit: float = 1.0) -> tuple[float, float, float]:
        """Epochs, batches and images of a run from the start of the stream that ends with whichever comes first.

        Args:
            epochs: after which it ends, or infinity.
            batches: the same.
            limit: to an epoch's batches, as the trainer's `limit_train_batches`: a number or, as a float, a share.
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
        """The batches that come after so many images, as pairs: items a batch, and how many such batches follow."""
        return iter([(self.batch_size, math.inf)]) if self.growth is None else self.growth.batches(images)

    def _left(self, images: int, position: int) -> list[tuple[int, int]]:
        """Those of them that an epoch still has."""
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
        """Batches in an epoch that stands at this position after so many images; at its end, in the next one."""
        first = images - position if self._left(images, position) else images
        return sum(count for _, count in self._left(first, 0))


class ReferenceLoader:
    """Every item exactly once, in the storage's own order, over all ranks together; each `iter()` starts anew.

    A rank has a stretch of the order to itself, the first rank the first one, so that what ranks gather one after the
    other is in order. Stretches differ in length by at most one; so a rank may have one batch fewer.

    Args:
        storage: what to hand out.
        batch_size: items in a batch, over all ranks together.
        image_size: height and width that items are cut to on the device; part of the fingerprint, since it is part of
            what a reader of this loader sees.
        rank: this process, 0 to `world_size` - 1.
        world_size: number of processes that share each batch.
        split: name of the split that the items are of.

    Attributes:
        shares: for each batch on this rank, the place of its first item in the storage's order, and of one past its
            last.
        num_items: over all ranks together.
        fingerprint: the same name only for the same images in the same order, shared out in the same way; the same on
            every rank and machine.

    Raises:
        ValueError: if a full batch has no item for some rank.
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
        """Batches on this rank."""
        return len(self.shares)

    def __iter__(self) -> Iterator[Batch]:
        order = self._storage.order()
        for first, end in self.shares:
            yield self._storage.batch(order[first:end])
