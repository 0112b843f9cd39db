"""Black and white images, drawn once or for each batch."""

from types import SimpleNamespace

import pytest
import torch

from datamodules import Digits


def test_images_are_made_black_and_white_once_or_for_each_batch():
    plain, fixed, drawn = (Digits(image_size=28, batch_size=100, binarise=how) for how in (None, "fixed", "drawn"))
    for module in (plain, fixed, drawn):
        module.setup("fit")
    grey, once = (module._training.storage.images.take(torch.arange(2000)) for module in (plain, fixed))
    assert once.unique().tolist() == [0, 255]
    assert not once[grey == 0].any()
    assert once[grey == 255].all()
    assert float(once.float().mean()) == pytest.approx(float(grey.float().mean()), rel=0.01)
    again = Digits(image_size=28, binarise="fixed")
    again.setup("fit")
    assert torch.equal(again._training.storage.images.take(torch.arange(9)), once[:9])

    assert torch.equal(drawn._training.storage.images.take(torch.arange(9)), grey[:9])
    reference = [module._reference.images.take(torch.arange(9)) for module in (fixed, drawn)]
    assert torch.equal(*reference)  # the same draws
    assert fixed._reference.fingerprint == drawn._reference.fingerprint != plain._reference.fingerprint
    assert "drawn anew in training" in drawn.values_protocol

    drawn.trainer = SimpleNamespace(training=True, global_rank=0, world_size=1)
    loader = drawn.train_dataloader()
    stored = next(iter(loader))
    batch = drawn.on_after_batch_transfer(stored, 0)
    assert batch.images.unique().tolist() == [-1, 1]
    assert torch.equal(drawn.on_after_batch_transfer(stored, 0).images, batch.images)  # of this place in the stream
    next(iter(loader))
    assert not torch.equal(drawn.on_after_batch_transfer(stored, 0).images, batch.images)
