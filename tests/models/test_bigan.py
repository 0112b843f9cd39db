"""BiGAN: the two losses on pairs, who learns, codes of distributions, neighbours of codes, mistakes."""

from typing import Any

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_lightning.models import BiGAN
from gan_lightning.networks import BiGANEncoder, BiGANGenerator, DCGANDiscriminator, JointDiscriminator, VAEGANEncoder
from gan_lightning.regularizers import R1, GradientPenalties
from tiny import SIZE, batch_for, data_for
from toys import trainer

HOW: dict[str, Any] = {"image_size": SIZE, "hidden": 64}


def bigan(**how: Any) -> BiGAN:
    return BiGAN(BiGANGenerator(6, **HOW), BiGANEncoder(6, **HOW), JointDiscriminator(6, norm=False, **HOW), **how)


def test_both_losses_are_cross_entropies_of_pairs_with_exchanged_labels() -> None:
    torch.manual_seed(0)
    model = bigan().train()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    torch.testing.assert_close(fake.codes, model.encoder(batch.images))
    torch.testing.assert_close(fake.images, model.generator(fake.z))
    real, made = model.discriminator(batch.images, fake.codes), model.discriminator(fake.images, fake.z)
    ones, zeros = torch.ones(4), torch.zeros(4)
    (d_loss,) = model.discriminator_loss(batch, fake).values()
    torch.testing.assert_close(d_loss, bce(real, ones) + bce(made, zeros))
    (g_loss,) = model.generator_loss(batch, fake).values()
    torch.testing.assert_close(g_loss, bce(real, zeros) + bce(made, ones))
    gradients = torch.autograd.grad(g_loss, [*model.generator.parameters(), *model.encoder.parameters()])
    assert all(g.abs().sum() > 0 for g in gradients)


def test_an_encoder_of_distributions_draws_codes_and_encodes_to_their_means() -> None:
    torch.manual_seed(0)
    model = BiGAN(BiGANGenerator(6, **HOW), VAEGANEncoder(6, SIZE, 1, width=4, hidden=8), JointDiscriminator(6, **HOW))
    batch = batch_for(model)
    model.eval()
    mean, std = model.encoder(batch.images)
    torch.manual_seed(1)
    drawn = model.codes(batch.images)
    torch.manual_seed(1)
    torch.testing.assert_close(drawn, mean + std * torch.randn(4, 6))
    torch.testing.assert_close(model.encode(batch.images), mean)
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))


def test_reconstructions_are_what_the_sampler_makes_of_codes() -> None:
    model = bigan(ema_half_life=10)
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))
    batch = batch_for(model)
    shown, columns = model.preview(batch, 4)
    expected = model.sampler.images(model.encode(batch.images))
    assert columns == 3
    assert torch.equal(shown[0::3], batch.images)
    assert torch.equal(shown[1::3], expected)
    assert torch.equal(shown[2::3], model.sample(4, seed=0))
    torch.testing.assert_close(model.encoder.eval().unbounded(batch.images).tanh(), model.encode(batch.images))


def test_penalties_are_taken_at_each_image_with_its_own_code() -> None:
    torch.manual_seed(0)
    model = bigan().eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    terms = GradientPenalties(2.0).discriminator(model, batch, fake)
    for name, images, codes in (("r1", batch.images, fake.codes), ("r2", fake.images, fake.z)):
        leaf = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(model.discriminator(leaf, codes).sum(), leaf)
        torch.testing.assert_close(terms[name], gradient.square().sum() / 4)
    lazy = bigan(regularizers=[R1(every=1)], unroll=1)
    trainer(max_epochs=1).fit(lazy, data_for(lazy, batches=2))
    assert lazy.records["loss/generator"].isfinite()


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="z has 6 components, and the encoder states 5"):
        BiGAN(BiGANGenerator(6, **HOW), BiGANEncoder(5, **HOW), JointDiscriminator(6, **HOW))
    with pytest.raises(ValueError, match="and the discriminator states None: set its latent_dim to 6"):
        BiGAN(BiGANGenerator(6, **HOW), BiGANEncoder(6, **HOW), DCGANDiscriminator(SIZE, 1))
    with pytest.raises(ValueError, match="was given no code"):
        JointDiscriminator(6, **HOW)(torch.zeros(2, 1, SIZE, SIZE))
