"""Digits and their edges: disjoint halves, the transformation, the domains in turn, and MNIST in their place."""

from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules import CoupledDigits, Digits, ImageFolder
from datamodules.storage import ClassesInTurn, Pixels, digest
from gan_lightning.data.counterparts import Edges, Negative
from gan_lightning.data.images import to_float, to_uint8, write_png


@pytest.fixture(scope="module")
def data() -> CoupledDigits:
    data = CoupledDigits(counterpart=Negative(), batch_size=64)
    data.setup("fit")
    return data


def test_each_digit_is_in_one_domain_and_the_second_holds_negatives(data: CoupledDigits) -> None:
    coupled, digits = data.training_storage(), Digits(28).training_storage().images.values
    labels = coupled.labels
    assert labels.bincount().tolist() == [4000, 4000]
    made = coupled.images.values
    assert np.array_equal(made[labels == 0], digits[labels == 0])
    assert np.array_equal(made[labels == 1], 255 - digits[labels == 1])
    assert (data.num_classes, data.classes) == (2, ("digits", "negatives"))


def test_batches_take_the_domains_in_turn_and_shuffle_each(data: CoupledDigits) -> None:
    batches = list(data.train_dataloader())
    assert len(batches) == 8000 // 64
    assert all(torch.equal(batch.labels, torch.arange(64) % 2) for batch in batches)
    names = {digest(image.numpy()) for batch in batches for image in batch.images}
    assert len(names) > 7990  # each once, but for equal images
    assert not torch.equal(batches[0].images, next(iter(data.train_dataloader())).images)


def test_edges_are_those_of_whole_numbers() -> None:
    digit = Digits(28).training_storage().images.take(torch.tensor([0]))
    edges = to_uint8(Edges()(to_float(digit)))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(digit[0, 0].numpy(), 1), (3, 3))
    assert np.array_equal(edges[0, 0].numpy(), windows.max(axis=(2, 3)) - digit[0, 0].numpy())


def test_the_reference_is_halved_too_and_equal_in_every_run(data: CoupledDigits) -> None:
    reference = data.reference_storage()
    assert reference.labels.bincount().tolist() == [1000, 1000]
    assert reference.fingerprint == CoupledDigits(counterpart=Negative()).reference_storage().fingerprint
    assert reference.fingerprint != CoupledDigits().reference_storage().fingerprint


def test_mnist_takes_the_place_of_the_embedded_digits(real_data: Path) -> None:
    data = CoupledDigits(real_data / "mnist", download=False)
    data.prepare_data()
    assert len(data.reference_storage()) == 10_000
    with pytest.raises(FileNotFoundError, match="nowhere"):
        CoupledDigits(Path("nowhere"), download=False).prepare_data()


def test_a_smaller_class_starts_again_when_it_is_used_up() -> None:
    storage = ClassesInTurn(Pixels(np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)), torch.tensor([1, 0, 1, 1, 0]))
    assert len(storage) == 6
    assert storage.order().tolist() == [1, 0, 4, 2, 1, 3]
    shuffled = storage.order(np.random.default_rng(0))
    assert storage.batch(shuffled).labels.tolist() == [0, 1] * 3
    assert sorted(shuffled[1::2].tolist()) == [0, 2, 3]
    part = storage.subset(np.array([0, 3, 5]))
    assert part.images.take(torch.arange(3)).flatten().tolist() == [1, 2, 3]
    assert part.labels.tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match="class 1 of the classes that come in turn has no images"):
        ClassesInTurn(Pixels(np.zeros((2, 1, 1, 1), np.uint8)), torch.tensor([0, 2]))


def test_folders_serve_their_classes_in_turn(tmp_path: Path) -> None:
    for folder, count in (("a", 4), ("b", 12)):
        for k in range(count):
            write_png(torch.full((1, 8, 8), 10 * k, dtype=torch.uint8), tmp_path / "images" / folder / f"{k}.png")
    data = ImageFolder(
        tmp_path / "images", labelled=True, in_turn=True, holdout=0.25, image_size=8, batch_size=4, cache_dir=tmp_path
    )
    data.setup("fit")
    assert all(batch.labels.tolist() == [0, 1, 0, 1] for batch in data.train_dataloader())
    assert len(data.reference_storage()) == 4
    with pytest.raises(ValueError, match="in_turn: true takes classes in turn, and there are none: set labelled"):
        ImageFolder(tmp_path, in_turn=True)
