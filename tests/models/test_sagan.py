"""SAGAN: the hinge given the label, two rates, and spectral norm and attention in both players."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from gan_lightning.data.batches import ImageBatch
from gan_lightning.layers.attention import SelfAttention
from gan_lightning.models import SAGAN
from gan_lightning.networks import SAGANDiscriminator, SAGANGenerator
from tiny import CLASSES, SMALL, batch_for, data_for, images
from toys import trainer


def sagan(**how: Any) -> SAGAN:
    sizes = {**SMALL, "num_classes": CLASSES, "attention": [8]}
    return SAGAN(SAGANGenerator(latent_dim=6, **sizes), SAGANDiscriminator(**sizes), **how)


def sagan_batch(count: int, seed: int) -> ImageBatch:
    return ImageBatch(images(count, 1, seed), torch.arange(count) % CLASSES)


def test_both_losses_by_hand() -> None:
    torch.manual_seed(0)
    model = sagan().eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    real_logits, fake_logits = (model.discriminator(images, batch.labels) for images in (batch.images, fake))
    expected = (1 - real_logits).clamp(min=0).mean() + (1 + fake_logits).clamp(min=0).mean()
    torch.testing.assert_close(model.discriminator_loss(batch, fake), {"adversarial": expected})
    torch.testing.assert_close(model.generator_loss(batch, fake), {"adversarial": -fake_logits.mean()})


def test_the_discriminator_learns_four_times_as_fast_one_step_for_one() -> None:
    model = sagan()
    discriminator, generator = model.configure_optimizers()
    assert [o.param_groups[0]["lr"] for o in (discriminator, generator)] == [4e-4, 1e-4]
    assert {o.param_groups[0]["betas"] for o in (discriminator, generator)} == {(0.0, 0.9)}
    assert model.n_critic == 1


def test_all_weights_but_the_generators_embeddings_are_spectrally_normalised() -> None:
    model = sagan()
    for network in (model.generator, model.discriminator):
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert all(is_parametrized(m, "weight") for m in layers)
        assert sum(isinstance(m, SelfAttention) for m in network.modules()) == 1
    embeddings = [m for m in model.generator.modules() if isinstance(m, nn.Embedding)]
    assert embeddings
    assert not any(is_parametrized(m) for m in embeddings)
    assert is_parametrized(model.discriminator.embedding, "weight")


def test_gamma_leaves_zero_in_training() -> None:
    model = sagan()
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))
    gammas = [m.gamma for m in model.modules() if isinstance(m, SelfAttention)]
    assert len(gammas) == 2
    assert all(gamma.item() for gamma in gammas)


def test_it_learns_without_classes_too() -> None:
    sizes = {**SMALL, "attention": [8]}
    model = SAGAN(SAGANGenerator(latent_dim=6, **sizes), SAGANDiscriminator(**sizes))
    trainer(max_epochs=1).fit(model, data_for(model, batches=1))
    assert model.sample(2, seed=0).isfinite().all()
