"""DCGAN: its losses, separate batch statistics, and batch norm while images are generated."""

from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_lightning.draws import ImageDraws
from gan_lightning.models import DCGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from tiny import SMALL, batch_for, data_for
from toys import trainer


def dcgan(**how: Any) -> DCGAN:
    return DCGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), **how)


def test_both_losses_are_cross_entropies_on_passes_of_their_own() -> None:
    """Labels 1 for a real batch, then labels 0 for a fake one; D's batch norm never sees them mixed."""
    torch.manual_seed(0)
    model = dcgan().train()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    (d_loss,) = model.discriminator_loss(batch, fake).values()
    (g_loss,) = model.generator_loss(batch, fake).values()

    real_logits, fake_logits = model.discriminator(batch.images), model.discriminator(fake)
    expected = bce(real_logits, torch.ones(4)) + bce(fake_logits, torch.zeros(4))
    torch.testing.assert_close(d_loss, expected)
    torch.testing.assert_close(g_loss, bce(fake_logits, torch.ones(4)))

    together = model.discriminator(torch.cat([batch.images, fake]))
    mixed = bce(together[:4], torch.ones(4)) + bce(together[4:], torch.zeros(4))
    assert (mixed - expected).abs() > 1e-4


def test_latents_are_standard_normal() -> None:
    torch.manual_seed(0)
    z = dcgan().latents(20_000).double()
    assert z.shape == (20_000, 6)
    assert z.mean().abs() < 0.02
    assert (z.std() - 1).abs() < 0.01
    assert ((z**4).mean() - 3).abs() < 0.15


def test_images_are_made_with_running_statistics() -> None:
    model = dcgan()
    trainer(max_epochs=3).fit(model, data_for(model, batches=2))
    model.train()
    together = model.sample(6, seed=1)
    generator = model.generator
    with ImageDraws(1, range(6)):
        z = model.latents(6)
    with torch.no_grad():
        generator.eval()
        alone = torch.cat([generator(z[i : i + 1]) for i in range(6)])
        generator.train()
        torch.testing.assert_close(together, alone)
        assert not torch.allclose(together, generator(z), atol=1e-3)  # what batch statistics would have made
