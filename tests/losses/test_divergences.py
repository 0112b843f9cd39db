"""f-GAN: each conjugate against its definition, and the bound on two Gaussians against the divergence's closed form."""

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import Tensor

from gan_lightning.losses import (
    KL,
    AdversarialLoss,
    AlternativeUpdate,
    FDivergence,
    GANDivergence,
    JensenShannon,
    Minimax,
    NeymanChiSquared,
    NonSaturating,
    PearsonChiSquared,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from gan_lightning.recording import describe, rebuild

MEAN = 0.8  # of the fakes' N(MEAN, 1); the data's is N(0, 1)
X = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
WEIGHT = float(X[1] - X[0])


def normal(x: Tensor, mean: float) -> Tensor:
    return torch.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)


P, Q = normal(X, 0.0), normal(X, MEAN)
LOG_RATIO = MEAN * MEAN / 2 - MEAN * X  # log p/q
JS = float((P * (2 * P / (P + Q)).log() + Q * (2 * Q / (P + Q)).log()).sum()) * WEIGHT  # the one without a closed form


class Case(NamedTuple):
    """A divergence with its generator function, its value, and the critic at which its bound is tight."""

    loss: FDivergence
    f: Callable[[Tensor], Tensor]
    value: float
    optimum: Callable[[Tensor], Tensor]  # of log p/q: the v with g_f(v) = f'(p/q)


CASES = [
    Case(TotalVariation(), lambda u: (u - 1).abs() / 2, math.erf(MEAN / math.sqrt(8)), lambda r: 1e3 * r),
    Case(KL(), lambda u: u * u.log(), MEAN**2 / 2, lambda r: 1 + r),
    Case(ReverseKL(), lambda u: -u.log(), MEAN**2 / 2, lambda r: r),
    Case(PearsonChiSquared(), lambda u: (u - 1) ** 2, math.expm1(MEAN**2), lambda r: 2 * r.expm1()),
    Case(NeymanChiSquared(), lambda u: (1 - u) ** 2 / u, math.expm1(MEAN**2), lambda r: 2 * r),
    Case(SquaredHellinger(), lambda u: (u.sqrt() - 1) ** 2, -2 * math.expm1(-(MEAN**2) / 8), lambda r: r / 2),
    Case(JensenShannon(), lambda u: u * u.log() - (u + 1) * ((1 + u) / 2).log(), JS, lambda r: r),
    Case(GANDivergence(), lambda u: u * u.log() - (u + 1) * (u + 1).log(), JS - 2 * math.log(2), lambda r: r),
]
every_divergence = pytest.mark.parametrize("case", CASES, ids=lambda case: type(case.loss).__name__)


def bound(loss: FDivergence, v: Tensor) -> float:
    """F, by integration over the two Gaussians."""
    return float((P * loss.activation(v) - Q * loss.conjugate(v)).sum()) * WEIGHT


def test_every_divergence_is_here() -> None:
    assert {type(case.loss) for case in CASES} == set(FDivergence.__subclasses__())


@every_divergence
def test_the_value_is_the_integral_of_f(case: Case) -> None:
    inside = (X > -7) & (X < 7)  # where no ratio of densities overflows what it is multiplied by
    integral = float((Q * case.f(P / Q))[inside].sum()) * WEIGHT
    assert integral == pytest.approx(case.value, rel=1e-4)


@every_divergence
def test_the_conjugate_is_the_supremum_of_its_definition(case: Case) -> None:
    u = torch.logspace(-6, 6, 100_001, dtype=torch.float64)
    for v in torch.linspace(-3, 3, 13, dtype=torch.float64):
        t = case.loss.activation(v)
        supremum = float((u * t - case.f(u)).max())
        # Pearson's and total variation's conjugates are flat where u would be negative: the paper's go on as they are
        if isinstance(case.loss, PearsonChiSquared) and v < -2:
            supremum = float(v**2 / 4 + v)
        assert float(case.loss.conjugate(v)) == pytest.approx(supremum, abs=1e-5)


@every_divergence
def test_the_bound_is_tight_at_the_best_critic(case: Case) -> None:
    v = case.optimum(LOG_RATIO)
    # where v leaves ±10 it is no longer the optimum: at the ends of the line, where there is next to nothing
    assert bound(case.loss, v) == pytest.approx(case.value, rel=1e-4)


@every_divergence
def test_no_other_critic_is_above_the_divergence(case: Case) -> None:
    torch.manual_seed(0)
    best = case.optimum(LOG_RATIO)
    others = [torch.zeros_like(X), -best, 0.7 * best, best + 0.3, best + torch.sin(3 * X), 1e3 * X, -1e3 * X]
    others += [coefficients @ torch.stack([X**0, X, X**2]) for coefficients in torch.randn(30, 3, dtype=torch.float64)]
    values = [bound(case.loss, other) for other in others]
    assert max(values) < case.value + 1e-9
    assert min(values) < case.value - 0.05  # a critic that is no good is far below


