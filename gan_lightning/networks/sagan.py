"""The networks of SAGAN: SN-GAN's residual networks with self-attention, and spectral norm in both.

Zhang, Goodfellow, Metaxas, Odena, "Self-Attention Generative Adversarial Networks", 2018, arXiv 1805.08318, in the form
of the authors' code for 128×128. The widths for other sizes are those of BigGAN's code.
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from gan_lightning.layers import ConditionalBatchNorm2d, ImageSize, check_labels, check_no_labels
from gan_lightning.networks.attentive import AttentiveDiscriminator, AttentiveGenerator
from gan_lightning.networks.discriminator import HeadFactory
from gan_lightning.ranges import NonNegativeInt, PositiveInt


class SAGANGenerator(AttentiveGenerator):
    """Residual blocks with class-conditional batch norm, attention at 32×32, and spectral norm in every layer.

    With 1000 classes, the defaults have 42,078,852 parameters.

    NOTE: batch norm's running averages keep 0.9 at each step, as torch's do; the authors' code has 0.999.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels: one number, or a pair. The shorter side is from 16 to 1023,
            and both can be halved until it is 4 to 7.
        channels: channels of an image.
        width: channels of the last block for 128×128; those of the others are multiples.
        num_classes: number of classes to condition on, by gains and biases of the blocks' norms; 0 = none.
        attention: heights of the maps with attention, in pixels.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 128,
        image_size: ImageSize = 128,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
        num_classes: NonNegativeInt = 0,
        attention: Sequence[PositiveInt] = (32,),
    ) -> None:
        norm = partial(ConditionalBatchNorm2d, num_classes=num_classes) if num_classes else nn.BatchNorm2d
        super().__init__(latent_dim, image_size, channels, width, norm, attention, init="xavier", eps=1e-12)
        self.latent_dim, self.num_classes = latent_dim, num_classes

    def conditions(self, z: Tensor, labels: Tensor | None) -> tuple[Tensor, Sequence[Sequence[Tensor]]]:
        """Return z, and the labels for each block."""
        if not self.num_classes:
            check_no_labels(labels)
            return z, [[]] * len(self.blocks)
        return z, [[check_labels(labels, self.num_classes)]] * len(self.blocks)


class SAGANDiscriminator(AttentiveDiscriminator):
    """Residual blocks as wide inside as at their ends, attention at 32×32, and a projection on the class.

    With 1000 classes, the defaults have 39,463,618 parameters.

    Args:
        image_size: height and width of an image, in pixels: one number, or a pair; see `SAGANGenerator`.
        channels: channels of an image.
        width: channels of the first block for 128×128; those of the others are multiples.
        num_classes: number of classes to condition on, by projection; 0 = none.
        attention: heights of the maps with attention, in pixels.
        head: makes a module from features to a logit. None = linear, spectrally normalised.
    """

    def __init__(
        self,
        image_size: ImageSize = 128,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
        num_classes: NonNegativeInt = 0,
        attention: Sequence[PositiveInt] = (32,),
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__(image_size, channels, width, num_classes, attention, head, init="xavier", eps=1e-12)
