"""The fully connected networks of BiGAN for MNIST: generator, encoder, and the discriminator of pairs.

Donahue, Krähenbühl, Darrell, "Adversarial Feature Learning", 2016, arXiv 1605.09782, section 4.2, as in the authors'
code: no network has a bias, and batch norm has neither gains nor biases. Internally, pixels are in [0, 1].
"""

import math

from torch import Tensor, nn

from gan_lightning.layers import check_images, check_latent, init_normal
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)


class BiGANGenerator(Generator):
    """Two hidden layers with batch norm and ReLU, of which the second also sees z; then a sigmoid.

    The defaults have 1,953,792 parameters.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels.
        channels: channels of an image.
        hidden: units of each hidden layer.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 50,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        hidden: PositiveInt = 1024,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = (channels, image_size, image_size)
        self.first = nn.Sequential(_linear(latent_dim, hidden), nn.BatchNorm1d(hidden, affine=False), nn.ReLU())
        self.second, self.skip = _linear(hidden, hidden), _linear(latent_dim, hidden)
        self.last = nn.Sequential(
            nn.BatchNorm1d(hidden, affine=False), nn.ReLU(), _linear(hidden, math.prod(self.image_shape))
        )
        init_normal(self)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (N, latent_dim) to images (N, C, S, S) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        pixels = self.last(self.second(self.first(z)) + self.skip(z)).sigmoid()
        return (2 * pixels - 1).unflatten(1, self.image_shape)


class BiGANEncoder(Network):
    """Two hidden layers with LeakyReLU 0.2, the second with batch norm; then tanh, the range of z.

    The defaults have 1,902,592 parameters.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels.
        channels: channels of an image.
        hidden: units of each hidden layer.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 50,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        hidden: PositiveInt = 1024,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = (channels, image_size, image_size)
        self.net = nn.Sequential(
            *(_linear(math.prod(self.image_shape), hidden), nn.LeakyReLU(0.2)),
            *(_linear(hidden, hidden), nn.BatchNorm1d(hidden, affine=False), nn.LeakyReLU(0.2)),
            _linear(hidden, latent_dim),
        )
        init_normal(self)

    def unbounded(self, images: Tensor) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to codes before tanh, in which the authors search for neighbours."""
        check_images(images, self.image_shape)
        # a logistic function, scaled to [-1, 1], is tanh of half its argument
        return self.net((images.flatten(1) + 1) / 2) / 2

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to codes (N, latent_dim) in [-1, 1]."""
        return self.unbounded(images).tanh()


class JointDiscriminator(Discriminator):
    """D(x, z): two hidden layers with LeakyReLU 0.2, of which the second, with batch norm, also sees z; one logit.

    The defaults have 1,903,616 parameters.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels.
        channels: channels of an image.
        hidden: units of each hidden layer.
        norm: batch norm, as the paper's. False = none, for losses with a gradient penalty, which batch norm spoils.
        head: makes a module from features to a logit. None = linear, without a bias.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 50,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        hidden: PositiveInt = 1024,
        norm: bool = True,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = (channels, image_size, image_size)
        self.first = nn.Sequential(_linear(math.prod(self.image_shape), hidden), nn.LeakyReLU(0.2))
        self.second, self.of_code = _linear(hidden, hidden), _linear(latent_dim, hidden)
        norms = [nn.BatchNorm1d(hidden, affine=False)] if norm else []
        self.last = nn.Sequential(*norms, nn.LeakyReLU(0.2))
        self.num_features = hidden
        self.head = _linear(hidden, 1) if head is None else head(hidden)
        init_normal(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] and codes z (N, latent_dim), given as `labels`, to features (N, F)."""
        check_images(images, self.image_shape)
        if labels is None:
            raise ValueError("a joint discriminator judges pairs of image and code, and was given no code")
        check_latent(labels, self.latent_dim)
        return self.last(self.second(self.first((images.flatten(1) + 1) / 2)) + self.of_code(labels))
