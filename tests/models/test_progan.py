"""ProGAN: its terms by hand, and its growth: learning rates, moments, stops within a fade, ranks, evaluation."""

from typing import Any

import torch

from gan_lightning.data.growth import Growth
from gan_lightning.layers.fading import at_level
from gan_lightning.models import ProGAN
from gan_lightning.networks import ProGANDiscriminator, ProGANGenerator
from tiny import batch_for

TINY: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4}
GROWTH: dict[str, Any] = {
    "start_size": 4,
    "final_size": 16,
    "batch_sizes": {4: 8, 8: 4, 16: 2},
    "fade_images": 12,
    "stable_images": 8,
    "rates": {8: 1.5, 16: 2.0},
}


def progan(**how: Any) -> ProGAN:
    return ProGAN(ProGANGenerator(6, **TINY), ProGANDiscriminator(**TINY, group_size=2), **how)


def growing(**how: Any) -> ProGAN:
    return progan(growth=Growth(**GROWTH), ema_half_life=20, **how)


def test_the_critics_terms_by_hand() -> None:
    model = progan()
    batch = batch_for(model)
    fake = model.draw_fakes(batch).detach()
    torch.manual_seed(1)
    terms = model.discriminator_loss(batch, fake)
    torch.manual_seed(1)
    share = torch.rand(4, 1, 1, 1)
    between = torch.lerp(batch.images, fake, share).requires_grad_()
    (gradients,) = torch.autograd.grad(model.discriminator(between).sum(), between)
    real, fakes = model.discriminator(batch.images), model.discriminator(fake)
    torch.testing.assert_close(terms["adversarial"], (fakes - real).mean())
    torch.testing.assert_close(terms["drift"], 0.001 * real.square().mean())
    norms = torch.stack([gradient.norm() for gradient in gradients])
    torch.testing.assert_close(terms["gradient_penalty"], 10 * (norms - 1).square().mean())
    torch.testing.assert_close(model.generator_loss(batch, fake)["adversarial"], -fakes.mean())
    off = progan(lambda_gp=0, epsilon_drift=0)
    assert off.discriminator_loss(batch, fake).keys() == {"adversarial"}


def test_real_images_are_of_the_level() -> None:
    model = growing()
    batch = batch_for(model)
    for seen, behind, alpha in ((0, 2, 1.0), (14, 1, 0.5), (20, 1, 1.0), (40, 0, 1.0)):
        model.counters.images_seen = seen
        assert torch.equal(model.reference(batch), at_level(batch.images, behind, alpha))


def test_the_papers_networks_have_the_growths_final_size() -> None:
    with torch.device("meta"):
        model = ProGAN(growth=Growth((4, 6), (8, 12), {4: 8}))
    assert model.generator.sizes == model.discriminator.sizes == [(4, 6), (8, 12)]
