"""The projection discriminator: cGANs with Projection Discriminator.

Miyato, Koyama, 2018. arXiv 1802.05637.

    D(x, y) = e_yᵀ φ(x) + ψ(φ(x))                                                                 (equation 3)

with features φ(x), a linear ψ and an embedding e_y of the class y, all spectrally normalised. The label enters D
nowhere else, and enters G by the gains and biases of its batch norm. The game is that of SN-GAN, with the hinge loss:

    L_D = E_{x,y}[max(0, 1 - D(x, y))] + E_{z,y}[max(0, 1 + D(G(z, y), y))]
    L_G = -E_{z,y}[D(G(z, y), y)]
"""

from functools import partial
from typing import Any, ClassVar

from torch import nn
from torch.optim import Adam

from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, Hinge
from gan_lightning.networks import ConditionalResidualGenerator, SNResidualDiscriminator
from gan_lightning.ranges import PositiveInt
from gan_lightning.training.adversarial import OptimizerFactory


class ProjectionGAN(NoiseToImage):
    """Conditional GAN whose discriminator projects features on an embedding of the class.

    Args:
        generator: G, called with latents and labels. None = the authors' for 32x32 RGB images of ten classes.
        discriminator: D, called with images and labels, which contains the projection. None = the authors' for 32x32
            RGB images of ten classes.
        loss: the adversarial loss. None = hinge.
        n_critic: number of discriminator steps for each step of the generator.
        base: the other arguments of `AdversarialModule`.

    NOTE: fakes have the classes of the real batch; the authors' code draws them uniformly. For balanced data the
        distribution is the same, with less noise between the two batches.
    NOTE: in the authors' code the generator's turn has twice the batch, and comes first of the six; here all batches
        are equal, and it comes last.
    NOTE: the authors' code adds noise of one grey level to real images; here they are not changed.
    """

    redraws: ClassVar[bool] = True
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2e-4, betas=(0.0, 0.9))

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        n_critic: PositiveInt = 5,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or ConditionalResidualGenerator(num_classes=10),
            discriminator or SNResidualDiscriminator(num_classes=10),
            n_critic=n_critic,
            **base,
        )
        if not self.num_classes:
            raise ValueError(
                "ProjectionGAN needs networks that take labels: give both the data's number of classes as num_classes"
            )
        self.loss = loss or Hinge()
