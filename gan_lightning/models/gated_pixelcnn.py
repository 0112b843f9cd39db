"""Gated PixelCNN: Conditional Image Generation with PixelCNN Decoders.

van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu, 2016. arXiv 1606.05328. Not a GAN, but included for
comparison.

As in the PixelCNN, p(x) = Π_i p(x_i | x_<i) (equation 1), of all values at once by masked convolutions. Two stacks of
layers replace one: a vertical stack, which sees all rows above, and a horizontal one, which sees the row so far and the
vertical stack; together they see all pixels before. Rectifiers give way to gates, and a description h (here a class)
enters each of them:

    y = tanh(W_f * x + V_f^T h) ⊙ σ(W_g * x + V_g^T h)                                         (equations 2 and 4)
"""

from functools import partial
from typing import Any, ClassVar

from torch.optim import Adam

from gan_lightning.families import Autoregressive
from gan_lightning.networks import GatedPixelCNNNetwork
from gan_lightning.networks.base import AutoregressiveNetwork
from gan_lightning.training.optimizers import OptimizerFactory


class GatedPixelCNN(Autoregressive):
    """PixelCNN with gates and two stacks; with labels, if its network has classes.

    Args:
        generator: gives the distribution of each value, any `AutoregressiveNetwork`. None = one for black and white
            MNIST: 10 layers of 128 maps, 32 before the logits.
        base: the other arguments of `SoloModule`.

    NOTE: the paper has no MNIST. The network and the optimizer are those with which others come to 81.5 nats on it.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-3)

    def __init__(self, generator: AutoregressiveNetwork | None = None, **base: Any) -> None:
        super().__init__(generator or GatedPixelCNNNetwork(levels=2, width=128, layers=10, hidden=32), **base)
