"""What a datamodule hands to a model: five kinds of batches, the only thing both sides know.

Images in a batch are float32 NCHW in [-1, 1] by the time a model sees them (a datamodule converts on the device).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor


class ImageBatch(NamedTuple):
    """Images, and their labels where the data set has any."""

    images: Tensor  # (N, C, H, W)
    labels: Tensor | None = None  # int64 (N,) class indices, -1 where unknown; or float (N, A) attributes in {0, 1}


class PairedBatch(NamedTuple):
    """A source image and the target it is to become, aligned; in super-resolution the target is the larger."""

    source: Tensor  # (N, C_source, H, W)
    target: Tensor  # (N, C_target, H', W')


class UnpairedBatch(NamedTuple):
    """An image of domain A and an unrelated one of domain B."""

    real_a: Tensor  # (N, C_a, H, W)
    real_b: Tensor  # (N, C_b, H, W)


class CaptionedBatch(NamedTuple):
    """An image and the embedding or the token ids of its caption."""

    images: Tensor  # (N, C, H, W)
    captions: Tensor  # float (N, E) embeddings or int64 (N, T) token ids


class DomainBatch(NamedTuple):
    """A labelled image of the source domain and an unrelated one of the target domain."""

    source: Tensor  # (N, C, H, W)
    source_labels: Tensor  # int64 (N,) class indices
    target: Tensor  # (N, C, H, W)
    target_labels: Tensor | None = None  # int64 (N,) class indices; None in training, which is not to know them


Batch = ImageBatch | PairedBatch | UnpairedBatch | CaptionedBatch | DomainBatch

AnyBatch = TypeVar("AnyBatch", ImageBatch, PairedBatch, UnpairedBatch, CaptionedBatch, DomainBatch)
Tree = TypeVar("Tree")


@runtime_checkable
class Fingerprinted(Protocol):
    """A loader whose content has a name: the same name only for the same images in the same order.

    Evaluation keeps features of real images on disk under this name.
    """

    fingerprint: str


@runtime_checkable
class Ordered(Protocol):
    """A loader that says which items of its set a batch holds: the first one's place, and one past the last one's."""

    shares: Sequence[tuple[int, int]]


def item_numbers(loader: Any, batch_idx: int, count: int, before: int, rank: int, world_size: int) -> range:
    """The place in the whole set of each item of a batch, from 0, the same on any number of processes.

    Args:
        loader: where the batch comes from. One that is not `Ordered` is taken to deal out items in turn.
        batch_idx: number of the batch on this process.
        count: items of the batch.
        before: items that this process was given before.
        rank: this process.
        world_size: number of processes.
    """
    if isinstance(loader, Ordered):
        return range(*loader.shares[batch_idx])
    return range(before * world_size + rank, (before + count) * world_size + rank, world_size)


def batch_length(batch: Batch) -> int:
    """Number of images (or pairs) in a batch."""
    return len(batch[0])


def detach(tensors: Tree) -> Tree:
    """The same nest of tensors, cut from the graph that made it."""
    return apply_to_collection(tensors, Tensor, Tensor.detach)


def first(batch: AnyBatch, count: int) -> AnyBatch:
    """The first `count` items of a batch."""
    make: Any = type(batch)
    return make(*(None if field is None else field[:count] for field in batch))


def select(batch: AnyBatch, rows: Tensor) -> AnyBatch:
    """The items of a batch at `rows`, int64 (n,)."""
    make: Any = type(batch)
    return make(*(None if field is None else field[rows] for field in batch))


def split(batch: AnyBatch, parts: int) -> list[AnyBatch]:
    """The batch as `parts` smaller ones of equal length, in order.

    Raises:
        ValueError: it cannot be cut so.
    """
    if len(batch[0]) % parts:
        raise ValueError(f"a batch of {len(batch[0])} cannot be cut into {parts} equal parts: let accumulate divide it")
    if parts == 1:
        return [batch]
    fields: list[Any] = [[None] * parts if field is None else field.chunk(parts) for field in batch]
    make: Any = type(batch)
    return [make(*part) for part in zip(*fields, strict=True)]
