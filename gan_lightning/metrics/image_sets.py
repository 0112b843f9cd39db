"""What the metrics of images share: sets of images and classes, random pairs of them, own random states."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from gan_lightning.metrics.base import LabelledImageMetric
from gan_lightning.metrics.progress import progress

PATIENCE = 2  # seconds without a bar
UNKNOWN = -1  # the class of an image without one


class ImageSet(NamedTuple):
    """Images of one size, and their classes where all have one."""

    images: Tensor  # uint8 (N, C, H, W)
    labels: Tensor | None  # int64 (N,)


class PooledImageMetric(LabelledImageMetric):
    """Base of the metrics that compare images with images: it keeps all of both sets, a byte a value."""

    real_images: list[Tensor]
    fake_images: list[Tensor]
    real_labels: list[Tensor]
    fake_labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("real_images", "fake_images", "real_labels", "fake_labels"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, images: Tensor, real: bool, labels: Tensor | None = None) -> None:
        """Keep some images, uint8 (N, C, H, W), real or generated, and their classes, int64 (N,), where known.

        Raises:
            TypeError: for images of another kind.
            ValueError: for images of another size than the set's, or labels that are not one class for each.
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
                f"{_size(images)}: bring all images of a set to one size"
            )
        kept.append(images)
        (self.real_labels if real else self.fake_labels).append(labels.long())

    def sets(self, needed: int, why: str) -> tuple[ImageSet, ImageSet]:
        """Both sets, real and fake, at least `needed` images of each.

        Raises:
            TooFewSamplesError: where there are fewer.
            ValueError: where the sets' sizes differ, or only some images of a set have a class.
        """
        self.require(min(_count(self.real_images), _count(self.fake_images)), needed, why)
        # in one piece from now on: never are there two copies of all images
        self.real_images, self.fake_images = ([dim_zero_cat(kept)] for kept in (self.real_images, self.fake_images))
        (real,), (fake,) = self.real_images, self.fake_images
        if real.shape[1:] != fake.shape[1:]:
            raise ValueError(
                f"{type(self).__name__} compares images of one size, and the real ones are of {_size(real)}, the "
                f"generated ones of {_size(fake)}: bring both to one size"
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
    """Two (P,) of `members` (N,), a random choice without repeats: P pairs, `count` or as many as there are."""
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
    """What a function from two batches of images to (B,) gives for all pairs (P,) of indices, float64 (P,)."""
    batches = list(zip(*(side.split(batch_size) for side in pairs), strict=True))
    return torch.cat([function(images[a], images[b]).double() for a, b in progress(title, batches)])


@contextmanager
def own_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Draws within start from `seed`; the global random states, the CPU's and the device's, are put back after."""
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices, device_type=device.type):
        torch.manual_seed(seed)
        yield


def _count(kept: list[Tensor]) -> int:
    """Images in a state, which is a list before it is gathered, and one tensor after."""
    return sum(map(len, kept)) if isinstance(kept, list) else len(kept)


def _size(images: Tensor) -> str:
    channels, height, width = images.shape[1:]
    return f"{height}x{width} with {channels} channels"
