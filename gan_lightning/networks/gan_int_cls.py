"""The networks of GAN-INT-CLS: DCGAN's with residual bottlenecks, and captions projected to few numbers.

Reed, Akata, Yan, Logeswaran, Schiele, Lee, "Generative Adversarial Text to Image Synthesis", 2016, arXiv 1605.05396,
and the authors' code (main_cls_int.lua).

NOTE: the authors' code sets the biases of all convolutions to zero before each step; here they have none.
NOTE: their discriminator has no LeakyReLU behind the last but one convolution of images; here each has one.
NOTE: for images of another size than 64x64 there are fewer or more layers, as in `DCGANGenerator`.
"""

import itertools
from collections.abc import Callable

from torch import Tensor, cat, nn

from gan_lightning.layers import check_images, check_latent, halvings, init_normal
from gan_lightning.layers.doubling import Upsampling, doubling
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator
from gan_lightning.ranges import PositiveInt

Activation = Callable[[], nn.Module]


def relu() -> nn.Module:
    """Return a rectifier."""
    return nn.ReLU(inplace=True)


def leaky() -> nn.Module:
    """Return a leaky rectifier of slope 0.2."""
    return nn.LeakyReLU(0.2, inplace=True)


class Bottleneck(nn.Module):
    """x + f(x), then the activation: f is a 1×1 convolution to `inner` channels and two 3×3 ones, with batch norm."""

    def __init__(self, channels: int, inner: int, activation: Activation) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            *(nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner), activation()),
            *(nn.Conv2d(inner, inner, 3, padding=1, bias=False), nn.BatchNorm2d(inner), activation()),
            *(nn.Conv2d(inner, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)),
        )
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return self.activation(x + self.inner(x))


def widths_of(image_size: int, width: int, most: int = 8) -> list[int]:
    """Return the channels at half the image's size, a quarter, ... down to 4×4: doubled each time, up to a multiple."""
    return [width * min(2**level, most) for level in range(halvings(image_size, smallest=4))]


class GANINTCLSGenerator(Generator):
    """z and a projected caption through transposed convolutions, with a residual bottleneck at 4×4 and at 8×8.

    Args:
        latent_dim: length of z.
        text_dim: components of a caption's embedding.
        image_size: height and width of an image, in pixels; a power of two from 16 up.
        channels: channels of an image.
        width: channels before the last layer; doubled at each smaller size, up to 8 times this.
        projection: components that the caption is projected to, by a linear layer and LeakyReLU 0.2.
        upsampling: method to double height and width; see `DCGANGenerator`.
    """

    architecture = "dcgan"

    def __init__(
        self,
        latent_dim: PositiveInt = 100,
        text_dim: PositiveInt = 1024,
        image_size: PositiveInt = 64,
        channels: PositiveInt = 3,
        width: PositiveInt = 128,
        projection: PositiveInt = 128,
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        self.latent_dim, self.text_dim = latent_dim, text_dim
        self.project = nn.Sequential(nn.Linear(text_dim, projection), leaky())
        widths = widths_of(image_size, width)[::-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim + projection, widths[0], 4, bias=False)]
        for place, (inputs, outputs) in enumerate(itertools.pairwise([*widths, channels])):
            layers.append(nn.BatchNorm2d(inputs))
            layers.append(Bottleneck(inputs, max(1, inputs // 4), relu) if place < 2 else relu())
            layers += doubling(inputs, outputs, upsampling)
        self.net = nn.Sequential(*layers, nn.Tanh())
        init_normal(self)

    def forward(self, z: Tensor, text: Tensor) -> Tensor:
        """Map z (N, latent_dim) and embeddings (N, text_dim) to images (N, C, S, S) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        return self.net(cat([z, self.project(text)], dim=1)[:, :, None, None])


class TextDiscriminator(Discriminator):
    """D(x, t): a projected caption joins the 4×4 maps of an image; a 1×1 and a 4×4 convolution give the logit.

    Args:
        trunk: maps images to maps (N, features, 4, 4).
        image_shape: (C, S, S).
        features: channels of these maps.
        text_dim: components of a caption's embedding.
        project: maps embeddings to `projection` numbers.
        projection: see `project`.
    """

    def __init__(
        self,
        trunk: nn.Module,
        image_shape: tuple[int, int, int],
        features: int,
        text_dim: int,
        project: nn.Module,
        projection: int,
    ) -> None:
        super().__init__()
        self.text_dim, self.image_shape, self.num_features = text_dim, image_shape, features * 16
        self.trunk, self.project = trunk, project
        self.head = nn.Sequential(
            *(nn.Conv2d(features + projection, features, 1, bias=False), nn.BatchNorm2d(features), leaky()),
            nn.Conv2d(features, 1, 4, bias=False),
        )
        init_normal(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to their last maps, (N, F); captions are not used."""
        check_images(images, self.image_shape)
        return self.trunk(images).flatten(1)

    def judge(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map features (N, F), and embeddings of captions (N, text_dim), to logits (N,)."""
        if labels is None:
            raise ValueError("this discriminator needs the embedding of a caption for each image: give (N, text_dim)")
        maps = features.unflatten(1, (-1, 4, 4))
        text = self.project(labels)[:, :, None, None].expand(-1, -1, 4, 4)
        return self.head(cat([maps, text], dim=1)).flatten()


class GANINTCLSDiscriminator(TextDiscriminator):
    """Strided convolutions to 4×4, a residual bottleneck, and the caption, projected with batch norm.

    Args:
        text_dim: components of a caption's embedding.
        image_size: height and width of an image, in pixels; a power of two from 16 up.
        channels: channels of an image.
        width: channels after the first layer; doubled at each smaller size, up to 8 times this.
        projection: components that the caption is projected to, by a linear layer, batch norm and LeakyReLU 0.2.
    """

    def __init__(
        self,
        text_dim: PositiveInt = 1024,
        image_size: PositiveInt = 64,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
        projection: PositiveInt = 128,
    ) -> None:
        widths = widths_of(image_size, width)
        project = nn.Sequential(nn.Linear(text_dim, projection), nn.BatchNorm1d(projection), leaky())
        trunk = nn.Sequential(*strided(channels, widths), Bottleneck(widths[-1], max(1, widths[-1] // 4), leaky))
        super().__init__(trunk, (channels, image_size, image_size), widths[-1], text_dim, project, projection)


def strided(channels: int, widths: list[int]) -> list[nn.Module]:
    """Return 4×4 convolutions of stride 2, with batch norm but at the image, and LeakyReLU but at the end."""
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, stride=2, padding=1, bias=False)]
    for inputs, outputs in itertools.pairwise(widths):
        layers += [leaky(), nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs)]
    return layers
