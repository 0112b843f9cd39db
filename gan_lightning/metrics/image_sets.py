"""Shared parts of the metrics of images: sets of images and classes, random pairs, random states."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from gan_lightning.metrics.base import LabelledImageMetric
from gan_lightning.metrics.progress import progress

PATIENCE = 2  # seconds without a bar
UNKNOWN = -1  # the label of an image without a class


class ImageSet(NamedTuple):
    """Images of one size, and their classes if all have one."""

    images: Tensor  # uint8 (N, C, H, W)
    labels: Tensor | None  # int64 (N,)


class PooledImageMetric(LabelledImageMetric):
    """Base of the metrics that compare images with images. It keeps all images of both sets, a byte a value."""

    real_images: list[Tensor]
    fake_images: list[Tensor]
    real_labels: list[Tensor]
    fake_labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("real_images", "fake_images", "real_labels", "fake_labels"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, images: Tensor, real: bool, labels: Tensor | None = None) -> None:
        """Keep some images, uint8 (N, C, H, W), real or generated, with their classes, int64 (N,), if known.

        Raises:
            TypeError: the images are not uint8 (N, C, H, W).
            ValueError: the images differ in size from the set's, or the labels are not one class for each image.
        """
        name = type(self).__name__
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise TypeError(
                f"{name} takes uint8 images (N, C, H, W), not {images.dtype} {tuple(images.shape)}: convert float "
                "images in [-1, 1] by gan_lightning.data.images.to_uint8"
            )
        if labels is None:
            labels = torch.full((len(images),), UNKNOWN, device=images.device)
        elif labels.shape != (len(images),) or labels.is_floating_point() or bool((labels < 0).any()):
            raise ValueError(
                f"{name} takes labels (N,) of whole numbers from 0, one for each of {len(images)} images, not "
                f"{labels.dtype} {tuple(labels.shape)}"
            )
        kept = self.real_images if real else self.fake_images
        if kept and kept[0].shape[1:] != images.shape[1:]:
            raise ValueError(
                f"{name} was given {'real' if real else 'generated'} images of {_size(kept[0])} and then of "
                f"{_size(images)}: resize all images of a set to one size"
            )
        kept.append(images)
        (self.real_labels if real else self.fake_labels).append(labels.long())

    def sets(self, needed: int, why: str) -> tuple[ImageSet, ImageSet]:
        """Return both sets, real and fake, of at least `needed` images each.

        Raises:
            TooFewSamplesError: there are fewer.
            ValueError: the sets' sizes differ, or only some images of a set have a class.
        """
        self.require(min(_count(self.real_images), _count(self.fake_images)), needed, why)
        # in one piece from now on, so that there are never two copies of all images
        self.real_images, self.fake_images = ([dim_zero_cat(kept)] for kept in (self.real_images, self.fake_images))
        (real,), (fake,) = self.real_images, self.fake_images
        if real.shape[1:] != fake.shape[1:]:
            raise ValueError(
                f"{type(self).__name__} compares images of one size, and the real ones are of {_size(real)}, the "
                f"generated ones of {_size(fake)}: resize both to one size"
            )
        return ImageSet(real, self._classes(self.real_labels)), ImageSet(fake, self._classes(self.fake_labels))

    def _classes(self, kept: list[Tensor]) -> Tensor | None:
        labels = dim_zero_cat(kept)
        unknown = int((labels == UNKNOWN).sum())
        if 0 < unknown < len(labels):
            raise ValueError(
                f"{type(self).__name__} was given {unknown} of {len(labels)} images of a set without their classes: "
                "give labels for all of them or for none"
            )
        return None if unknown else labels


def disjoint_pairs(members: Tensor, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return two tensors (P,) of `members` (N,), drawn without repeats: `count` pairs, or as many as possible."""
    pairs = min(count, len(members) // 2)
    chosen = members[torch.randperm(len(members), generator=random)[: 2 * pairs].to(members.device)]
    return chosen[:pairs], chosen[pairs:]


def over_pairs(
    function: Callable[[Tensor, Tensor], Tensor],
    images: Tensor,
    pairs: tuple[Tensor, Tensor],
    batch_size: int,
    title: str,
) -> Tensor:
    """Return `function`, from two batches of images to (B,), for all pairs (P,) of indices, as float64 (P,)."""
    batches = list(zip(*(side.split(batch_size) for side in pairs), strict=True))
    return torch.cat([function(images[a], images[b]).double() for a, b in progress(title, batches)])


@contextmanager
def own_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the draws within with `seed`; restore the global random states of the CPU and the device afterwards."""
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices, device_type=device.type):
        torch.manual_seed(seed)
        yield


def _count(kept: list[Tensor]) -> int:
    """Return the number of images in a state, which is a list before it is gathered, and one tensor after."""
    return sum(map(len, kept)) if isinstance(kept, list) else len(kept)


def _size(images: Tensor) -> str:
    channels, height, width = images.shape[1:]
    return f"{height}x{width} with {channels} channels"
