"""The losses of the two players, as functions of the discriminator's logits.

Notation: D(x) is a logit, σ the sigmoid, ζ(t) = log(1 + exp t) the softplus, x a real and G(z) a fake image.
Logits have any shape, (N,) or patch maps (N, 1, h, w); means are over all of their values.
Every loss is a scalar tensor to be minimised.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from gan_lightning.ranges import Finite, NonNegativeFloat, Share
from gan_lightning.recording import Recorded


class AdversarialLoss(Recorded, ABC):
    """The two losses of a game."""

    threshold: float | None = None
    """The logit above which D takes an image for real; None if a loss only compares logits with each other."""

    @abstractmethod
    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the discriminator's loss, a scalar, from its logits for real and for fake images."""

    @abstractmethod
    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """Return the generator's loss, a scalar.

        Args:
            fake_logits: the discriminator's logits for the fakes, through which the generator learns.
            real_logits: returns the logits for real images. Only losses that compare the two call it, so that the
                others save its time.
        """


class Minimax(AdversarialLoss):
    """The zero-sum game of the first GAN (Goodfellow et al., 2014, arXiv 1406.2661, equation 1).

    D: E ζ(-D(x)) + E ζ(D(G(z))), which is -E log σ(D(x)) - E log(1 - σ(D(G(z)))).
    G: -E ζ(D(G(z))), which is E log(1 - σ(D(G(z)))); its gradient vanishes where D rejects the fakes with certainty.
    """

    threshold = 0.0

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """E ζ(-D(x)) + E ζ(D(G(z)))."""
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """-E ζ(D(G(z)))."""
        return -F.softplus(fake_logits).mean()


class ZeroSum(Minimax):
    """The whole zero-sum game: G maximises all that D minimises, its loss of real images too.

    D: E ζ(-D(x)) + E ζ(D(G(z))). G: the negative of it.

    The real images' term has no gradient for G, except if G looks ahead (`model.unroll`): D's next steps depend on G,
    and so does the D that then sees x. Metz et al. (2016, arXiv 1611.02163, equation 10) unroll this game.
    """

    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """-E ζ(-D(x)) - E ζ(D(G(z)))."""
        return -self.discriminator(real_logits(), fake_logits)


class NonSaturating(AdversarialLoss):
    """The non-saturating game (Goodfellow et al., 2014, arXiv 1406.2661, section 3): G maximises log σ(D(G(z))).

    D: E ζ(-D(x)) + E ζ(D(G(z))). G: E ζ(-D(G(z))), which is -E log σ(D(G(z))).

    Args:
        real_label: D's target probability for real images. Below 1, such as 0.9, it is the one-sided label smoothing of
            Salimans et al. (2016, arXiv 1606.03498, section 3.4); 1 turns it off.
    """

    threshold = 0.0

    def __init__(self, real_label: Share = 1.0) -> None:
        self.real_label = real_label

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """E [t ζ(-D(x)) + (1 - t) ζ(D(x))] + E ζ(D(G(z))), where t is real_label."""
        # ζ(a) = ζ(-a) + a
        real = F.softplus(-real_logits) + (1 - self.real_label) * real_logits
        return real.mean() + F.softplus(fake_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """E ζ(-D(G(z)))."""
        return F.softplus(-fake_logits).mean()


class LeastSquares(AdversarialLoss):
    """LSGAN (Mao et al., 2016, arXiv 1611.04076, equation 2), on the logits without a sigmoid.

    D: s E (D(x) - b)² + s E (D(G(z)) - a)². G: r E (D(G(z)) - c)².

    The defaults are the paper's equation 9. Its equation 8, which minimises the Pearson χ² divergence, is a = -1,
    b = 1, c = 0. CycleGAN and its successors halve the discriminator's loss alone: s = 0.5, r = 1.

    Args:
        fake_label: a, D's target for fakes.
        real_label: b, D's target for real images.
        generator_label: c, G's target for D's logits of fakes.
        discriminator_scale: s, a factor on both terms of D's loss; 1 gives plain mean squared errors.
        generator_scale: r, a factor on G's loss; 1 gives the plain mean squared error.
    """

    def __init__(
        self,
        fake_label: Finite = 0.0,
        real_label: Finite = 1.0,
        generator_label: Finite = 1.0,
        discriminator_scale: NonNegativeFloat = 0.5,
        generator_scale: NonNegativeFloat = 0.5,
    ) -> None:
        self.fake_label, self.real_label, self.generator_label = fake_label, real_label, generator_label
        self.discriminator_scale, self.generator_scale = discriminator_scale, generator_scale

    @property
    def threshold(self) -> float:  # type: ignore[override]
        """The middle between the two labels."""
        return (self.real_label + self.fake_label) / 2

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """s E (D(x) - b)² + s E (D(G(z)) - a)²."""
        real, fake = real_logits - self.real_label, fake_logits - self.fake_label
        return self.discriminator_scale * (real.square().mean() + fake.square().mean())

    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """r E (D(G(z)) - c)²."""
        return self.generator_scale * (fake_logits - self.generator_label).square().mean()


class Hinge(AdversarialLoss):
    """The hinge loss (Lim & Ye, 2017, arXiv 1705.02894; Tran et al., 2017, arXiv 1702.08896); only D is hinged.

    D: E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))). G: -E D(G(z)).
    """

    threshold = 0.0

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))."""
        return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """-E D(G(z))."""
        return -fake_logits.mean()


class Wasserstein(AdversarialLoss):
    """WGAN (Arjovsky, Chintala, Bottou, 2017, arXiv 1701.07875, equations 2 and 3).

    D must be kept Lipschitz by other means: clipped weights, a gradient penalty, spectral norm.

    D: E D(G(z)) - E D(x), whose negative estimates the distance. G: -E D(G(z)).
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """E D(G(z)) - E D(x)."""
        return fake_logits.mean() - real_logits.mean()

    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """-E D(G(z))."""
        return -fake_logits.mean()
