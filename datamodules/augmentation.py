"""Random crops and flips of batches on the device; they depend only on the batch's place in the training stream."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.batches import AnyBatch, Middle, Window, crop, view_sizes

AUGMENTATION = 1  # separates these random numbers from those of the shuffle


class BatchDraws:
    """Random numbers for each item of one training batch.

    The numbers depend on the key and on an item's place in the batch of all ranks together. They depend neither on the
    number of ranks nor on any global random state, so a resumed run draws the numbers that it would have drawn without
    the stop. Each call draws new ones.

    Args:
        key: the name of the batch: the datamodule's seed, the epoch of its stream and the position in it.
        count: items of the batch on this rank.
        rank: this process, 0 to `world_size` - 1.
        world_size: number of processes that share the batch, each with `count` items in a row.
        device: the device of the numbers that are returned.
    """

    def __init__(
        self,
        key: Sequence[int],
        count: int,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str | None = None,
    ):
        self._random = np.random.default_rng((*key, AUGMENTATION))
        self._whole = count * world_size
        self._own = slice(rank * count, (rank + 1) * count)
        self._device = device

    def integers(self, low: int, high: int) -> Tensor:
        """An integer for each item from `low` to `high` - 1, int64 (count,)."""
        return self._of_own_items(self._random.integers(low, high, self._whole))

    def uniform(self, *shape: int) -> Tensor:
        """Numbers from 0 to 1 for each item, float32 (count, *shape)."""
        return self._of_own_items(self._random.random((self._whole, *shape), dtype=np.float32))

    def normal(self, *shape: int) -> Tensor:
        """Numbers from a standard normal for each item, float32 (count, *shape)."""
        return self._of_own_items(self._random.standard_normal((self._whole, *shape), dtype=np.float32))

    def _of_own_items(self, drawn: np.ndarray) -> Tensor:
        return torch.from_numpy(drawn[self._own]).to(self._device)


def augment(batch: AnyBatch, size: tuple[int, int], flip: bool, draws: BatchDraws) -> AnyBatch:
    """Cut pictures to `size` (height, width) at random places, and mirror half of them if `flip`.

    Fields of one view, such as source and target of a pair, are cut at the same place and mirrored together. Different
    views are cut independently. Nothing is drawn where there is nothing to choose.

    Raises:
        ValueError: a picture is smaller than `size`.
    """
    if not flip and all(whole == size for whole in view_sizes(batch).values()):
        return batch

    def place(whole: tuple[int, int]) -> Window:
        height, width = _room(whole, size)
        top, left = draws.integers(0, height + 1), draws.integers(0, width + 1)
        mirrored = draws.uniform() < (0.5 if flip else 0.0)
        return Window(top[:, None], left[:, None], mirrored[:, None], size)

    return crop(batch, place)


def centre_crop(batch: AnyBatch, size: tuple[int, int]) -> AnyBatch:
    """Cut the middle `size` (height, width) out of every picture.

    Raises:
        ValueError: a picture is smaller than `size`.
    """

    def place(whole: tuple[int, int]) -> Middle:
        height, width = _room(whole, size)
        return Middle(height // 2, width // 2, size)

    return crop(batch, place)


def _room(whole: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return the pixels by which a picture is larger than the part to cut out, in height and width."""
    height, width = whole[0] - size[0], whole[1] - size[1]
    if min(height, width) < 0:
        raise ValueError(
            f"{size[0]}x{size[1]} pixels (height x width) cannot be cut from images of {whole[0]}x{whole[1]}: make "
            "image_size smaller, or store larger images"
        )
    return height, width
