"""Digits in two domains: the shift itself, the labels that a batch has, and equality on every machine."""

import numpy as np
import pytest
import torch

from datamodules import Digits, ShiftedDigits
from datamodules.shifted_digits import shifted, textures
from datamodules.storage import digest
from gan_lightning.data.batches import DomainBatch


@pytest.fixture(scope="module")
def data() -> ShiftedDigits:
    data = ShiftedDigits(batch_size=64, eval_batch_size=128)
    data.setup("fit")
    return data


def test_a_shifted_digit_inverts_the_texture_under_its_strokes():
    digits = np.zeros((2, 1, 8, 8), np.uint8)
    digits[0, 0, 2:5, 3] = 255
    digits[1, 0, 0, 0] = 100
    behind, made = textures(2, (8, 8), seed=3), shifted(digits, seed=3)
    stroke = np.broadcast_to(digits == 255, behind.shape)
    assert np.array_equal(made[stroke], 255 - behind[stroke])
    assert np.array_equal(made[0, :, :2], behind[0, :, :2])
    assert np.array_equal(made[1, :, 0, 0], np.abs(behind[1, :, 0, 0].astype(int) - 100))


def test_textures_are_deterministic_coloured_and_all_different():
    first = textures(50, (28, 28), seed=0)
    assert np.array_equal(first, textures(50, (28, 28), seed=0))
    assert not np.array_equal(first, textures(50, (28, 28), seed=1))
    assert len(np.unique(first.reshape(50, -1), axis=0)) == 50
    within = first.reshape(50, 3, -1).std(axis=2)
    assert within.min() > 5  # no plain colour
    assert first.mean(axis=(2, 3)).std(axis=0).min() > 40  # and no two of the same one


def test_training_tells_the_sources_labels_only(data):
    batches = list(data.train_dataloader())
    assert len(batches) == 8000 // 64
    assert all(isinstance(batch, DomainBatch) and batch.target_labels is None for batch in batches)
    source = torch.cat([batch.source for batch in batches])
    labels = torch.cat([batch.source_labels for batch in batches])
    digits = Digits(28).training_storage()
    by_name = {digest(image): int(label) for image, label in zip(digits.images.values, digits.labels, strict=True)}
    assert source.shape == (8000, 3, 28, 28)
    assert [by_name[digest(image[:1].numpy())] for image in source] == labels.tolist()


def test_source_and_target_of_a_batch_show_unrelated_digits(data):
    batch = next(iter(data.train_dataloader()))
    # where the source has a stroke, a target of the same digit would differ from its surroundings
    strokes = batch.source[:, :1].float() / 255
    edges = batch.target.float().diff(dim=3).abs().mean(1, keepdim=True)
    same = (strokes.diff(dim=3).abs() * edges).mean()
    other = (strokes.roll(1, 0).diff(dim=3).abs() * edges).mean()
    assert float(same / other) == pytest.approx(1, abs=0.15)


def test_validation_shows_the_same_other_digits_in_both_domains_with_labels(data):
    batches = list(data.val_dataloader())
    assert sum(len(batch.source) for batch in batches) == 2000
    assert all(torch.equal(batch.source_labels, batch.target_labels) for batch in batches)
    reference = Digits(28).reference_storage()
    assert torch.equal(torch.cat([batch.target_labels for batch in batches]), reference.labels)
    expected = shifted(reference.images.values, seed=1)
    assert np.array_equal(torch.cat([batch.target for batch in batches]).numpy(), expected)


def test_networks_see_floats_in_rgb(data):
    batch = data.on_after_batch_transfer(next(iter(data.val_dataloader())), 0)
    for images in (batch.source, batch.target):
        assert (images.dtype, images.shape[1:]) == (torch.float32, (3, 28, 28))
        assert images.min() >= -1
        assert images.max() <= 1
    assert torch.equal(batch.source[:, 0], batch.source[:, 2])
    assert batch.source_labels.dtype == torch.int64


def test_it_has_a_name_of_its_own_and_sizes_as_the_digits_have(data):
    other = ShiftedDigits(32, num_reference=10)
    other.setup("validate")
    batch = next(iter(other.val_dataloader()))
    assert batch.target.shape == (10, 3, 32, 32)
    assert other.num_classes == 10
    again = ShiftedDigits(eval_batch_size=128)
    again.setup("validate")
    assert again.val_dataloader().fingerprint == data.val_dataloader().fingerprint != other.val_dataloader().fingerprint
