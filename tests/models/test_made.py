"""MADE: an exact likelihood of black and white images."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from gan_lightning.data.batches import ImageBatch
from gan_lightning.models import MADE
from gan_lightning.networks import MADENetwork
from tiny import images


def made(**how: Any) -> MADE:
    return MADE(MADENetwork(8, 1, 256, hidden=[20]), **how)


def made_batch(count: int = 4, seed: int = 0) -> ImageBatch:
    return ImageBatch(F.interpolate(images(count, 1, seed), 8, mode="bilinear"))


def test_probabilities_of_all_images_sum_to_one() -> None:
    torch.manual_seed(0)
    model = MADE(MADENetwork((2, 3), 1, 2, hidden=[10, 9]))
    every = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 6).view(-1, 1, 2, 3)
    total = (-model.nats(ImageBatch(every)).double()).exp().sum()
    assert float(total) == pytest.approx(1, rel=1e-5)


def test_the_loss_is_the_cross_entropy_of_the_paper() -> None:
    torch.manual_seed(0)
    model = MADE(MADENetwork(3, hidden=[10]))
    x = torch.randint(2, (4, 1, 3, 3))
    logits = model.generator(x)
    white = (logits[:, 1] - logits[:, 0]).sigmoid()  # x̂
    expected = -(x * white.log() + (1 - x) * (1 - white).log()).flatten(1).sum(1)
    torch.testing.assert_close(model.nats(ImageBatch(2.0 * x - 1)), expected.detach())


def test_the_default_has_the_papers_two_layers() -> None:
    with torch.device("meta"):
        network = MADE().generator
    assert sum(p.numel() for p in network.parameters()) == 784 * 8000 + 8000 + 8000 * 8001 + 8000 * 784 + 784
