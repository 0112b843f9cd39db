"""LSGAN: Least Squares Generative Adversarial Networks.

Mao, Li, Xie, Lau, Wang, Smolley, 2016. arXiv 1611.04076.

D's output D(x) is used without a sigmoid, and pulled to a label b for real and a for fake images; G pulls it to c
(equation 2):

    L_D = ½ E_x[(D(x) - b)²] + ½ E_z[(D(G(z)) - a)²]            L_G = ½ E_z[(D(G(z)) - c)²]

An image that D takes for real, but far from its label, still has a loss: the gradient does not vanish as with a
sigmoid. The labels are the loss's arguments: a = 0, b = c = 1 (equation 9), or a = -1, b = 1, c = 0 (equation 8), which
minimises the Pearson χ² divergence between p + q and 2q, of data p and fakes q.
"""

from functools import partial
from typing import Any, ClassVar

from torch import nn
from torch.optim import Adam

from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, LeastSquares
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from gan_lightning.training.adversarial import OptimizerFactory


class LSGAN(NoiseToImage):
    """Least squares GAN.

    Args:
        generator: G. None = DCGAN's for 64x64 RGB.
        discriminator: D, returning a number without bounds. None = DCGAN's for 64x64 RGB.
        loss: the adversarial loss. None = least squares with a = 0, b = c = 1.
        base: the arguments of `AdversarialModule`.

    NOTE: the paper's networks are for 112x112 scenes, with a 1024-dimensional uniform prior. The defaults here are
        DCGAN's, with which the paper compares, with their normal prior.
    NOTE: means over the batch; the authors' code has sums, for which Adam makes the same steps.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-3, betas=(0.5, 0.999))

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        **base: Any,
    ) -> None:
        super().__init__(generator or DCGANGenerator(), discriminator or DCGANDiscriminator(), **base)
        self.loss = loss or LeastSquares()
