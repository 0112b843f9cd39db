"""Relativistic losses: D estimates how much more real one image looks than another, not whether one is real.

Both players use both kinds of images. G's loss also falls if D takes real images for less real, and therefore needs
their logits.
"""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from gan_lightning.losses.adversarial import AdversarialLoss, NonSaturating


class RelativisticAverage(AdversarialLoss):
    """Relativistic average GAN (Jolicoeur-Martineau, 2018, arXiv 1807.00734).

    It applies any game's loss of D, L(real, fake), to logits relative to the mean logit of the other side,
    D̃(x) = D(x) - E D(G(z)) and D̃(G(z)) = D(G(z)) - E D(x):

    D: L(D̃(x), D̃(G(z))). G: L(D̃(G(z)), D̃(x)), the same with the sides swapped.

    Args:
        game: the game whose loss of D is L; its loss of G is not used. `NonSaturating` is the paper's RaSGAN, `Hinge`
            is RaHingeGAN, and `LeastSquares` with fake_label -1 and real_label 1 is RaLSGAN (with discriminator_scale 1
            in the paper). None = `NonSaturating`.

    Means are over all logits of the batch (of a part of it, with several processes or `accumulate`), and the gradient
    flows through them.

    NOTE: the authors' code halves both players' losses. Here they are not halved, as in the paper; Adam makes the same
        steps for both.
    """

    def __init__(self, game: AdversarialLoss | None = None) -> None:
        self.game = game or NonSaturating()

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """L(D̃(x), D̃(G(z)))."""
        return self.game.discriminator(real_logits - fake_logits.mean(), fake_logits - real_logits.mean())

    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """L(D̃(G(z)), D̃(x))."""
        return self.discriminator(fake_logits, real_logits())


class RelativisticPairing(AdversarialLoss):
    """Relativistic pairing GAN (Jolicoeur-Martineau, 2018, arXiv 1807.00734), as used by R3GAN.

    Huang, Gokaslan, Kuleshov, Tompkin, "The GAN is dead; long live the GAN! A Modern GAN Baseline", 2025,
    arXiv 2501.05441, section 2. Each real image is compared with one fake, so that both numbers must be equal.

    D: E ζ(-(D(x) - D(G(z)))). G: E ζ(-(D(G(z)) - D(x))).
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """E ζ(D(G(z)) - D(x))."""
        return F.softplus(fake_logits - real_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """E ζ(D(x) - D(G(z)))."""
        return self.discriminator(fake_logits, real_logits())
