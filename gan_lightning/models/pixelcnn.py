"""PixelCNN: Pixel Recurrent Neural Networks.

van den Oord, Kalchbrenner, Kavukcuoglu, 2016. arXiv 1601.06759. Not a GAN, but included for comparison.

The probability of an image x is the product of those of its values, in the order of rows, pixels and colours, each a
choice among its levels given all values before it. The network gives all factors at once, and -log p(x) is minimised:

    p(x) = Π_i p(x_i | x_1, ..., x_{i-1})                                                            (equation 1)
    p(x_{i,R} | x_<i) p(x_{i,G} | x_<i, x_{i,R}) p(x_{i,B} | x_<i, x_{i,R}, x_{i,G})                 (equation 2)

Masks on the convolutions hide the values that come later (section 3.4). Images are drawn value by value.
"""

from functools import partial
from typing import Any, ClassVar

from torch.optim import RMSprop

from gan_lightning.families import Autoregressive
from gan_lightning.networks import PixelCNNNetwork
from gan_lightning.networks.base import AutoregressiveNetwork
from gan_lightning.training.optimizers import OptimizerFactory


class PixelCNN(Autoregressive):
    """PixelCNN with masked convolutions.

    Args:
        generator: gives the distribution of each value, any `AutoregressiveNetwork`. None = the paper's for MNIST, for
            black and white images: 7 residual blocks, h = 32.
        base: the other arguments of `SoloModule`.

    NOTE: the field of masked 3×3 layers has a blind spot, to the right above a pixel, which `GatedPixelCNN` sees too.
    NOTE: the learning rate is this library's; the paper chose one for each data set.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(RMSprop, lr=1e-3)

    def __init__(self, generator: AutoregressiveNetwork | None = None, **base: Any) -> None:
        super().__init__(generator or PixelCNNNetwork(levels=2), **base)
