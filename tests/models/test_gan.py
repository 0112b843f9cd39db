"""The first GAN: its losses, in both forms, and its prior."""

import math
from typing import Any

import pytest
import torch

from gan_lightning.data.batches import ImageBatch
from gan_lightning.losses import Minimax
from gan_lightning.models import GAN
from gan_lightning.networks import MLPDiscriminator, MLPGenerator
from tiny import SIZE, batch_for


def gan(**how: Any) -> GAN:
    networks = (
        MLPGenerator(latent_dim=6, image_size=SIZE, hidden=(32,)),
        MLPDiscriminator(image_size=SIZE, hidden=(16,)),
    )
    return GAN(*networks, **how)


def probabilities(model: GAN, batch: ImageBatch, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """σ(D(x)) and σ(D(G(z))) in double precision."""
    logits = model.discriminator(batch.images), model.discriminator(fake)
    real, made = (torch.sigmoid(value.double()) for value in logits)
    return real, made


def started(**how: object) -> tuple[GAN, ImageBatch, torch.Tensor]:
    """Return a model whose D gives clear answers, a batch, and fakes."""
    torch.manual_seed(0)
    model = gan(**how).eval()
    with torch.no_grad():
        for p in model.discriminator.parameters():
            p.mul_(60)
    batch = batch_for(model)
    return model, batch, model.draw_fakes(batch)


def test_both_losses_are_those_of_the_paper() -> None:
    model, batch, fake = started()
    real, made = probabilities(model, batch, fake)
    assert (real - made).abs().max() > 1e-3

    (loss,) = model.discriminator_loss(batch, fake).values()
    torch.testing.assert_close(loss.double(), -(real.log().mean() + (1 - made).log().mean()), rtol=1e-5, atol=0)
    (loss,) = model.generator_loss(batch, fake).values()
    torch.testing.assert_close(loss.double(), -made.log().mean(), rtol=1e-5, atol=0)


def test_minimax_is_equation_1_to_the_letter() -> None:
    model, batch, fake = started(loss=Minimax())
    real, made = probabilities(model, batch, fake)
    (d_loss,) = model.discriminator_loss(batch, fake).values()
    (g_loss,) = model.generator_loss(batch, fake).values()
    torch.testing.assert_close(d_loss.double(), -(real.log().mean() + (1 - made).log().mean()), rtol=1e-5, atol=0)
    torch.testing.assert_close(g_loss.double(), (1 - made).log().mean(), rtol=1e-5, atol=0)


def test_latents_are_uniform_with_unit_variance() -> None:
    torch.manual_seed(0)
    z = gan().latents(20_000).flatten().double()
    bound = math.sqrt(3)
    assert z.abs().max() <= bound
    assert z.mean().abs() < 0.02
    assert z.var() == pytest.approx(1, abs=0.02)
    # a normal has a kurtosis of 3, a uniform of 9 / 5
    assert (z**4).mean() / z.var() ** 2 == pytest.approx(1.8, abs=0.03)


def test_truncation_narrows_the_prior_and_never_widens_it() -> None:
    model = gan()
    assert model.sampler.draw(5000, truncation=0.5).abs().max() <= 0.5
    assert model.sampler.draw(5000, truncation=0.5).abs().max() > 0.45
    assert 1.7 < model.sampler.draw(5000, truncation=9).abs().max() <= math.sqrt(3)


def test_dropout_is_the_discriminators_in_training_only() -> None:
    model = gan().train()
    images = batch_for(model).images
    assert not torch.equal(model.discriminator(images), model.discriminator(images))
    model.eval()
    assert torch.equal(model.discriminator(images), model.discriminator(images))
