"""SN-GAN: Spectral Normalization for Generative Adversarial Networks.

Miyato, Kataoka, Koyama, Yoshida, 2018. arXiv 1802.05957.

    L_D = E_x[max(0, 1 - D(x))] + E_z[max(0, 1 + D(G(z)))]                                        (equation 16)
    L_G = -E_z[D(G(z))]                                                                           (equation 17)

Each weight of D is divided by its largest singular value, W / σ(W) (equation 8), so that D is always Lipschitz. σ comes
from one power iteration at each forward pass in training (algorithm 1), in the generator's turn too. Its singular
vectors u and v are constants for the gradient.
"""

from functools import partial
from typing import Any, ClassVar

from torch import nn
from torch.optim import Adam

from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, Hinge
from gan_lightning.networks import ResidualGenerator, SNResidualDiscriminator
from gan_lightning.ranges import PositiveInt
from gan_lightning.training.adversarial import OptimizerFactory


class SNGAN(NoiseToImage):
    """GAN with a spectrally normalised discriminator.

    Args:
        generator: G. None = the paper's ResNet for 32x32 RGB.
        discriminator: D, which contains the spectral norm. None = the paper's ResNet for 32x32 RGB.
        loss: the adversarial loss. None = hinge.
        n_critic: number of discriminator steps for each step of the generator.
        base: the other arguments of `AdversarialModule`.

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
            generator or ResidualGenerator(width=256),
            discriminator or SNResidualDiscriminator(),
            n_critic=n_critic,
            **base,
        )
        self.loss = loss or Hinge()
