"""What the metrics of images share: sets of images and classes, random pairs of them, a bar, own random states."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import ProcessGroup, ReduceOp
from torchmetrics.utilities.data import dim_zero_cat
from torchmetrics.utilities.distributed import gather_all_tensors
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.metrics.base import ImageMetric

Item = TypeVar("Item")

PATIENCE = 2  # seconds without a bar
UNKNOWN = -1  # the class of an image without one
_DTYPES = (torch.float32, torch.uint8, torch.int64)


class ImageSet(NamedTuple):
    """Images of one size, and their classes where all have one."""

    images: Tensor  # uint8 (N, C, H, W)
    labels: Tensor | None  # int64 (N,)


class PooledImageMetric(ImageMetric):
    """Base of the metrics that compare images with images: it keeps all of both sets, a byte a value."""

    real_images: list[Tensor]
    fake_images: list[Tensor]
    real_labels: list[Tensor]
    fake_labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.dist_sync_fn = _gather
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
                "images in [-1, 1] by gan_lightning.images.to_uint8"
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
    return torch.cat([function(images[a], images[b]).double() for a, b in progress(batches, title)])


def rank_and_world() -> tuple[int, int]:
    """This process' rank and the number of processes; 0 and 1 without a process group."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def progress(items: Iterable[Item], title: str) -> Iterable[Item]:
    """The items, with a bar on rank zero's terminal where they take long."""
    return tqdm(items, desc=title, delay=PATIENCE, leave=False, disable=True if rank_and_world()[0] else None)


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


def _gather(state: Tensor, group: ProcessGroup | None) -> list[Tensor]:
    """torchmetrics' gather, in which a rank without any image takes part: its state knows neither dtype nor shape."""
    known: list[Any] = [_DTYPES.index(state.dtype), state.ndim, *state.shape[1:]] if len(state) else []
    layout = torch.tensor(known + [0] * (5 - len(known)), device=state.device)
    dist.all_reduce(layout, ReduceOp.MAX, group)
    if len(state) == 0:
        dtype, ndim, *shape = layout.tolist()
        state = torch.empty(0, *shape[: max(ndim - 1, 0)], dtype=_DTYPES[dtype], device=state.device)
    return gather_all_tensors(state, group)
