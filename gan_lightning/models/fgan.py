"""f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization.

Nowozin, Cseke, Tomioka, 2016. arXiv 1606.00709.

D(x), with unbounded values, and a divergence's output activation g_f and conjugate f* give a lower bound of that
divergence D_f of data and fakes (equations 4 to 7):

    F = E_x[g_f(D(x))] - E_z[f*(g_f(D(G(z))))] <= D_f            L_D = -F            L_G = -E_z[g_f(D(G(z)))]

L_G is the alternative of section 3.2, which the paper found useful; L_G = F is that of its algorithm 1. The loss
chooses the divergence: Kullback-Leibler in both directions, Pearson and Neyman χ², squared Hellinger, Jensen-Shannon,
that of the first GAN, total variation.
"""

from typing import Any

from torch import nn

from gan_lightning.families import NoiseToImage
from gan_lightning.losses import KL, AdversarialLoss, AlternativeUpdate
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator


class FGAN(NoiseToImage):
    """GAN that minimises a chosen f-divergence.

    Args:
        generator: G. None = DCGAN's for 64x64 RGB, which the paper trains on scenes.
        discriminator: D, the variational function before its activation. None = DCGAN's for 64x64 RGB.
        loss: the divergence (any `FDivergence`: algorithm 1), or the `AlternativeUpdate` of one. None = the
            `AlternativeUpdate` of Kullback-Leibler.
        base: the arguments of `AdversarialModule`.

    Logged: minus `loss/discriminator/adversarial` is the lower bound of the divergence.

    NOTE: the players step in turn; algorithm 1 steps both along the gradients at the same point.
    NOTE: the paper clips no gradients, and neither do the defaults. Training with few but large steps needs clipping
        (`generator_clip_norm`, `discriminator_clip_norm`), since divergences with exponentials give single samples
        extreme weights.
    NOTE: the defaults are the paper's networks for scenes; those for MNIST are fully connected.
    """

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        **base: Any,
    ) -> None:
        super().__init__(generator or DCGANGenerator(), discriminator or DCGANDiscriminator(), **base)
        self.loss = loss or AlternativeUpdate(KL())
