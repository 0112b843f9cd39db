"""LSGAN: squared errors of raw logits, with the labels of either equation."""

from typing import Any

import pytest
import torch
from torch.nn.functional import mse_loss

from gan_lightning.losses import LeastSquares
from gan_lightning.models import LSGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from tiny import SMALL, batch_for


def lsgan(**how: Any) -> LSGAN:
    return LSGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), **how)


@pytest.mark.parametrize(("fake_label", "real_label", "generator_label"), [(0.0, 1.0, 1.0), (-1.0, 1.0, 0.0)])
def test_both_losses_are_half_squared_errors(fake_label: float, real_label: float, generator_label: float) -> None:
    torch.manual_seed(0)
    model = lsgan(loss=LeastSquares(fake_label, real_label, generator_label)).eval()
    with torch.no_grad():
        model.discriminator.head.weight.mul_(5000)  # so that logits leave [0, 1], where a sigmoid would show
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    real_logits, fake_logits = model.discriminator(batch.images), model.discriminator(fake)
    assert real_logits.abs().max() > 1
    expected = (
        mse_loss(real_logits, torch.full((4,), real_label)) + mse_loss(fake_logits, torch.full((4,), fake_label))
    ) / 2
    torch.testing.assert_close(model.discriminator_loss(batch, fake), {"adversarial": expected})
    expected = mse_loss(fake_logits, torch.full((4,), generator_label)) / 2
    torch.testing.assert_close(model.generator_loss(batch, fake), {"adversarial": expected})


def test_the_default_labels_are_those_of_equation_9() -> None:
    loss = lsgan().loss
    assert isinstance(loss, LeastSquares)
    assert (loss.fake_label, loss.real_label, loss.generator_label) == (0, 1, 1)
