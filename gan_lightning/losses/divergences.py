"""f-GAN: the discriminator estimates an f-divergence from below, and the generator minimises it.

Nowozin, Cseke, Tomioka, "f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization", 2016,
arXiv 1606.00709.

Data of density p and fakes of density q differ by D_f(p‖q) = E_q[f(p/q)], with f convex and f(1) = 0. For a critic v(x)
of unbounded values (a discriminator's logits), an increasing output activation g_f onto the domain of f's conjugate
f*(t) = sup_u (u t - f(u)) gives the bound of equations 4 and 6,

    F = E_x[g_f(v(x))] - E_z[f*(g_f(v(G(z))))] <= D_f(p‖q),

with equality where g_f(v) = f'(p/q). D maximises F. G minimises it, or uses the alternative of section 3.2.

Each class below gives g_f and f*∘g_f of the paper's tables, as functions of v without cancellation.
"""

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.losses.adversarial import AdversarialLoss

LARGEST_EXPONENT = 10.0


def _within_exp(v: Tensor) -> Tensor:
    """Return v, but continue beyond ±10 as ±(10 + log(1 + |v| - 10)), so that exp of it continues as a straight line.

    The function increases everywhere: no gradient vanishes as with a clamp, and the bound still holds for such a
    critic.
    """
    excess = F.relu(v.abs() - LARGEST_EXPONENT)
    return v.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT) + v.sign() * torch.log1p(excess)


class FDivergence(AdversarialLoss):
    """The saddle-point objective of f-GAN (algorithm 1) for one divergence: D minimises -F, G minimises F."""

    threshold = 0.0  # the logit at which g_f(v) = f'(1), its value at p = q (section 3.2)

    @abstractmethod
    def activation(self, logits: Tensor) -> Tensor:
        """Return g_f(v)."""

    @abstractmethod
    def conjugate(self, logits: Tensor) -> Tensor:
        """Return f*(g_f(v))."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return -F, whose negative is a lower bound on the divergence."""
        return self.conjugate(fake_logits).mean() - self.activation(real_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """Return -E f*(g_f(v(G(z)))), the part of F that depends on G."""
        return -self.conjugate(fake_logits).mean()


class AlternativeUpdate(AdversarialLoss):
    """f-GAN with the generator's step of section 3.2: it maximises E g_f(v(G(z))), as the non-saturating game does.

    Args:
        divergence: the divergence that D estimates.
    """

    def __init__(self, divergence: FDivergence) -> None:
        self.divergence = divergence
        self.threshold = divergence.threshold

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """-F."""
        return self.divergence.discriminator(real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """-E g_f(v(G(z)))."""
        return -self.divergence.activation(fake_logits).mean()


class TotalVariation(FDivergence):
    """½ ∫|p - q|. f(u) = ½|u - 1|, g_f(v) = ½ tanh v, f*(t) = t."""

    def activation(self, logits: Tensor) -> Tensor:
        """½ tanh v."""
        return 0.5 * logits.tanh()

    def conjugate(self, logits: Tensor) -> Tensor:
        """½ tanh v."""
        return 0.5 * logits.tanh()


class KL(FDivergence):
    """Kullback-Leibler, ∫ p log(p/q). f(u) = u log u, g_f(v) = v, f*(t) = exp(t - 1)."""

    threshold = 1.0

    def activation(self, logits: Tensor) -> Tensor:
        """v."""
        return _within_exp(logits)

    def conjugate(self, logits: Tensor) -> Tensor:
        """exp(v - 1)."""
        return (_within_exp(logits) - 1).exp()


class ReverseKL(FDivergence):
    """Reverse Kullback-Leibler, ∫ q log(q/p). f(u) = -log u, g_f(v) = -exp(-v), f*(t) = -1 - log(-t)."""

    def activation(self, logits: Tensor) -> Tensor:
        """-exp(-v)."""
        return -(-_within_exp(logits)).exp()

    def conjugate(self, logits: Tensor) -> Tensor:
        """v - 1."""
        return _within_exp(logits) - 1


class PearsonChiSquared(FDivergence):
    """Pearson χ², ∫ (p - q)² / q. f(u) = (u - 1)², g_f(v) = v, f*(t) = t²/4 + t."""

    def activation(self, logits: Tensor) -> Tensor:
        """v."""
        return logits

    def conjugate(self, logits: Tensor) -> Tensor:
        """v²/4 + v."""
        return logits.square() / 4 + logits


class NeymanChiSquared(FDivergence):
    """Neyman χ², ∫ (p - q)² / p. f(u) = (1 - u)² / u, g_f(v) = 1 - exp(-v), f*(t) = 2 - 2 √(1 - t)."""

    def activation(self, logits: Tensor) -> Tensor:
        """1 - exp(-v)."""
        return -torch.expm1(-_within_exp(logits))

    def conjugate(self, logits: Tensor) -> Tensor:
        """2 - 2 exp(-v/2)."""
        return -2 * torch.expm1(-_within_exp(logits) / 2)


class SquaredHellinger(FDivergence):
    """Squared Hellinger, ∫ (√p - √q)². f(u) = (√u - 1)², g_f(v) = 1 - exp(-v), f*(t) = t / (1 - t)."""

    def activation(self, logits: Tensor) -> Tensor:
        """1 - exp(-v)."""
        return -torch.expm1(-_within_exp(logits))

    def conjugate(self, logits: Tensor) -> Tensor:
        """exp(v) - 1."""
        return torch.expm1(_within_exp(logits))


class JensenShannon(FDivergence):
    """Twice Jensen-Shannon, KL(p‖m) + KL(q‖m) with m = (p + q)/2.

    f(u) = u log u - (u + 1) log((1 + u)/2), g_f(v) = log 2 - ζ(-v), f*(t) = -log(2 - exp t).
    """

    def activation(self, logits: Tensor) -> Tensor:
        """-ζ(-v) + log 2."""
        return math.log(2) - F.softplus(-logits)

    def conjugate(self, logits: Tensor) -> Tensor:
        """ζ(v) - log 2."""
        return F.softplus(logits) - math.log(2)


class GANDivergence(FDivergence):
    """The first GAN's divergence: `JensenShannon` minus 2 log 2, so that f(1) is not 0. Its losses are `Minimax`'s.

    f(u) = u log u - (u + 1) log(u + 1), g_f(v) = -ζ(-v), f*(t) = -log(1 - exp t).
    """

    def activation(self, logits: Tensor) -> Tensor:
        """-ζ(-v)."""
        return -F.softplus(-logits)

    def conjugate(self, logits: Tensor) -> Tensor:
        """ζ(v)."""
        return F.softplus(logits)
