"""Training: it learns, repeats itself bit by bit, and holds back images in proportion."""

from typing import Any

import pytest
import torch
from torch import Tensor

from gan_lightning.classifiers import Classifier, held_back_images, measure, train


def squares(count: int = 96) -> tuple[Tensor, Tensor]:
    """Grey 8x8 images that are bright in the left or right half, and at the top or not: their attributes."""
    random = torch.Generator().manual_seed(1)
    attributes = torch.randint(0, 2, (count, 2), generator=random)
    images = torch.randint(0, 60, (count, 1, 8, 8), generator=random, dtype=torch.uint8)
    for image, (left, top) in zip(images, attributes, strict=True):
        image[0, :, :4] += 90 * left.to(torch.uint8)
        image[0, :2] += 90 * top.to(torch.uint8)
    return images, attributes


def learnt(**how: Any) -> Classifier:
    images, attributes = squares()
    return train(images, attributes, ["left", "top"], "attributes", **{"epochs": 8, "batch_size": 16, **how})


def test_attributes_are_learnt_and_measured_on_other_images() -> None:
    classifier = learnt()
    assert classifier.accuracy is not None
    assert classifier.accuracy.images == 19
    assert classifier.accuracy.overall > 0.9
    images, attributes = squares()
    kept = held_back_images(attributes, 0.2, 0)
    assert measure(classifier, images[kept], attributes[kept], 5) == classifier.accuracy
    assert (classifier.size, classifier.channels) == ((8, 8), 1)
    assert not classifier.training


def test_classes_are_learnt() -> None:
    images, attributes = squares()
    classifier = train(images, attributes[:, 0], ["right", "left"], epochs=8, batch_size=16, size=(16, 16), channels=3)
    assert classifier.accuracy is not None
    assert min(classifier.accuracy.each.values()) > 0.8
    assert list(classifier.accuracy.each) == ["right", "left"]


def test_a_training_repeats_itself_and_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    first = learnt(epochs=1).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    with torch.no_grad():
        again = learnt(epochs=1).state_dict()
    other = learnt(epochs=1, seed=1).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_nothing_is_learnt_of_images_held_back() -> None:
    images, attributes = squares()
    kept = torch.arange(96) < 40
    noise = images.clone()
    noise[kept] = 255 - noise[kept]
    how: dict[str, Any] = {"names": ["left", "top"], "kind": "attributes", "epochs": 1, "batch_size": 16}
    first, second = (train(some, attributes, held_back=kept, **how) for some in (images, noise))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert first.accuracy != second.accuracy
    assert learnt(epochs=1, held_back=0.0).accuracy is None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.9])
def test_each_class_gives_its_share(share: float) -> None:
    labels = torch.cat([torch.full((count,), number) for number, count in enumerate((200, 41, 7, 120))])
    kept = held_back_images(labels, share, seed=3)
    for number, count in enumerate((200, 41, 7, 120)):
        assert abs(int(kept[labels == number].sum()) - share * count) <= 1
    assert torch.equal(kept, held_back_images(labels, share, seed=3))
    attributes = torch.stack([labels == 1, labels > 1], dim=1).long()
    held = held_back_images(attributes, share)
    assert abs(int(held[labels == 1].sum()) - share * 41) <= 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": torch.zeros(96, 1, 8, 8)}, "trained on uint8 images"),
        ({"targets": torch.zeros(96, 3)}, "do not fit"),
        ({"targets": torch.full((96, 2), 2)}, "attributes are 0 or 1"),
        ({"targets": torch.ones(96, 2)}, "'left' is 1 in all 77 training images"),
        ({"kind": "classes", "targets": torch.full((96,), 2)}, "whole numbers from 0 to 1"),
        ({"kind": "classes", "targets": torch.zeros(96, dtype=torch.int64)}, "no image of class 'top'"),
        ({"held_back": torch.zeros(3, dtype=torch.bool)}, "bool for each of 96"),
        ({"held_back": 1.0}, "held_back"),
        ({"epochs": 0}, "epochs"),
        ({"lr": 1e9, "batch_size": 16}, "has diverged: choose a lower learning rate"),
    ],
)
def test_what_cannot_be_trained_on(change: dict[str, Any], sentence: str) -> None:
    images, attributes = squares()
    how: dict[str, Any] = {"images": images, "targets": attributes, "names": ["left", "top"], "kind": "attributes"}
    with pytest.raises(ValueError, match=sentence):
        train(**(how | {"epochs": 1} | change))
