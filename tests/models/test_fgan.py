"""f-GAN: the bound of any divergence, in D's turn and in both forms of G's."""

import math
from typing import Any

import pytest
import torch

from gan_lightning.losses import (
    KL,
    AlternativeUpdate,
    FDivergence,
    GANDivergence,
    JensenShannon,
    NeymanChiSquared,
    PearsonChiSquared,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from gan_lightning.models import FGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from tiny import SMALL, batch_for, data_for
from toys import equal, trainer, weights


def fgan(**how: Any) -> FGAN:
    return FGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), **how)


def test_the_default_is_kullback_leibler_with_the_alternative_update() -> None:
    torch.manual_seed(0)
    model = fgan().eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    v_real, v_fake = model.discriminator(batch.images), model.discriminator(fake)
    expected = (v_fake - 1).exp().mean() - v_real.mean()
    torch.testing.assert_close(model.discriminator_loss(batch, fake), {"adversarial": expected})
    torch.testing.assert_close(model.generator_loss(batch, fake), {"adversarial": -v_fake.mean()})


def test_algorithm_1_is_the_divergence_itself() -> None:
    torch.manual_seed(0)
    model = fgan(loss=JensenShannon()).eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    real, made = model.discriminator(batch.images).sigmoid(), model.discriminator(fake).sigmoid()
    # log 2 + log σ(v), and -log(2 - 2σ(v)) as its conjugate
    bound = (math.log(2) + real.log()).mean() + (2 - 2 * made).log().mean()
    torch.testing.assert_close(model.discriminator_loss(batch, fake), {"adversarial": -bound})
    torch.testing.assert_close(model.generator_loss(batch, fake), {"adversarial": (2 - 2 * made).log().mean()})


@pytest.mark.parametrize("alternative", [False, True])
@pytest.mark.parametrize(
    "divergence",
    [
        TotalVariation(),
        KL(),
        ReverseKL(),
        PearsonChiSquared(),
        NeymanChiSquared(),
        SquaredHellinger(),
        JensenShannon(),
        GANDivergence(),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_any_divergence_trains(divergence: FDivergence, alternative: bool) -> None:
    model = fgan(loss=AlternativeUpdate(divergence) if alternative else divergence)
    before = weights(model)
    trainer(max_epochs=2).fit(model, data_for(model, batches=2))
    after = weights(model)
    assert not equal(before, after)
    assert all(p.isfinite().all() for p in after.values())
