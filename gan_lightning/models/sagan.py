"""SAGAN: Self-Attention Generative Adversarial Networks.

Zhang, Goodfellow, Metaxas, Odena, 2018. arXiv 1805.08318.

    L_D = E_{x,y}[max(0, 1 - D(x, y))] + E_{z,y}[max(0, 1 + D(G(z, y), y))]
    L_G = -E_{z,y}[D(G(z, y), y)]                                                                 (equation 4)

In both networks, each position of a map attends to all others of it:

    β_j,i = softmax_i(f(x_i)ᵀ g(x_j)),   o_j = v(sum_i β_j,i h(x_i)),   y_j = γ o_j + x_j       (equations 1 to 3)

γ is learnt and starts at 0, so that the networks first use what is near. Both networks are spectrally normalised, and D
learns four times as fast as G (two time-scales: TTUR), one step for one. The class enters D by projection, and G by the
gains and biases of its batch norm.
"""

from functools import partial
from typing import Any, ClassVar

from torch import nn
from torch.optim import Adam

from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, Hinge
from gan_lightning.networks import SAGANDiscriminator, SAGANGenerator
from gan_lightning.training.adversarial import OptimizerFactory

IMAGENET = 1000  # classes


class SAGAN(NoiseToImage):
    """GAN with self-attention and spectral norm in both players.

    Args:
        generator: G, called with latents, and with labels if it has classes. None = the paper's for 128x128 RGB images
            of 1000 classes.
        discriminator: D, called with images, and with labels if it has classes, which contains the projection. None =
            the paper's for 128x128 RGB images of 1000 classes.
        loss: the adversarial loss. None = hinge.
        generator_optimizer: see `AdversarialModule`. None = Adam with a rate of 1e-4 and β = (0, 0.9).
        discriminator_optimizer: see `AdversarialModule`. None = Adam with a rate of 4e-4 and β = (0, 0.9).
        base: the other arguments of `AdversarialModule`.

    NOTE: fakes have the classes of the real batch; the authors' code draws them uniformly.
    NOTE: the authors' code leaves Adam's β2 at 0.999, against the paper.
    """

    redraws: ClassVar[bool] = True

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        generator_optimizer: OptimizerFactory | None = None,
        discriminator_optimizer: OptimizerFactory | None = None,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or SAGANGenerator(num_classes=IMAGENET),
            discriminator or SAGANDiscriminator(num_classes=IMAGENET),
            generator_optimizer=generator_optimizer or partial(Adam, lr=1e-4, betas=(0.0, 0.9)),
            discriminator_optimizer=discriminator_optimizer or partial(Adam, lr=4e-4, betas=(0.0, 0.9)),
            **base,
        )
        self.loss = loss or Hinge()
