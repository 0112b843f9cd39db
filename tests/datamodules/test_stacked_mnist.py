"""Stacked MNIST: three digits an image, their labels, fixed and fresh triples, hold-out, resume, the classifier."""

from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules import Digits, StackedMNIST
from gan_lightning.extractors.base import ModuleExtractor
from gan_lightning.metrics import ModesCovered, StackedDigitClassifier


def ready(**how) -> StackedMNIST:
    data = StackedMNIST(**{"batch_size": 50, "num_triples": 400, "num_reference_triples": 300} | how)
    data.setup("fit")
    return data


def test_an_image_has_three_digits_and_its_label_is_the_number_they_spell() -> None:
    storage, digits = ready().training_storage(), Digits(28).training_storage()
    batch = storage.batch(torch.tensor([[5, 7, 5], [0, 1, 2]]))
    assert batch.images.shape == (2, 3, 28, 28)
    assert batch.images.dtype == torch.uint8
    assert torch.equal(batch.images[0, 0], digits.images.take(torch.tensor([5]))[0, 0])
    assert torch.equal(batch.images[0, 0], batch.images[0, 2])
    a, b, c = digits.labels[:3].tolist()
    assert batch.labels[1] == 100 * a + 10 * b + c
    assert torch.equal(storage.class_labels()["labels"], storage.batch(storage.order()).labels)


def test_fixed_triples_are_the_same_in_each_epoch_and_fresh_ones_are_not() -> None:
    orders = {}
    for kind in ("fixed", "fresh"):
        storage = ready(triples=kind).training_storage()
        epochs = [storage.order(np.random.default_rng(k)) for k in (0, 1, 1)]
        assert torch.equal(epochs[1], epochs[2])
        orders[kind] = [sorted(map(tuple, epoch.tolist())) for epoch in epochs]
        assert all(len(epoch) == 400 for epoch in epochs)
    assert orders["fixed"][0] == orders["fixed"][1] == sorted(map(tuple, storage.order().tolist()))
    assert orders["fresh"][0] != orders["fresh"][1]


def test_the_loader_goes_on_exactly_where_it_stopped() -> None:
    one, other = ready(), ready()
    whole = [batch.labels for _ in range(2) for batch in one.train_dataloader()]
    assert len(whole) == 16
    first = iter(other.train_dataloader())
    seen = [next(first).labels for _ in range(3)]
    resumed = ready()
    resumed.load_state_dict(other.state_dict())
    seen += [batch.labels for _ in range(2) for batch in resumed.train_dataloader()]
    assert all(torch.equal(a, b) for a, b in zip(whole, seen, strict=False))


def test_the_reference_has_held_out_digits_and_is_equal_in_every_run() -> None:
    one, other = (ready(seed=seed).reference_storage() for seed in (0, 1))
    assert len(one) == 300
    assert one.fingerprint == other.fingerprint
    assert one.digits.fingerprint == Digits(28).reference_storage().fingerprint
    part = one.subset(np.array([3, 1]))
    assert torch.equal(part.order(), one.order()[[3, 1]])


def test_mnist_by_the_protocols(real_data: Path) -> None:
    table_2 = StackedMNIST(real_data / "mnist", triples="fixed", digits="all", download=False)
    storage = table_2.training_storage()
    assert (len(storage), len(storage.digits)) == (128_000, 70_000)
    assert len(StackedMNIST(real_data / "mnist", download=False).training_storage().digits) == 60_000
    assert len(storage.class_labels()["labels"].unique()) == table_2.num_classes == len(table_2.classes)
    assert storage.order().max() >= 60_000  # test images are drawn too


def test_the_classifier_reads_the_number() -> None:
    batch = ready().reference_storage()
    images, labels = batch.batch(batch.order())
    extractor = StackedDigitClassifier()
    pooled, logits, *_ = extractor(images)
    assert pooled.shape == (300, extractor.num_features)
    assert logits.shape == (300, 1000)
    assert (logits.argmax(1) == labels).double().mean() > 0.95
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(300))
    single = extractor.classifier(images[:, :1])
    assert torch.equal(pooled[:, : pooled.shape[1] // 3], single.pooled)
    metric = ModesCovered(extractor.num_features)
    for real in (True, False):
        metric.update(extractor(images), real)
    assert metric.compute()["modes_kl"] < metric.compute()["modes_kl_uniform"]


def test_a_classifier_of_something_else() -> None:
    flat = ModuleExtractor(torch.nn.Flatten(), 784, channels=1)
    with pytest.raises(ValueError, match="gives none class logits, and a classifier of digits has 10"):
        StackedDigitClassifier(flat)(torch.zeros(2, 3, 28, 28, dtype=torch.uint8))


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="flip mirrors digits"):
        StackedMNIST(flip=True)
    with pytest.raises(ValueError, match='"fixed" or "fresh"'):
        StackedMNIST(triples="new")
