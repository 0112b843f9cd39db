"""PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other Modifications.

Salimans, Karpathy, Chen, Kingma, 2017. arXiv 1701.05517. Not a GAN, but included for comparison.

As in the PixelCNN, p(x) = Π_i p(x_i | x_<i), over whole pixels. A colour's value is a rounded draw from a mixture of
logistic distributions in place of a choice among 256 levels; red moves the means of green, and both those of blue:

    ν ~ Σ_i π_i logistic(μ_i, s_i)                                                                   (equation 1)
    P(x | π, μ, s) = Σ_i π_i [σ((x + 0.5 - μ_i) / s_i) - σ((x - 0.5 - μ_i) / s_i)]                   (equation 2)
    μ_g(C, r) = μ_g(C) + α(C) r,   μ_b(C, r, g) = μ_b(C) + β(C) r + γ(C) g                           (equation 3)
"""

from functools import partial
from typing import Any, ClassVar

from torch.optim import Adam

from gan_lightning.families import Autoregressive
from gan_lightning.networks import PixelCNNPlusPlusNetwork
from gan_lightning.networks.base import AutoregressiveNetwork
from gan_lightning.training.optimizers import OptimizerFactory


class PixelCNNPlusPlus(Autoregressive):
    """PixelCNN++, with labels, if its network has classes.

    Args:
        generator: gives the distribution of each pixel, any `AutoregressiveNetwork`. None = the paper's for CIFAR-10.
        base: the other arguments of `SoloModule`.

    NOTE: the authors' rate decays by 0.999995 a step from 1e-3; here it is constant unless a schedule is given.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-3, betas=(0.95, 0.9995))

    def __init__(self, generator: AutoregressiveNetwork | None = None, **base: Any) -> None:
        super().__init__(generator or PixelCNNPlusPlusNetwork(), **base)
