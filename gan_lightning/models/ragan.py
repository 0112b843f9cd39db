"""RaGAN: The relativistic discriminator: a key element missing from standard GAN.

Jolicoeur-Martineau, 2018. arXiv 1807.00734.

D no longer predicts whether an image is real, but how much more real it is than images of the other kind are on
average, with the softplus ζ(t) = log(1 + e^t):

    D̃(x) = D(x) - E_z[D(G(z))]                        D̃(G(z)) = D(G(z)) - E_x[D(x)]
    L_D = E_x[ζ(-D̃(x))] + E_z[ζ(D̃(G(z)))]            L_G = E_z[ζ(-D̃(G(z)))] + E_x[ζ(D̃(x))]

G lowers D's logits of real images while it raises D's logits of fakes, through the means.
"""

from typing import Any, ClassVar

from torch import nn

from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, RelativisticAverage
from gan_lightning.networks import DCGANGenerator, SNDCGANDiscriminator


class RaGAN(NoiseToImage):
    """Relativistic average GAN.

    Args:
        generator: G. None = DCGAN's for 32x32 RGB.
        discriminator: D, returning logits. None = SN-GAN's convolutions for 32x32 RGB, as in the paper.
        loss: the adversarial loss. None = `RelativisticAverage` of the standard GAN's; give it `LeastSquares` or
            `Hinge` for the paper's other two.
        base: the arguments of `AdversarialModule`.

    NOTE: the paper's generator differs from DCGAN's in its first layer, linear, and its last, a 3x3 convolution.
    NOTE: G's turn uses the batch's real images again, with D after its step; the authors' code draws others.
    """

    redraws: ClassVar[bool] = True

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or DCGANGenerator(latent_dim=128, image_size=32), discriminator or SNDCGANDiscriminator(), **base
        )
        self.loss = loss or RelativisticAverage()
