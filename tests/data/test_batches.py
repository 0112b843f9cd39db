"""Batches cut, shortened and detached, with and without labels."""

from typing import Any

import pytest
import torch

from gan_lightning.data.batches import (
    CaptionedBatch,
    ImageBatch,
    PairedBatch,
    UnpairedBatch,
    batch_length,
    detach,
    first,
    split,
)
from toys import DeterministicGAN, ToyData, trainer

IMAGES = torch.arange(8.0).view(8, 1, 1, 1)
KINDS = [
    ImageBatch(IMAGES),
    ImageBatch(IMAGES, torch.arange(8)),
    PairedBatch(IMAGES, -IMAGES),
    UnpairedBatch(IMAGES, -IMAGES),
    CaptionedBatch(IMAGES, torch.arange(16.0).view(8, 2)),
]
every_kind = pytest.mark.parametrize("batch", KINDS, ids=lambda batch: f"{type(batch).__name__} {batch[1] is not None}")


def joined(parts: list[Any]) -> Any:
    return type(parts[0])(*(None if f[0] is None else torch.cat(f) for f in zip(*parts, strict=True)))


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    for a, b in zip(one, other, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


@every_kind
def test_parts_make_up_the_whole_in_order(batch: Any) -> None:
    assert batch_length(batch) == 8
    assert split(batch, 1) == [batch]
    for count in (2, 4, 8):
        parts = split(batch, count)
        assert [batch_length(part) for part in parts] == [8 // count] * count
        assert {type(part) for part in parts} == {type(batch)}
        assert_same(joined(parts), batch)


@every_kind
def test_the_first_items(batch: Any) -> None:
    few = first(batch, 3)
    assert batch_length(few) == 3
    assert_same(few, type(batch)(*(None if f is None else f[:3] for f in batch)))
    assert_same(first(batch, 99), batch)


def test_detach_goes_through_any_nest() -> None:
    attached = torch.ones(2, requires_grad=True) * 2
    batch = detach(ImageBatch(attached, None))
    assert isinstance(batch, ImageBatch)
    assert not batch.images.requires_grad
    assert batch.labels is None
    nest = detach({"a": [attached, (attached, 3)], "b": None})
    assert nest["b"] is None
    assert nest["a"][1][1] == 3
    assert not nest["a"][0].requires_grad
    assert not nest["a"][1][0].requires_grad
    assert attached.requires_grad


def test_a_batch_that_cannot_be_cut_into_equal_parts_is_refused() -> None:
    """The mean of unequal parts' losses would not be the loss of the whole."""
    for size in (5, 2):
        with pytest.raises(ValueError, match=f"{size}.*accumulate"):
            trainer(max_epochs=1).fit(DeterministicGAN(accumulate=3), ToyData(batches=1, size=size))
