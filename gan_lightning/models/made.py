"""MADE: Masked Autoencoder for Distribution Estimation.

Germain, Gregor, Murray, Larochelle, 2015. arXiv 1502.03509. Not a GAN, but included for comparison.

An autoencoder of fully connected layers, whose masks leave no path from value d, or a later one, to the outputs for
value d. These are therefore conditionals, and the reconstruction loss (equation 3) is -log p(x):

    p(x) = Π_d p(x_d | x_<d)                                                                        (equation 4)
    M^W_{k,d} = 1 if m(k) >= d, M^V_{d,k} = 1 if d > m(k)                                           (equations 8 and 9)
"""

from functools import partial
from typing import Any, ClassVar

from torch.optim import Adagrad

from gan_lightning.families import Autoregressive
from gan_lightning.networks import MADENetwork
from gan_lightning.networks.base import AutoregressiveNetwork
from gan_lightning.training.optimizers import OptimizerFactory


class MADE(Autoregressive):
    """MADE with one order of the values and one set of masks.

    Args:
        generator: gives the distribution of each value, any `AutoregressiveNetwork`. None = the paper's for binarised
            MNIST: two hidden layers of 8,000 units.
        base: the other arguments of `SoloModule`.

    NOTE: the paper trains over several orders and masks, whose mean it also evaluates, and starts from orthogonal
        weights; here there are one order and PyTorch's initial weights.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adagrad, lr=1e-2, eps=1e-6)

    def __init__(self, generator: AutoregressiveNetwork | None = None, **base: Any) -> None:
        super().__init__(generator or MADENetwork(hidden=(8000, 8000)), **base)
