"""Unrolling: steps equal to the optimizers', exact gradients, the engine around it, mistakes."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from gan_lightning.augmentation import AdaptiveAugmentation
from gan_lightning.losses import Wasserstein, ZeroSum, gradient_penalty, r1
from gan_lightning.models import DCGAN, MMDGAN, WGAN, WGANGP
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from gan_lightning.networks.base import Generator
from gan_lightning.recording import Network
from gan_lightning.regularizers import HistoricalAveraging
from gan_lightning.training.unrolling import look_ahead
from tiny import SIZE, SMALL, batch_for, data_for
from toys import equal, trainer, weights

RULES: dict[str, Callable[..., Any]] = {
    "sgd": partial(SGD, lr=0.3),
    "momentum": partial(SGD, lr=0.2, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "nesterov": partial(SGD, lr=0.2, momentum=0.8, nesterov=True),
    "maximize": partial(SGD, lr=0.1, maximize=True),
    "adam": partial(Adam, lr=0.05, betas=(0.5, 0.9)),
    "amsgrad": partial(Adam, lr=0.05, betas=(0.5, 0.9), amsgrad=True, weight_decay=0.02),
    "adamw": partial(AdamW, lr=0.05, weight_decay=0.1),
}


def small(dropout: float = 0.0) -> dict[str, nn.Module]:
    return {
        "generator": MLPGenerator(6, SIZE, hidden=(8,)),
        "discriminator": MLPDiscriminator(SIZE, hidden=(8,), pieces=2, input_dropout=0, dropout=dropout),
    }


def unrolled(**how: Any) -> DCGAN:
    return DCGAN(**small(dropout=0.5), loss=ZeroSum(), unroll=2, **how)


def unrolled_wgan_gp(**how: Any) -> WGANGP:
    return WGANGP(**small(), n_critic=1, unroll=1, discriminator_clip_norm=0.5, **how)


class World:
    """A critic in double precision, data, and fakes that depend on one vector."""

    def __init__(self, rule: Callable[..., Any]) -> None:
        torch.manual_seed(0)
        self.critic = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
        self.real, self.z = torch.randn(6, 3).double(), torch.randn(6, 3).double()
        self.optimizer = rule(self.critic.parameters())
        for _ in range(2):  # so that there is a state
            self.optimizer.zero_grad()
            self.loss(torch.zeros(3).double()).backward()
            self.optimizer.step()

    def fakes(self, theta: Tensor) -> Tensor:
        return torch.tanh(self.z * theta) + theta

    def loss(self, theta: Tensor) -> Tensor:
        return (
            nn.functional.softplus(-self.critic(self.real)).mean()
            + nn.functional.softplus(self.critic(self.fakes(theta))).mean()
        )

    def ahead(self, theta: Tensor, steps: int, clip: float | None = None) -> Tensor:
        terms = look_ahead(
            [self.critic],
            self.optimizer,
            steps,
            partial(self.loss, theta),
            lambda: {"g": -self.loss(theta)},
            clip,
        )
        return terms["g"]

    def stepped(self, theta: Tensor, steps: int, clip: float | None = None) -> Tensor:
        """The same by the optimizer itself, which then has another state."""
        other = copy.deepcopy(self)
        for _ in range(steps):
            other.optimizer.zero_grad()
            other.loss(theta.detach()).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(other.critic.parameters(), clip)
            other.optimizer.step()
        return -other.loss(theta)


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("rule", RULES)
def test_values_are_the_optimizers_and_gradients_those_of_differences(rule: str, clip: float | None) -> None:
    world = World(RULES[rule])
    state = copy.deepcopy(world.optimizer.state_dict())
    begun = {name: value.clone() for name, value in world.critic.state_dict().items()}
    theta = torch.tensor([0.3, -0.5, 0.8]).double().requires_grad_()
    for steps in (0, 1, 3):
        value = world.ahead(theta, steps, clip)
        torch.testing.assert_close(value, world.stepped(theta, steps, clip), rtol=1e-12, atol=1e-12)
        (gradient,) = torch.autograd.grad(value, theta)
        differences = []
        for k in range(3):
            shift = 1e-6 * nn.functional.one_hot(torch.tensor(k), 3)
            ends = [world.stepped(theta.detach() + sign * shift, steps, clip) for sign in (1, -1)]
            differences.append((ends[0] - ends[1]) / 2e-6)
        torch.testing.assert_close(gradient, torch.stack(differences).detach(), rtol=1e-5, atol=1e-8)
        if steps and clip is None:  # the way through the steps counts
            (direct,) = torch.autograd.grad(world.stepped(theta, steps, clip), theta)
            assert (gradient - direct).abs().max() > 1e-4
    assert equal(begun, world.critic.state_dict())
    assert str(state) == str(world.optimizer.state_dict())


def test_a_dead_unit_has_a_finite_gradient() -> None:
    critic = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        critic[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))  # the second never fires on positive inputs
        critic[0].bias.zero_()
    theta = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        return critic(theta.reshape(1, 1)).sum()

    value = look_ahead([critic], Adam(critic.parameters()), 2, loss, lambda: {"g": -loss()})["g"]
    (gradient,) = torch.autograd.grad(value, theta)
    assert gradient.isfinite()


def test_gradients_pass_through_penalties() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
    real, z = torch.randn(2, 5, 1, 2, 2)

    def value(theta: Tensor) -> Tensor:
        def loss() -> Tensor:
            torch.manual_seed(1)  # of the penalty's alpha
            fake = z * theta
            penalty = gradient_penalty(critic, real, fake) + r1(critic, fake)
            return critic(fake).mean() - critic(real).mean() + penalty

        optimizer = SGD(critic.parameters(), lr=0.5)
        return look_ahead([critic], optimizer, 2, loss, lambda: {"g": -critic(z * theta).mean()})["g"]

    theta = torch.tensor(0.7, requires_grad=True)
    (gradient,) = torch.autograd.grad(value(theta), theta)
    difference = (value(theta + 1e-2) - value(theta - 1e-2)) / 2e-2
    assert float(gradient) == pytest.approx(float(difference), rel=2e-2)
    # with images detached in the penalties, as for D itself, the way through them would be lost
    direct = torch.autograd.grad(-critic(z * theta).mean(), theta)[0]
    assert abs(float(gradient - direct)) > 0.1 * abs(float(gradient))


class Picture(Generator):
    """One image, whatever z is."""

    latent_dim = 1

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Parameter(torch.full((1, 1, 2, 2), 0.25))

    def forward(self, z: Tensor) -> Tensor:
        return self.image.expand(len(z), -1, -1, -1)


class Weighing(Network):
    """A sum of pixels with weights."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[[1.0, -2.0], [0.5, 3.0]]]))

    def forward(self, images: Tensor) -> Tensor:
        return (images * self.w).sum(dim=(1, 2, 3))