@pytest.mark.parametrize("case", [c for c in CASES if not isinstance(c.loss, TotalVariation | PearsonChiSquared)])
def test_a_critic_that_learns_reaches_the_divergence(case: Case) -> None:
    """The loss from samples reaches the bound; for these divergences, the best critic is a straight line."""
    levels = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    real = math.sqrt(2) * torch.erfinv(2 * levels - 1)
    fake = real + MEAN
    critic = torch.nn.Linear(1, 1, dtype=torch.float64)
    optimizer = torch.optim.LBFGS(critic.parameters(), lr=0.5, max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = case.loss.discriminator(critic(real[:, None]), critic(fake[:, None]))
        value.backward()
        return value

    optimizer.step(loss)
    assert -loss().item() == pytest.approx(case.value, rel=0.02)


@every_divergence
def test_the_threshold_is_where_both_densities_are_equal(case: Case) -> None:
    """g_f(threshold) = f'(1)."""
    u = torch.ones((), dtype=torch.float64, requires_grad=True)
    slope = 0.0  # total variation's f has a corner at 1
    if not isinstance(case.loss, TotalVariation):
        slope = float(torch.autograd.grad(case.f(u), u)[0])
    threshold = torch.tensor(case.loss.threshold, dtype=torch.float64)
    assert float(case.loss.activation(threshold)) == pytest.approx(slope, abs=1e-12)
    assert AlternativeUpdate(case.loss).threshold == case.loss.threshold


def not_needed() -> Tensor:
    raise AssertionError("this loss asked for the logits of real images, which cost a forward pass")


def test_both_players_by_hand() -> None:
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([-3.0, 0.5])
    # KL: E v = 0.5; E exp(v - 1) = (exp(-4) + exp(-0.5)) / 2
    conjugate = (math.exp(-4) + math.exp(-0.5)) / 2
    assert KL().discriminator(real, fake).item() == pytest.approx(conjugate - 0.5)
    assert KL().generator(fake, not_needed).item() == pytest.approx(-conjugate)
    assert AlternativeUpdate(KL()).discriminator(real, fake).item() == pytest.approx(conjugate - 0.5)
    assert AlternativeUpdate(KL()).generator(fake, not_needed).item() == pytest.approx(1.25)


def test_the_gans_divergence_is_the_first_gan() -> None:
    real, fake = torch.randn(50), torch.randn(50)
    for loss, twin in ((GANDivergence(), Minimax()), (AlternativeUpdate(GANDivergence()), NonSaturating())):
        torch.testing.assert_close(loss.discriminator(real, fake), twin.discriminator(real, fake))
        torch.testing.assert_close(loss.generator(fake, not_needed), twin.generator(fake, not_needed))


@pytest.mark.parametrize("alternative", [False, True])
@every_divergence
def test_each_player_is_pushed_its_own_way(case: Case, alternative: bool) -> None:
    loss = AlternativeUpdate(case.loss) if alternative else case.loss
    real, fake = torch.zeros(1, requires_grad=True), torch.full((1,), 0.5, requires_grad=True)
    real_pull, fake_pull = torch.autograd.grad(loss.discriminator(real, fake), [real, fake])
    (generator_pull,) = torch.autograd.grad(loss.generator(fake, not_needed), fake)
    assert real_pull.item() < 0 < fake_pull.item()
    assert generator_pull.item() < 0


@pytest.mark.parametrize("alternative", [False, True])
@every_divergence
def test_huge_logits_stay_finite_and_the_exponentials_pull_does_not_die(case: Case, alternative: bool) -> None:
    loss = AlternativeUpdate(case.loss) if alternative else case.loss
    real, fake = torch.tensor([-1e4, 1e4], requires_grad=True), torch.tensor([1e4, -1e4], requires_grad=True)
    total = loss.discriminator(real, fake) + loss.generator(fake, not_needed)
    assert total.isfinite()
    pulls = torch.autograd.grad(loss.discriminator(real, fake), [real, fake])
    assert all(pull.isfinite().all() for pull in pulls)
    if not isinstance(case.loss, TotalVariation):  # tanh does saturate
        assert pulls[0][0] < 0 < pulls[1][0]  # D is pulled back where it is most wrong


def test_within_ten_the_exponential_is_the_exponential_and_beyond_its_tangent() -> None:
    v = torch.tensor([-10.0, -3.0, 9.9, 10.0, 11.0, 1000.0], dtype=torch.float64)
    expected = [math.exp(-11), math.exp(-4), math.exp(8.9), math.exp(9), math.exp(9) * 2, math.exp(9) * 991]
    torch.testing.assert_close(KL().conjugate(v), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("name", [type(case.loss).__name__ for case in CASES])
def test_built_from_yaml_and_described_back(name: str) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AdversarialLoss, "loss")
    path = f"gan_lightning.losses.{name}"
    said = {"class_path": "gan_lightning.losses.AlternativeUpdate", "init_args": {"divergence": path}}
    loss = parser.instantiate(parser.parse_object({"loss": said})).loss
    described = describe(loss)
    assert described["init_args"]["divergence"]["class_path"] == f"gan_lightning.losses.divergences.{name}"
    again = rebuild(described, ["gan_lightning"])
    assert type(again.divergence).__name__ == name
