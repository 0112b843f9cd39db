"""Gated PixelCNN: with classes, and without."""

from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.models import GatedPixelCNN
from gan_lightning.networks import GatedPixelCNNNetwork
from tiny import CLASSES, Batches, images
from toys import trainer


def gated_pixelcnn(**how: Any) -> GatedPixelCNN:
    return GatedPixelCNN(GatedPixelCNNNetwork(8, 1, 256, width=4, layers=2, num_classes=CLASSES), **how)


def gated_pixelcnn_batch(count: int = 4, seed: int = 0) -> ImageBatch:
    small = F.interpolate(images(count, 1, seed), 8, mode="bilinear")
    return ImageBatch(small, torch.arange(count) % CLASSES)


def test_it_learns_what_a_class_looks_like() -> None:
    torch.manual_seed(0)
    network = GatedPixelCNNNetwork(4, 1, 2, width=8, layers=2, num_classes=2)
    model = GatedPixelCNN(network, optimizer=partial(Adam, lr=1e-2))
    images = torch.stack([torch.full((1, 4, 4), -1.0), torch.full((1, 4, 4), 1.0)])
    trainer(max_epochs=100).fit(model, Batches([ImageBatch(images.repeat(2, 1, 1, 1), torch.arange(4) % 2)]))
    made = model.sample(6, seed=0)  # classes in turn
    assert torch.equal(made.flatten(1).mean(1).round(), torch.tensor([-1.0, 1.0] * 3))


def test_a_model_with_classes_asks_for_labels() -> None:
    with pytest.raises(ValueError, match="GatedPixelCNN needs a class label for each image"):
        trainer(max_epochs=1).fit(gated_pixelcnn(), Batches([gated_pixelcnn_batch()._replace(labels=None)]))


def test_the_default_is_the_network_of_81_5_nats() -> None:
    with torch.device("meta"):
        network = GatedPixelCNN().generator
    # first: 4·7·256 + 256, link 256·256 + 256, 7·... and so on: counted by hand below
    w, first = 128, (4 * 7 + 4) * 256 + 2 * 256
    link, out = 256 * 256 + 256, w * w + w
    layer = (2 * 3 + 2) * w * 256 + 2 * 256 + link + out
    head = w * 32 + 32 + 32 * 2 + 2
    assert sum(p.numel() for p in network.parameters()) == first + link + out + 9 * layer + head
