"""Relativistic losses by hand, and the gradients of both players."""

import math

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import Tensor

from gan_lightning.losses import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    NonSaturating,
    RelativisticAverage,
    RelativisticPairing,
    Wasserstein,
)
from gan_lightning.recording import describe, rebuild

REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([-3.0, 0.5])
# means 0.5 and -1.25: real images are 3.25 and 0.25 above the fakes, fakes -3.5 and 0 above real images
OF_REAL, OF_FAKE = (3.25, 0.25), (-3.5, 0.0)
LEAST_SQUARES = LeastSquares(fake_label=-1, real_label=1, discriminator_scale=1)


def softplus(t: float) -> float:
    return math.log1p(math.exp(t))


def mean(*values: float) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize(
    ("loss", "discriminator", "generator"),
    [
        (
            RelativisticAverage(),
            mean(*(softplus(-t) for t in OF_REAL)) + mean(*(softplus(t) for t in OF_FAKE)),
            mean(*(softplus(t) for t in OF_REAL)) + mean(*(softplus(-t) for t in OF_FAKE)),
        ),
        (
            RelativisticAverage(LEAST_SQUARES),
            mean(*((t - 1) ** 2 for t in OF_REAL)) + mean(*((t + 1) ** 2 for t in OF_FAKE)),
            mean(*((t + 1) ** 2 for t in OF_REAL)) + mean(*((t - 1) ** 2 for t in OF_FAKE)),
        ),
        (RelativisticAverage(Hinge()), mean(0, 0.75) + mean(0, 1), mean(4.25, 1.25) + mean(4.5, 1)),
        (RelativisticPairing(), mean(softplus(-5), softplus(1.5)), mean(softplus(5), softplus(-1.5))),
    ],
)
def test_values_by_hand(loss: AdversarialLoss, discriminator: float, generator: float) -> None:
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(discriminator, rel=1e-6)
    assert loss.generator(FAKE, lambda: REAL).item() == pytest.approx(generator, rel=1e-6)
    # a patch map is averaged like a batch
    real_map, fake_map = (x.view(1, 1, 1, 2).expand(3, 1, 4, 2) for x in (REAL, FAKE))
    assert loss.discriminator(real_map, fake_map).item() == pytest.approx(discriminator, rel=1e-6)
    assert loss.generator(fake_map, lambda: real_map).item() == pytest.approx(generator, rel=1e-6)


every_loss = pytest.mark.parametrize(
    "loss",
    [
        RelativisticAverage(),
        RelativisticAverage(LEAST_SQUARES),
        RelativisticAverage(Hinge()),
        RelativisticAverage(Wasserstein()),
        RelativisticPairing(),
    ],
)


@every_loss
def test_only_differences_count(loss: AdversarialLoss) -> None:
    torch.testing.assert_close(loss.discriminator(REAL + 7, FAKE + 7), loss.discriminator(REAL, FAKE))
    torch.testing.assert_close(loss.generator(FAKE + 7, lambda: REAL + 7), loss.generator(FAKE, lambda: REAL))
    assert loss.threshold is None


@every_loss
def test_each_player_is_pushed_its_own_way(loss: AdversarialLoss) -> None:
    real, fake = torch.zeros(3, requires_grad=True), torch.full((3,), 0.5, requires_grad=True)
    of_discriminator = torch.autograd.grad(loss.discriminator(real, fake), [real, fake])
    assert (of_discriminator[0] < 0).all()
    assert (of_discriminator[1] > 0).all()
    of_generator = torch.autograd.grad(loss.generator(fake, lambda: real), [real, fake])
    assert (of_generator[0] > 0).all()
    assert (of_generator[1] < 0).all()


def test_the_mean_lets_the_generators_gradient_through() -> None:
    """By hand, at two equal logits D = 0: ½ of the fake's own term and ½ of the real term, through the mean."""
    fake = torch.zeros(1, requires_grad=True)
    (pull,) = torch.autograd.grad(RelativisticAverage().generator(fake, lambda: torch.zeros(1)), fake)
    assert pull.item() == pytest.approx(-1)
    (pull,) = torch.autograd.grad(NonSaturating().generator(fake, lambda: torch.zeros(1)), fake)
    assert pull.item() == pytest.approx(-0.5)


def test_each_real_image_meets_its_own_fake() -> None:
    real, fake = torch.randn(6), torch.randn(6)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    together = RelativisticPairing().discriminator(real[order], fake[order])
    torch.testing.assert_close(together, RelativisticPairing().discriminator(real, fake))
    assert not torch.isclose(RelativisticPairing().discriminator(real, fake[order]), together)


@pytest.mark.parametrize("loss", [RelativisticAverage(), RelativisticPairing()])
def test_huge_logits_stay_finite(loss: AdversarialLoss) -> None:
    real, fake = torch.tensor([-1e4, 1e4], requires_grad=True), torch.tensor([1e4, -1e4], requires_grad=True)
    total: Tensor = loss.discriminator(real, fake) + loss.generator(fake, lambda: real)
    assert total.isfinite()
    assert all(g.isfinite().all() for g in torch.autograd.grad(total, [real, fake]))


def test_built_from_yaml_and_described_back() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AdversarialLoss, "loss")
    game = {"class_path": "gan_lightning.losses.LeastSquares", "init_args": {"fake_label": -1.0}}
    said = {"class_path": "gan_lightning.losses.RelativisticAverage", "init_args": {"game": game}}
    loss = rebuild(describe(parser.instantiate(parser.parse_object({"loss": said})).loss), ["gan_lightning"])
    assert type(loss) is RelativisticAverage
    assert type(loss.game) is LeastSquares
    assert loss.game.fake_label == -1
