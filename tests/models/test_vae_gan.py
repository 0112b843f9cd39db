"""VAE-GAN: the terms of algorithm 1, and which network each of their gradients reaches."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_lightning.data.batches import detach
from gan_lightning.models import VAEGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator, VAEGANEncoder
from tiny import SIZE, SMALL, Batches, batch_for
from toys import trainer, weights


def vae_gan(**how: Any) -> VAEGAN:
    networks = VAEGANEncoder(6, SIZE, 1, width=4, hidden=16), DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL)
    return VAEGAN(*networks, **{"gamma": 1.0} | how)


def gradients(loss: Tensor, *modules: nn.Module) -> list[Tensor | None]:
    parameters = [p for module in modules for p in module.parameters()]
    return list(torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True))


def feature_distance(model: VAEGAN, images: Tensor, others: Tensor) -> Tensor:
    """½ ||Dis_l(x) - Dis_l(x̃)||², written out."""
    difference = model.discriminator.features(images) - model.discriminator.features(others)
    return 0.5 * sum((row**2).sum() for row in difference) / len(images)


def test_the_terms_are_those_of_algorithm_1() -> None:
    torch.manual_seed(0)
    model, batch = vae_gan().eval(), batch_for(vae_gan())
    fake = model.draw_fakes(batch)
    mean, std = model.encoder(batch.images)
    torch.testing.assert_close(fake.reconstructed, model.generator(fake.z))
    terms = model.generator_loss(batch, fake)
    torch.testing.assert_close(terms["prior"], (0.5 * (mean**2 + std**2 - 1) - std.log()).sum() / len(mean))
    torch.testing.assert_close(terms["reconstruction"], feature_distance(model, batch.images, fake.reconstructed))
    logits = torch.cat([model.discriminator(fake.reconstructed), model.discriminator(fake.sampled)])
    torch.testing.assert_close(terms["adversarial"], bce(logits, torch.ones(8)))
    real_logits = model.discriminator(batch.images)
    expected = bce(real_logits, torch.ones(4)) + bce(logits, torch.zeros(8))
    torch.testing.assert_close(model.discriminator_loss(batch, detach(fake))["adversarial"], expected)


@pytest.mark.parametrize("gamma", [1e-6, 0.5, 20.0])
def test_each_network_descends_what_algorithm_1_gives_it(gamma: float) -> None:
    torch.manual_seed(0)
    model, batch = vae_gan(gamma=gamma).eval(), batch_for(vae_gan())
    fake = model.draw_fakes(batch)
    terms = model.generator_loss(batch, fake)
    # written out, with a posterior sample of the same noise
    mean, std = model.encoder(batch.images)
    z = mean + std * ((fake.z - fake.mean) / fake.std).detach()
    reconstruction = feature_distance(model, batch.images, model.generator(z))
    ours = gradients(torch.stack([*terms.values()]).sum(), model.encoder)
    for got, expected in zip(ours, gradients(terms["prior"] + reconstruction, model.encoder), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-6)
    ours = gradients(torch.stack([*terms.values()]).sum(), model.generator)
    wanted = gradients(gamma * reconstruction + terms["adversarial"], model.generator)
    for got, expected in zip(ours, wanted, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-6)


def test_the_adversarial_gradient_never_reaches_the_encoder_and_reaches_the_decoder_by_both_kinds_of_fakes() -> None:
    model, batch = vae_gan(), batch_for(vae_gan())
    fake = model.draw_fakes(batch)
    adversarial = model.generator_loss(batch, fake)["adversarial"]
    assert gradients(adversarial, model.encoder) == [None] * len(list(model.encoder.parameters()))
    assert all(g is not None and g.abs().sum() > 0 for g in gradients(adversarial, model.generator))


def test_the_reconstruction_never_moves_the_discriminator() -> None:
    """It is frozen in the generator's turn, and in its own there is no such term."""
    model = vae_gan()
    moved: dict[str, list[str]] = {}
    minimize = model.minimize

    def watched(player: Any, *losses: Any) -> None:
        before = weights(model)
        minimize(player, *losses)
        after = weights(model)
        moved[player] = sorted({name.split(".")[0] for name in before if not torch.equal(before[name], after[name])})

    model.minimize = watched  # type: ignore[method-assign]
    trainer(max_epochs=1).fit(model, Batches([batch_for(model)]))
    assert moved == {"discriminator": ["discriminator"], "generator": ["encoder", "generator"]}
    assert {name for name in model._terms if name.startswith("loss/discriminator/")} == {
        "loss/discriminator/adversarial"
    }


def test_what_cannot_be_is_refused() -> None:
    sizes: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4}
    with pytest.raises(ValueError, match="generator's z has 6 components, and the encoder states 5"):
        VAEGAN(VAEGANEncoder(5, **sizes), DCGANGenerator(6, **sizes), DCGANDiscriminator(**sizes))
    with pytest.raises(ValueError, match=r"gamma .* is more than 0, not 0"):
        vae_gan(gamma=0)
