"""The networks of InfoGAN for handwritten digits.

Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel, "InfoGAN: Interpretable Representation Learning by Information
Maximizing Generative Adversarial Nets", 2016, arXiv 1606.03657, appendix C.1; details as in the authors' code.

Internally, pixels are in [0, 1] as in the paper: the generator ends in a sigmoid, which is scaled to this library's
[-1, 1], and the discriminator scales its input back.
"""

from torch import Tensor, nn

from gan_lightning.layers import append_labels, check_images, check_latent, init_normal
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import NonNegativeInt, PositiveInt
from gan_lightning.recording import Network

LEAK = 0.01  # of the authors' code; the paper says 0.1


class InfoGANGenerator(Generator):
    """Two linear layers, then two transposed 4×4 convolutions of stride 2; batch norm and ReLU between; a sigmoid.

    The defaults have the paper's 6,652,481 parameters.

    Args:
        latent_dim: length of z, noise and codes together.
        image_size: height and width of an image, in pixels; a multiple of 4.
        channels: channels of an image.
        hidden: units of the first layer.
        width: maps before the last layer; twice as many before the one before it.
        num_classes: number of classes to condition on, by a one-hot vector beside z; 0 = none.
    """

    architecture = "dcgan"

    def __init__(
        self,
        latent_dim: PositiveInt = 74,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        hidden: PositiveInt = 1024,
        width: PositiveInt = 64,
        num_classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        size = _quarter(image_size)
        maps = 2 * width * size**2
        self.net = nn.Sequential(
            *(nn.Linear(latent_dim + num_classes, hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True)),
            *(nn.Linear(hidden, maps), nn.BatchNorm1d(maps), nn.ReLU(inplace=True)),
            nn.Unflatten(1, (2 * width, size, size)),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            *(nn.BatchNorm2d(width), nn.ReLU(inplace=True)),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
        )
        init_normal(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and labels int64 (N,) to images (N, C, S, S) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        return 2 * self.net(append_labels(z, labels, self.num_classes)).sigmoid() - 1


class InfoGANDiscriminator(Discriminator):
    """The generator's mirror with LeakyReLU, normalised except at the image: the trunk of D and Q, and D's head.

    The defaults have the paper's 6,558,144 parameters, and 1,025 more in the head.

    Args:
        image_size: height and width of an image, in pixels; a multiple of 4.
        channels: channels of an image.
        hidden: units of the last layer: the features.
        width: maps after the first layer; twice as many after the second.
        head: makes a module from features to a logit. None = linear.
    """

    def __init__(
        self,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        hidden: PositiveInt = 1024,
        width: PositiveInt = 64,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        self.image_shape = (channels, image_size, image_size)
        self.num_features = hidden
        self.net = nn.Sequential(
            *(nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(LEAK, inplace=True)),
            *(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.BatchNorm2d(2 * width)),
            *(nn.LeakyReLU(LEAK, inplace=True), nn.Flatten()),
            *(nn.Linear(2 * width * _quarter(image_size) ** 2, hidden), nn.BatchNorm1d(hidden)),
            nn.LeakyReLU(LEAK, inplace=True),
        )
        self.head = nn.Linear(hidden, 1) if head is None else head(hidden)
        init_normal(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to the last hidden layer, (N, F); it takes no labels."""
        check_images(images, self.image_shape)
        return self.net(append_labels((images + 1) / 2, labels, 0))


class CodeHead(Network):
    """Q: one hidden layer with batch norm from the discriminator's features to a prediction of the codes.

    Args:
        num_features: number of features of an image.
        num_codes: number of outputs: a logit for each category and a mean for each continuous code.
        hidden: units of the hidden layer.
    """

    def __init__(self, num_features: PositiveInt, num_codes: PositiveInt, hidden: PositiveInt = 128) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Linear(num_features, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(LEAK, inplace=True)),
            nn.Linear(hidden, num_codes),
        )
        init_normal(self)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, F) to (N, num_codes)."""
        return self.net(features)


def _quarter(image_size: int) -> int:
    if image_size < 8 or image_size % 4:
        raise ValueError(f"image_size must be a multiple of 4 from 8 up, not {image_size}: resize the images")
    return image_size // 4
