"""Batches cut, shortened and detached, with and without labels."""

from typing import Any

import pytest
import torch

from gan_lightning.batches import (
    CaptionedBatch,
    ImageBatch,
    PairedBatch,
    UnpairedBatch,
    batch_length,
    detach,
    first,
    split,
)
from toys import DeterministicGAN, ToyData, trainer, weights

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


@pytest.mark.xfail(strict=True, reason="minimize gives each part the same weight, however many images it has")
def test_parts_of_unequal_length_give_the_gradient_of_the_whole_or_are_refused() -> None:
    from functools import partial

    from torch.optim import SGD

    def trained(accumulate: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        sgd = partial(SGD, lr=0.5)
        model = DeterministicGAN(generator_optimizer=sgd, discriminator_optimizer=sgd, accumulate=accumulate)
        trainer(max_epochs=1).fit(model, ToyData(batches=3, size=5))
        return weights(model)

    whole = trained(1)
    try:
        parts = trained(3)  # 2, 2 and 1 images
    except ValueError as error:
        assert "accumulate" in str(error)
        return
    for name, p in whole.items():
        torch.testing.assert_close(parts[name], p, rtol=1e-5, atol=1e-7)
