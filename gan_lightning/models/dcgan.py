"""DCGAN: Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks.

Radford, Metz, Chintala, 2015. arXiv 1511.06434.

The objective is that of GAN, non-saturating for G, in terms of logits D(x) with the softplus ζ(t) = log(1 + e^t):

    L_D = E_x[ζ(-D(x))] + E_z[ζ(D(G(z)))]            L_G = E_z[ζ(-D(G(z)))]

The contribution is the architecture (section 3): strided convolutions for pooling, batch norm in both networks except
at G's output and D's input, no fully connected layers, ReLU in G and leaky ReLU in D; and the training settings
(section 4): Adam with learning rate 0.0002 and β1 = 0.5, weights from N(0, 0.02), batches of 128.
"""

from typing import Any

from torch import nn

from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator


class DCGAN(NoiseToImage):
    """Deep convolutional GAN.

    Args:
        generator: G. None = the paper's for 64x64 RGB.
        discriminator: D, returning logits. None = the paper's for 64x64 RGB.
        loss: the adversarial loss. None = non-saturating.
        base: the arguments of `AdversarialModule`.

    NOTE: kernels of 4 with stride 2 and a standard normal prior, as in the authors' Torch version (the paper's first
        code has kernels of 5 and a uniform prior).
    NOTE: both networks step on every batch; the first code alternates between them.
    """

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        **base: Any,
    ) -> None:
        super().__init__(generator or DCGANGenerator(), discriminator or DCGANDiscriminator(), **base)
        self.loss = loss or NonSaturating()
