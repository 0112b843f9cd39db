"""VEEGAN: its terms by hand, who learns from which."""

from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_lightning.models import VEEGAN
from gan_lightning.networks import AAEEncoder, BiGANGenerator, JointDiscriminator
from tiny import SIZE, batch_for

HOW: dict[str, Any] = {"image_size": SIZE, "hidden": 64}


def veegan(**how: Any) -> VEEGAN:
    networks = BiGANGenerator(6, **HOW), AAEEncoder(6, SIZE, hidden=(32,)), JointDiscriminator(6, norm=False, **HOW)
    return VEEGAN(*networks, **how)


def test_the_terms_of_the_algorithm() -> None:
    torch.manual_seed(0)
    model = veegan(lambda_noise=2.0, lambda_encoder=3.0)
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    real, made = model.discriminator(batch.images, fake.codes), model.discriminator(fake.images, fake.z)
    (d_loss,) = model.discriminator_loss(batch, fake).values()
    torch.testing.assert_close(d_loss, bce(real, torch.ones(4)) + bce(made, torch.zeros(4)))
    terms = model.generator_loss(batch, fake)
    torch.testing.assert_close(terms["adversarial"], -made.mean())
    torch.testing.assert_close(terms["encoder"], 3 * real.mean())
    torch.testing.assert_close(terms["noise"], 2 * (fake.z - model.encoder(fake.images)).square().sum() / 4)

    def learns(term: str, network: Any) -> bool:
        given = torch.autograd.grad(terms[term], [*network.parameters()], allow_unused=True, retain_graph=True)
        return any(g is not None and bool(g.any()) for g in given)

    learners = {term: (learns(term, model.generator), learns(term, model.encoder)) for term in terms}
    assert learners == {"adversarial": (True, False), "encoder": (False, True), "noise": (True, True)}


def test_the_papers_reconstructor_learns_from_noise_alone() -> None:
    model = veegan()
    assert model.lambda_encoder == 0
    batch = batch_for(model)
    assert set(model.generator_loss(batch, model.draw_fakes(batch))) == {"adversarial", "noise"}
