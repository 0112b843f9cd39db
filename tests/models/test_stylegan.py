"""StyleGAN: R1 by hand, the mean of w in the averaged weights, and growing from a later size than the smallest."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import softplus

from gan_lightning.data.growth import Growth
from gan_lightning.models import StyleGAN
from gan_lightning.networks import StyleGANDiscriminator, StyleGANGenerator
from tiny import batch_for, data_for
from toys import trainer

TINY: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4}
GROWTH: dict[str, Any] = {
    "start_size": 8,
    "final_size": 16,
    "batch_sizes": {8: 4, 16: 2},
    "fade_images": 12,
    "stable_images": 8,
}


def stylegan(**how: Any) -> StyleGAN:
    network = StyleGANGenerator(6, 5, mapping_layers=2, mapping_rate=0.1, **TINY)
    return StyleGAN(network, StyleGANDiscriminator(**TINY, group_size=2), **how)


def growing() -> StyleGAN:
    return stylegan(growth=Growth(**GROWTH), ema_half_life=20)


@pytest.mark.parametrize("gamma", [10.0, 0.0])
def test_the_losses_by_hand(gamma: float) -> None:
    model = stylegan(gamma=gamma)
    batch = batch_for(model)
    fake = model.draw_fakes(batch).detach()
    terms = model.discriminator_loss(batch, fake)
    images = batch.images.clone().requires_grad_()
    real, fakes = model.discriminator(images), model.discriminator(fake)
    (gradients,) = torch.autograd.grad(real.sum(), images)
    torch.testing.assert_close(terms.pop("adversarial"), (softplus(fakes) + softplus(-real)).mean())
    torch.testing.assert_close(model.generator_loss(batch, fake)["adversarial"], softplus(-fakes).mean())
    if gamma:
        torch.testing.assert_close(terms.pop("r1"), 5 * gradients.square().sum(dim=(1, 2, 3)).mean())
    assert terms == {}


def test_averaged_weights_carry_the_mean_of_w(tmp_path: Path) -> None:
    model = stylegan(ema_half_life=20)
    trainer(tmp_path, max_epochs=1, limit_val_batches=0).fit(model, data_for(model, batches=2))
    mean = model.average.network.mean_style
    assert mean.any()
    assert torch.equal(mean, model.generator.mean_style)
    trainer_ = trainer(tmp_path, max_epochs=1, limit_val_batches=0)
    trainer_.fit(model, data_for(model, batches=2))
    trainer_.save_checkpoint(tmp_path / "last.ckpt")
    loaded = StyleGAN.load_from_checkpoint(tmp_path / "last.ckpt")
    assert torch.equal(loaded.average.network.mean_style, model.average.network.mean_style)


def test_gradients_of_both_penalties_reach_every_parameter_of_the_discriminator() -> None:
    model = stylegan()
    batch = batch_for(model)
    sum(model.discriminator_loss(batch, model.draw_fakes(batch).detach()).values()).backward()
    unused = {name for name, p in model.discriminator.named_parameters() if p.grad is None and "from_image" not in name}
    assert unused == set()