class Pictures:
    """A batch of equal images."""

    real = torch.tensor([[[0.5, 0.0], [-0.5, 1.0]]]).expand(4, 1, 2, 2)


def test_a_step_of_a_model_by_hand() -> None:
    """D steps from w₀ to w₁ = w₀ - η(f - r), and G sees w₂ = w₁ - η(f - r): its gradient is -w₂ + η f."""
    from gan_lightning.data.batches import ImageBatch
    from tiny import Batches

    rate = 0.125
    sgd = {f"{player}_optimizer": partial(SGD, lr=rate) for player in ("generator", "discriminator")}
    model = DCGAN(Picture(), Weighing(), loss=Wasserstein(), unroll=1, **sgd)
    f, r, w = model.generator.image.detach().clone()[0], Pictures.real[0], model.discriminator.w.detach().clone()
    trainer(max_epochs=1).fit(model, Batches([ImageBatch(Pictures.real.clone())]))
    once = w - rate * (f - r)
    torch.testing.assert_close(model.discriminator.w.detach(), once)
    gradient = -(once - rate * (f - r)) + rate * f
    torch.testing.assert_close(model.generator.image.detach()[0], f - rate * gradient)


def fitted(build: Callable[..., Any], **how: Any) -> Any:
    torch.manual_seed(0)
    model = build(**how)
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))
    return model


def dcgan(**how: Any) -> DCGAN:
    return DCGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL, norm="spectral"), **how)


def test_no_step_ahead_is_the_plain_model() -> None:
    assert equal(weights(fitted(dcgan)), weights(fitted(dcgan, unroll=0)))
    assert not equal(weights(fitted(dcgan)), weights(fitted(dcgan, unroll=1)))


def test_looking_ahead_leaves_no_trace_in_the_discriminators_turn() -> None:
    def built(**how: Any) -> DCGAN:
        parts = [HistoricalAveraging("discriminator", 0.1)]
        return dcgan(augmentation=AdaptiveAugmentation(interval=1), regularizers=parts, **how)

    plain, ahead = (
        fitted(built, unroll=steps, generator_optimizer=partial(SGD, lr=0.0), n_critic=1) for steps in (0, 3)
    )
    # G stands still, but the batches' random numbers differ after the first step ahead: compare one batch
    assert plain.augmentation.p.shape == ahead.augmentation.p.shape
    for steps in (0, 3):
        torch.manual_seed(0)
        model = built(unroll=steps, generator_optimizer=partial(SGD, lr=0.0))
        trainer(max_epochs=1).fit(model, data_for(model, batches=1))
        if steps == 0:
            expected = model
    assert equal(weights(expected), weights(model))
    assert torch.equal(expected.regularizers[0].mean, model.regularizers[0].mean)
    assert torch.equal(expected.augmentation.p, model.augmentation.p)
    assert expected.records["loss/discriminator"] == model.records["loss/discriminator"]


def test_models_with_penalties_and_their_own_turns_train() -> None:
    for build in (unrolled, unrolled_wgan_gp):
        model = fitted(build)
        assert model.records["loss/generator"].isfinite()
        assert model.batches_seen == 2


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="accumulate cuts it"):
        unrolled(accumulate=2)
    for kind in (WGAN, MMDGAN):
        with pytest.raises(ValueError, match="limits its discriminator's weights after each step"):
            kind(**small(), unroll=1)
    model = unrolled(discriminator_optimizer=partial(RMSprop, lr=1e-4))
    with pytest.raises(ValueError, match=r"those of RMSprop are unknown .* choose SGD, Adam or AdamW"):
        trainer(max_epochs=1).fit(model, data_for(model))
    assert batch_for(model).images.shape[0] == 4
