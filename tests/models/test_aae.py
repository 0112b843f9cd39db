"""AAE: its terms, who learns from which, posteriors, mistakes."""

from functools import partial
from typing import Any

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.optim import SGD

from gan_lightning.augmentation import DiffAugment
from gan_lightning.models import AAE
from gan_lightning.networks import AAEDecoder, AAEEncoder, CodeDiscriminator, VAEGANEncoder
from tiny import SIZE, batch_for, data_for
from toys import trainer

HOW: dict[str, Any] = {"image_size": SIZE, "hidden": (32,)}


def aae(**how: Any) -> AAE:
    return AAE(AAEDecoder(6, **HOW), AAEEncoder(6, **HOW), CodeDiscriminator(6, hidden=(128, 128)), **how)


def test_the_terms_by_hand() -> None:
    torch.manual_seed(0)
    model = aae(lambda_adversarial=3.0)
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    torch.testing.assert_close(fake.reconstructed, model.generator(model.encoder(batch.images)))
    torch.manual_seed(1)
    (d_loss,) = model.discriminator_loss(batch, fake).values()
    torch.manual_seed(1)
    z = model.latents(4)
    judged = model.discriminator(z), model.discriminator(fake.codes)
    torch.testing.assert_close(d_loss, bce(judged[0], torch.ones(4)) + bce(judged[1], torch.zeros(4)))
    model.playing = "generator"
    terms = model.generator_loss(batch, fake)
    pixels = [(images + 1) / 2 for images in (batch.images, fake.reconstructed)]
    torch.testing.assert_close(terms["reconstruction"], 0.5 * (pixels[0] - pixels[1]).square().sum() / 4)
    torch.testing.assert_close(terms["adversarial"], 3 * bce(judged[1], torch.ones(4)))
    assert not any(
        g is not None
        for g in torch.autograd.grad(
            terms["adversarial"], [*model.generator.parameters()], allow_unused=True, retain_graph=True
        )
    )
    for term in terms.values():
        gradients = torch.autograd.grad(term, [*model.encoder.parameters()], retain_graph=True)
        assert all(g.abs().sum() > 0 for g in gradients)


def test_the_weight_is_the_encoders_alone() -> None:
    """The discriminator's loss keeps its size for any λ."""
    sgd = {f"{player}_optimizer": partial(SGD, lr=0.0) for player in ("generator", "discriminator")}
    records = []
    for weight in (1.0, 5.0):
        torch.manual_seed(0)
        model = aae(lambda_adversarial=weight, **sgd)
        trainer(max_epochs=1).fit(model, data_for(model))
        records.append(model.records)
    one, five = records
    assert one["loss/discriminator/adversarial"] == five["loss/discriminator/adversarial"]
    torch.testing.assert_close(five["loss/generator/adversarial"], 5 * one["loss/generator/adversarial"])


def test_a_posterior_is_drawn_from_and_encoded_to_its_mean() -> None:
    torch.manual_seed(0)
    model = AAE(AAEDecoder(6, **HOW), VAEGANEncoder(6, SIZE, 1, width=4, hidden=8), CodeDiscriminator(6, hidden=(8,)))
    batch = batch_for(model)
    model.eval()
    mean, std = model.encoder(batch.images)
    torch.manual_seed(1)
    drawn = model.draw_fakes(batch).codes
    torch.manual_seed(1)
    torch.testing.assert_close(drawn, mean + std * torch.randn(4, 6))
    torch.testing.assert_close(model.encode(batch.images), mean)


def test_reconstructions_in_the_preview() -> None:
    model = aae(ema_half_life=10)
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))
    batch = batch_for(model)
    shown, columns = model.preview(batch, 4)
    assert columns == 3
    assert torch.equal(shown[1::3], model.sampler.images(model.encode(batch.images)))
    assert torch.equal(shown[2::3], model.sample(4, seed=0))


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="z has 6 components, and the discriminator states 5"):
        AAE(AAEDecoder(6, **HOW), AAEEncoder(6, **HOW), CodeDiscriminator(5))
    with pytest.raises(ValueError, match="judges codes, not images"):
        aae(augmentation=DiffAugment())
