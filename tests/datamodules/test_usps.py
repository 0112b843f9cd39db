"""USPS from small files in its format, and the two sets of digits as domains."""

import bz2
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules import USPS, DigitDomains
from gan_lightning.data.batches import DomainBatch


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with 40 and 12 digits in USPS's format: a label from 1, and 256 numbers in [-1, 1]."""
    random = np.random.default_rng(0)
    for name, count in (("usps.bz2", 40), ("usps.t.bz2", 12)):
        pixels = random.integers(0, 256, (count, 256))
        lines = [
            f"{k % 10 + 1} " + " ".join(f"{i + 1}:{p / 127.5 - 1:.6f}" for i, p in enumerate(row))
            for k, row in enumerate(pixels)
        ]
        (tmp_path / "USPS").mkdir(exist_ok=True)
        (tmp_path / "USPS" / name).write_bytes(bz2.compress(("\n".join(lines) + "\n").encode()))
    return tmp_path


def test_digits_are_read_with_classes_from_0(root: Path) -> None:
    data = USPS(root / "USPS", download=False)
    data.prepare_data()
    training, reference = data.training_storage(), data.reference_storage()
    assert (len(training), len(reference), data.num_classes) == (40, 12, 10)
    assert training.images.take(torch.arange(2)).shape == (2, 1, 16, 16)
    assert reference.labels.tolist() == [k % 10 for k in range(12)]
    assert USPS(root / "USPS", image_size=28).training_storage().images.values.shape == (40, 1, 28, 28)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"usps.*download is off.*put usps.bz2 and usps.t.bz2 there"):
        USPS(tmp_path / "usps", download=False).prepare_data()


def test_two_sets_of_digits_become_domains(root: Path, real_data: Path) -> None:
    (root / "MNIST").symlink_to(real_data / "mnist" / "MNIST")
    data = DigitDomains(root, num_source=2000, num_target=30, download=False, batch_size=10)
    data.prepare_data()
    data.setup("fit")
    storage = data.training_storage()
    assert (len(storage.source), len(storage.target)) == (2000, 30)
    batch = next(iter(data.train_dataloader()))
    assert isinstance(batch, DomainBatch)
    assert (batch.source.shape, batch.target.shape) == ((10, 1, 28, 28), (10, 1, 28, 28))
    assert batch.target_labels is None
    reference = data.reference_storage()
    assert (len(reference.source), len(reference.target)) == (12, 12)
    assert set(reference.class_labels()) == {"source_labels", "target_labels"}
    with pytest.raises(ValueError, match="num_target=50, but there are 40 images: make it at most 40, or null"):
        DigitDomains(root, num_target=50, download=False).training_storage()


def test_equal_domains_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="source and target are both USPS: choose MNIST for one"):
        DigitDomains(tmp_path, source="USPS")
