"""Random crops and flips of whole batches on the device, drawn from its global random state."""

from collections.abc import Callable
from typing import NamedTuple, Self

import torch
from torch import Tensor

from gan_lightning.batches import Batch, DomainBatch, PairedBatch, UnpairedBatch


class Window(NamedTuple):
    """Where each image of a batch is cut out, and whether the cutting is mirrored."""

    top: Tensor  # int64 (N, 1)
    left: Tensor  # int64 (N, 1)
    mirrored: Tensor  # bool (N, 1)

    @classmethod
    def draw(cls, images: Tensor, size: tuple[int, int], flip: bool) -> Self:
        """Windows of `size` (height, width) anywhere in images (N, C, H, W), mirrored half of the time if `flip`."""
        count, _, height, width = images.shape
        device = images.device
        top = torch.randint(height - size[0] + 1, (count, 1), device=device)
        left = torch.randint(width - size[1] + 1, (count, 1), device=device)
        mirrored = torch.rand(count, 1, device=device) < (0.5 if flip else 0.0)
        return cls(top, left, mirrored)

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


def augment(batch: Batch, size: tuple[int, int], flip: bool) -> Batch:
    """Images cut to `size` (height, width) at random places, and mirrored half of the time if `flip`.

    Source and target of a pair are cut at the same place and mirrored together; unpaired images each for itself.
    Nothing is drawn where there is nothing to choose.
    """
    if not flip and batch[0].shape[-2:] == size:
        return batch
    if isinstance(batch, PairedBatch):
        window = Window.draw(batch.source, size, flip)
        return map_images(batch, lambda images: window.cut(images, size))
    return map_images(batch, lambda images: Window.draw(images, size, flip).cut(images, size))


def centre_crop(batch: Batch, size: tuple[int, int]) -> Batch:
    """The middle `size` (height, width) of every image."""

    def cut(images: Tensor) -> Tensor:
        top, left = ((whole - part) // 2 for whole, part in zip(images.shape[-2:], size, strict=True))
        return images[..., top : top + size[0], left : left + size[1]]

    return map_images(batch, cut)
