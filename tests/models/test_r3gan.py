"""R3GAN: pairs, both penalties in every step, and γ over time."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gan_lightning.models import R3GAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from gan_lightning.recording import Network
from gan_lightning.schedules import Cosine
from tiny import SMALL, batch_for, data_for
from toys import trainer


def r3gan(**how: Any) -> R3GAN:
    return R3GAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL, norm="none"), **how)


class LinearCritic(Network):
    """D(x) = w·x + b, whose gradient is w everywhere."""

    def __init__(self, norm: float = 3.0) -> None:
        super().__init__()
        self.linear = nn.Linear(256, 1)
        with torch.no_grad():
            self.linear.weight.mul_(norm / self.linear.weight.norm())

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1)).squeeze(1)


class Halved(Network):
    """A simple augmentation."""

    def forward(self, images: Tensor) -> Tensor:
        return images / 2


def test_both_losses_are_of_pairs() -> None:
    model = r3gan()
    batch = batch_for(model)
    fake = model.draw_fakes(batch).detach()
    real_logits, fake_logits = model.discriminator(batch.images), model.discriminator(fake)
    terms = model.discriminator_loss(batch, fake)
    assert terms.keys() == {"adversarial", "r1", "r2"}
    torch.testing.assert_close(terms["adversarial"], softplus(-(real_logits - fake_logits)).mean())
    expected = {"adversarial": softplus(-(fake_logits - real_logits)).mean()}
    torch.testing.assert_close(model.generator_loss(batch, fake), expected)


@pytest.mark.parametrize("gamma", [1.0, 0.05])
def test_the_penalties_of_a_linear_critic_are_known(gamma: float) -> None:
    model = R3GAN(DCGANGenerator(6, **SMALL), LinearCritic(3.0), gamma=gamma)
    batch = batch_for(model)
    terms = model.discriminator_loss(batch, model.draw_fakes(batch).detach())
    for name in ("r1", "r2"):
        assert float(terms[name]) == pytest.approx(gamma / 2 * 9, rel=1e-5)
    (gradient,) = torch.autograd.grad(terms["r1"] + terms["r2"], model.discriminator.linear.weight)
    torch.testing.assert_close(gradient, 2 * gamma * model.discriminator.linear.weight.detach())


def test_the_penalties_are_of_images_before_their_augmentation() -> None:
    model = R3GAN(DCGANGenerator(6, **SMALL), LinearCritic(3.0), gamma=1.0, augmentation=Halved())
    batch = batch_for(model)
    terms = model.discriminator_loss(batch, model.draw_fakes(batch).detach())
    assert float(terms["r1"]) == pytest.approx((3 / 2) ** 2 / 2, rel=1e-5)


def test_the_penalties_can_be_turned_off() -> None:
    model = r3gan(gamma=0)
    batch = batch_for(model)
    assert model.discriminator_loss(batch, model.draw_fakes(batch)).keys() == {"adversarial"}


def test_gamma_follows_its_schedule() -> None:
    model = R3GAN(DCGANGenerator(6, **SMALL), LinearCritic(2.0), gamma_schedule=Cosine(100, final=0.1, unit="image"))
    batch = batch_for(model)
    fake = model.draw_fakes(batch).detach()
    found = []
    for model.counters.images_seen in (0, 50, 100, 1000):
        found.append(float(model.discriminator_loss(batch, fake)["r1"]) / (4 / 2))
    assert found == pytest.approx([0.05, 0.0275, 0.005, 0.005], rel=1e-5)


def test_both_penalties_are_taken_in_every_step_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    import gan_lightning.models.r3gan as module

    taken: list[tuple[str, torch.dtype]] = []
    for name in ("r1", "r2"):
        original = getattr(module, name)

        def spied(critic: Any, images: Tensor, pack: int, name: str = name, original: Any = original) -> Tensor:
            value = original(critic, images, pack)
            if model.training:
                taken.append((name, value.dtype))
            return value

        monkeypatch.setattr(module, name, spied)
    model = r3gan()
    trainer(max_epochs=1, precision="bf16-mixed").fit(model, data_for(model, batches=3))
    assert taken == [("r1", torch.float32), ("r2", torch.float32)] * 3
