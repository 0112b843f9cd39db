"""SRResNet: its loss by hand. The parts in common with SRGAN are tested there."""

from typing import Any

import pytest
import torch
from torch import nn

from gan_lightning.data.batches import PairedBatch
from gan_lightning.models import SRResNet
from gan_lightning.networks import SRResNetGenerator
from tiny import images


def srresnet(**how: Any) -> SRResNet:
    return SRResNet(SRResNetGenerator(3, width=4, blocks=1, scale=2), **how)


def srresnet_batch(count: int, seed: int) -> PairedBatch:
    target = images(count, 3, seed)
    return PairedBatch(nn.functional.avg_pool2d(target, 2), target)


@pytest.mark.parametrize("distance", ["mse", "l1"])
def test_the_first_run_minimises_the_error_in_pixels(distance: Any) -> None:
    torch.manual_seed(0)
    model = srresnet(distance=distance)
    batch = srresnet_batch(4, 0)
    error = model.generator(batch.source) - batch.target
    expected = error.square().mean() if distance == "mse" else error.abs().mean()
    torch.testing.assert_close(model.losses(batch), {distance: expected})
