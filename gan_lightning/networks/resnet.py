"""The residual networks of WGAN-GP for noise-to-image GANs.

Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved Training of Wasserstein GANs", 2017, arXiv 1704.00028, as in
the authors' CIFAR-10 script; sizes other than 32×32 add or leave out blocks of the same width.

NOTE: labels, if there are any, enter by concatenation at the input; the authors' conditional script uses conditional
batch norm and a classifying head instead.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import (
    ResidualDownBlock,
    ResidualUpBlock,
    append_labels,
    check_images,
    check_latent,
    halvings,
    init_glorot,
)
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import NonNegativeInt, PositiveInt


class ResidualGenerator(Generator):
    """A linear layer to 4×4, residual blocks that double height and width, and a last convolution with tanh.

    The defaults have WGAN-GP's 1,204,483 parameters; with width 256 this is SN-GAN's generator (4,276,739).

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: channels of every block.
        num_classes: number of classes to condition on, by a one-hot vector beside z; 0 = none.
    """

    architecture = "residual"

    def __init__(
        self,
        latent_dim: PositiveInt = 128,
        image_size: PositiveInt = 32,
        channels: PositiveInt = 3,
        width: PositiveInt = 128,
        num_classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.input = nn.Linear(latent_dim + num_classes, width * 4 * 4)
        self.blocks = nn.Sequential(*(ResidualUpBlock(width, width) for _ in range(halvings(image_size, smallest=4))))
        self.norm = nn.BatchNorm2d(width)
        self.output = nn.Conv2d(width, channels, 3, padding=1)
        init_glorot(self.input)
        init_glorot(self.output)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and labels int64 (N,) to images (N, C, S, S) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        x = self.input(append_labels(z, labels, self.num_classes)).unflatten(1, (-1, 4, 4))  # (N, width, 4, 4)
        x = self.blocks(x)  # (N, width, S, S)
        return self.output(F.relu(self.norm(x))).tanh()


class ResidualDiscriminator(Discriminator):
    """Residual blocks that halve down to 8×8, two more at that size, the mean over positions, and a linear layer.

    Nothing is normalised, as a gradient penalty requires. The defaults have WGAN-GP's 1,053,825 parameters.

    Args:
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: channels of every block.
        num_classes: number of classes to condition on, by one-hot maps beside the image's channels; 0 = none.
        head: makes a module from features to a logit. None = linear.
    """

    def __init__(
        self,
        image_size: PositiveInt = 32,
        channels: PositiveInt = 3,
        width: PositiveInt = 128,
        num_classes: NonNegativeInt = 0,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.image_shape = (channels, image_size, image_size)
        self.blocks = nn.Sequential(
            ResidualDownBlock(channels + num_classes, width, downsample=True, first=True),
            *(ResidualDownBlock(width, width, downsample=True) for _ in range(halvings(image_size, smallest=8) - 1)),
            ResidualDownBlock(width, width, downsample=False),
            ResidualDownBlock(width, width, downsample=False),
        )
        self.num_features = width
        if head is None:
            self.head = nn.Linear(width, 1)
            init_glorot(self.head)
        else:
            self.head = head(width)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] and labels int64 (N,) to means over positions, (N, width)."""
        check_images(images, self.image_shape)
        x = self.blocks(append_labels(images, labels, self.num_classes))  # (N, width, 8, 8)
        return F.relu(x).mean(dim=(2, 3))
