"""MMD-GAN: both losses against the published formula, the box of the encoder, and optional terms."""

from typing import Any

import pytest
import torch
from torch import Tensor

from gan_lightning.models import MMDGAN
from gan_lightning.networks import DCGANAutoencoder, DCGANGenerator
from tiny import SMALL, batch_for, data_for
from toys import trainer


def mmd_gan(**how: Any) -> MMDGAN:
    return MMDGAN(DCGANGenerator(6, **SMALL), DCGANAutoencoder(5, **SMALL), **{"clip": 0.5, **how})


def published_mmd2(x: Tensor, y: Tensor) -> Tensor:
    """Compute the biased estimate with the mixture of five kernels, from the definition."""
    kernel = lambda a, b: sum(torch.exp(-torch.cdist(a, b).square() / (2 * s**2)) for s in (1, 2, 4, 8, 16))  # noqa: E731
    return kernel(x, x).mean() + kernel(y, y).mean() - 2 * kernel(x, y).mean()


def test_both_losses_are_the_published_ones() -> None:
    torch.manual_seed(0)
    model = mmd_gan().eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch).detach()
    net = model.discriminator
    with torch.no_grad():
        for p in net.encoder.parameters():
            p.mul_(20)  # codes that differ
    real_codes, fake_codes = net.encode(batch.images), net.encode(fake)
    mmd = published_mmd2(real_codes, fake_codes).clamp(min=0).sqrt()
    rank = -torch.relu(-(real_codes.mean(0) - fake_codes.mean(0))).mean()
    assert mmd > 0.01
    assert rank < 0
    errors = [(images - net(images)).square().mean() for images in (batch.images, fake)]

    terms = model.discriminator_loss(batch, fake)
    torch.testing.assert_close(
        sum(terms.values()), -(mmd + 16 * rank - 8 * errors[0] - 8 * errors[1]), rtol=1e-4, atol=0
    )
    terms = model.generator_loss(batch, fake)
    torch.testing.assert_close(sum(terms.values()), mmd + 16 * rank, rtol=1e-4, atol=1e-5)


def test_equal_codes_have_a_loss_and_gradients_that_are_finite() -> None:
    model = mmd_gan().eval()
    batch = batch_for(model)
    fake = batch.images.clone().requires_grad_()
    terms = model.generator_loss(batch, fake)
    sum(terms.values()).backward()
    assert float(terms["mmd"]) < 1e-2
    assert fake.grad is not None
    assert fake.grad.isfinite().all()


def test_the_encoder_stays_in_its_box_and_the_decoder_need_not() -> None:
    model = mmd_gan(clip=0.015)
    assert model.n_critic == 5
    trainer(max_epochs=1).fit(model, data_for(model, batches=6))
    assert max(float(p.detach().abs().max()) for p in model.discriminator.encoder.parameters()) <= 0.015
    assert max(float(p.detach().abs().max()) for p in model.discriminator.decoder.parameters()) > 0.015


def test_terms_can_be_turned_off() -> None:
    model = mmd_gan(lambda_autoencoder=0, lambda_rank=0)
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    assert model.discriminator_loss(batch, fake).keys() == model.generator_loss(batch, fake).keys() == {"mmd"}


def test_a_box_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="clip=0 is out of range"):
        mmd_gan(clip=0)
