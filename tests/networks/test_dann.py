"""DANN's networks: figure 4a, domains as maps, features and labels apart."""

import pytest
import torch
from torch import nn

from gan_lightning.networks import DomainClassifier, LeNetClassifier


def test_the_layers_are_figure_4as():
    classifier, judge = LeNetClassifier(), DomainClassifier()
    reference = nn.Sequential(
        *(nn.Conv2d(3, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 48, 5), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        *(nn.Linear(768, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10)),
    )
    for ours, theirs in zip(classifier.parameters(), reference.parameters(), strict=True):
        theirs.data.copy_(ours.data)
    images = torch.randn(2, 3, 28, 28)
    torch.testing.assert_close(classifier(images), reference(images))
    torch.testing.assert_close(classifier.features(images), reference[:7](images))
    assert classifier.num_features == judge.num_features == 768
    assert [p.shape for p in judge.parameters()] == [(100, 768), (100,), (1, 100), (1,)]
    assert judge(torch.randn(5, 768)).shape == (5,)


@pytest.mark.parametrize("size", [16, 28, 32])
def test_features_are_as_many_as_it_says(size):
    classifier = LeNetClassifier(size, channels=1, widths=(4, 6), hidden=(), classes=3)
    assert classifier.features(torch.zeros(2, 1, size, size)).shape == (2, classifier.num_features)
    assert classifier(torch.zeros(2, 1, size, size)).shape == (2, 3)


@pytest.mark.parametrize("size", [12, 30])
def test_sizes_that_cannot_be(size):
    with pytest.raises(ValueError, match=f"multiple of 4 from 16 up, not {size}"):
        LeNetClassifier(size)


def test_a_conditional_classifier_sees_the_domain_as_maps():
    classifier = LeNetClassifier(16, channels=1, widths=(4, 6), num_domains=2)
    seen = []
    classifier.net[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images = torch.randn(2, 1, 16, 16)
    classifier(images, torch.tensor([0, 1]))
    assert torch.equal(seen[0][:, :1], images)
    assert seen[0][:, 1:, 3, 5].tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match="no labels"):
        classifier(images)
