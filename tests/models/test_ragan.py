"""RaGAN: logits relative to the other side's mean, with fresh real logits in the generator's turn."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_lightning.losses import AdversarialLoss, Hinge, LeastSquares, RelativisticAverage
from gan_lightning.models import RaGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator, SNDCGANDiscriminator
from tiny import SMALL, batch_for, data_for
from toys import equal, trainer, weights


def ragan(**how: Any) -> RaGAN:
    return RaGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), **how)


def test_both_losses_are_cross_entropies_of_relative_logits() -> None:
    torch.manual_seed(0)
    model = ragan().eval()
    with torch.no_grad():
        model.discriminator.head.weight.mul_(20)
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    real_logits, fake_logits = model.discriminator(batch.images), model.discriminator(fake)
    real, made = real_logits - fake_logits.mean(), fake_logits - real_logits.mean()
    ones, zeros = torch.ones(4), torch.zeros(4)
    expected = bce(real, ones) + bce(made, zeros)
    torch.testing.assert_close(model.discriminator_loss(batch, fake), {"adversarial": expected})
    expected = bce(made, ones) + bce(real, zeros)
    torch.testing.assert_close(model.generator_loss(batch, fake), {"adversarial": expected})


def test_the_generators_turn_judges_the_real_images_again_after_the_discriminators_step() -> None:
    model = ragan()
    seen: list[Tensor] = []

    def note(module: torch.nn.Module, args: tuple[Tensor], logits: Tensor) -> None:
        if module.training and torch.equal(args[0], images):
            seen.append(logits.detach().clone())

    data = data_for(model)
    images = data.batches[0].images
    model.discriminator.register_forward_hook(note)
    trainer(max_epochs=1).fit(model, data)
    before, after = seen
    assert not torch.equal(before, after)


@pytest.mark.parametrize("game", [LeastSquares(-1, 1, discriminator_scale=1), Hinge()])
def test_the_papers_other_games_train(game: AdversarialLoss) -> None:
    model = ragan(loss=RelativisticAverage(game))
    before = weights(model)
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))
    assert not equal(before, weights(model))


def test_the_default_discriminator_is_spectrally_normalised() -> None:
    model = RaGAN()
    assert isinstance(model.discriminator, SNDCGANDiscriminator)
    assert model.sample(2, seed=0).shape == (2, 3, 32, 32)
