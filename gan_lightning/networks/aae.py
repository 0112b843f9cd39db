"""The fully connected networks of the adversarial autoencoder for MNIST: encoder, decoder, discriminator of codes.

Makhzani, Shlens, Jaitly, Goodfellow, Frey, "Adversarial Autoencoders", 2015, arXiv 1511.05644, appendix A: two hidden
layers of 1,000 rectifiers in each, weights from N(0, 0.01). Internally, pixels are in [0, 1].

NOTE: the appendix was not at hand; its numbers are those that are commonly quoted.
"""

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from gan_lightning.layers import check_images, check_latent, init_normal
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network

STD = 0.01


def _hidden(inputs: int, hidden: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, units in itertools.pairwise([inputs, *hidden]):
        layers += [nn.Linear(before, units), nn.ReLU(inplace=True)]
    return layers


class AAEEncoder(Network):
    """Linear layers with ReLU between them, from pixels to a code.

    Args:
        latent_dim: length of a code. With classes, it includes their one-hot vector, as the decoder's z does.
        image_size: height and width of an image, in pixels.
        channels: channels of an image.
        hidden: units of each hidden layer, first to last.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 8,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        hidden: Sequence[PositiveInt] = (1000, 1000),
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = (channels, image_size, image_size)
        inputs = math.prod(self.image_shape)
        self.net = nn.Sequential(*_hidden(inputs, hidden), nn.Linear([inputs, *hidden][-1], latent_dim))
        init_normal(self, STD)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to codes (N, latent_dim)."""
        check_images(images, self.image_shape)
        return self.net((images.flatten(1) + 1) / 2)


class AAEDecoder(Generator):
    """Linear layers with ReLU between them, then a sigmoid.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels.
        channels: channels of an image.
        hidden: units of each hidden layer, first to last.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 8,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        hidden: Sequence[PositiveInt] = (1000, 1000),
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = (channels, image_size, image_size)
        outputs = math.prod(self.image_shape)
        self.net = nn.Sequential(*_hidden(latent_dim, hidden), nn.Linear([latent_dim, *hidden][-1], outputs))
        init_normal(self, STD)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (N, latent_dim) to images (N, C, S, S) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        return (2 * self.net(z).sigmoid() - 1).unflatten(1, self.image_shape)


class CodeDiscriminator(Discriminator):
    """Linear layers with ReLU between them, from a code to a logit.

    Args:
        latent_dim: length of a code.
        hidden: units of each hidden layer, first to last.
        head: makes a module from features to a logit. None = linear.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 8,
        hidden: Sequence[PositiveInt] = (1000, 1000),
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.net = nn.Sequential(*_hidden(latent_dim, hidden))
        self.num_features = [latent_dim, *hidden][-1]
        self.head = nn.Linear(self.num_features, 1) if head is None else head(self.num_features)
        init_normal(self, STD)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map codes (N, latent_dim), given as `images`, to features (N, F)."""
        check_latent(images, self.latent_dim)
        return self.net(images)
