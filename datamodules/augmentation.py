"""Random crops and flips of batches on the device, which only the batch's place in the training stream decides."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.batches import Batch, DomainBatch, PairedBatch, UnpairedBatch

AUGMENTATION = 1  # tells these numbers from those of the shuffle


class BatchDraws:
    """Random numbers for each item of one training batch.

    They depend on the key and on an item's place in the batch of all ranks together: neither on the number of ranks nor
    on any global random state, so that a resumed run draws what it would have drawn. Each call draws new ones.

    Args:
        key: names the batch: the datamodule's seed, the epoch of its stream and the position in it.
        count: items of the batch on this rank.
        rank: this process, 0 to `world_size` - 1.
        world_size: number of processes that share the batch, each with `count` items in a row.
        device: of what is returned.
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


class Window(NamedTuple):
    """Where each image of a batch is cut out, and whether the cutting is mirrored."""

    top: Tensor  # int64 (N, 1)
    left: Tensor  # int64 (N, 1)
    mirrored: Tensor  # bool (N, 1)

    @classmethod
    def draw(cls, images: Tensor, size: tuple[int, int], flip: bool, draws: BatchDraws) -> Self:
        """Windows of `size` (height, width) anywhere in images (N, C, H, W), mirrored half of the time if `flip`."""
        height, width = images.shape[-2:]
        top = draws.integers(0, height - size[0] + 1)
        left = draws.integers(0, width - size[1] + 1)
        mirrored = draws.uniform() < (0.5 if flip else 0.0)
        return cls(top[:, None], left[:, None], mirrored[:, None])

    def cut(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """Images (N, C, H, W) as their windows (N, C, *size)."""
        if images.dtype == torch.uint16:  # which few kernels know: the same bits under another name
            return self.cut(images.view(torch.int16), size).view(torch.uint16)
        count, channels, height, _ = images.shape
        along = torch.arange(size[1], device=images.device)
        columns = self.left + torch.where(self.mirrored, along.flip(0), along)  # (N, w)
        # rows whole, then columns: looking both up at once would be a look-up for each pixel, and several times as slow
        rows = self.top + torch.arange(size[0], device=images.device)  # (N, h)
        planes = torch.arange(count * channels, device=images.device).view(count, channels, 1)
        lines = images.flatten(0, 2).index_select(0, (planes * height + rows[:, None]).flatten())  # (N·C·h, W)
        lines = lines.view(count, channels, size[0], -1)
        return lines.gather(3, columns[:, None, None, :].expand(count, channels, *size))


def map_images(batch: Batch, function: Callable[[Tensor], Tensor]) -> Batch:
    """The batch with `function` applied to each of its image tensors; labels and captions stay as they are."""
    if isinstance(batch, PairedBatch | UnpairedBatch):
        return type(batch)(*map(function, batch))
    if isinstance(batch, DomainBatch):
        return batch._replace(source=function(batch.source), target=function(batch.target))
    return batch._replace(images=function(batch.images))


def augment(batch: Batch, size: tuple[int, int], flip: bool, draws: BatchDraws) -> Batch:
    """Images cut to `size` (height, width) at random places, and mirrored half of the time if `flip`.

    Source and target of a pair are cut at the same place and mirrored together; unpaired images each for itself.
    Nothing is drawn where there is nothing to choose.
    """
    if not flip and batch[0].shape[-2:] == size:
        return batch
    if isinstance(batch, PairedBatch):
        window = Window.draw(batch.source, size, flip, draws)
        return map_images(batch, lambda images: window.cut(images, size))
    return map_images(batch, lambda images: Window.draw(images, size, flip, draws).cut(images, size))


def centre_crop(batch: Batch, size: tuple[int, int]) -> Batch:
    """The middle `size` (height, width) of every image."""

    def cut(images: Tensor) -> Tensor:
        top, left = ((whole - part) // 2 for whole, part in zip(images.shape[-2:], size, strict=True))
        return images[..., top : top + size[0], left : left + size[1]]

    return map_images(batch, cut)
