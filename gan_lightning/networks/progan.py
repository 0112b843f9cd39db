"""The networks of ProGAN: Karras, Aila, Laine, Lehtinen, 2017, arXiv 1710.10196, table 2.

All layers have an equalised learning rate, and LeakyReLU has the slope 0.2. Maps of a height of 4 · 2^i pixels have
min(width, capacity / 2^(i + 1)) channels.

NOTE: the one-hot vector of a class is appended to z after the norm of z; in the authors' code it is before.
NOTE: a discriminator's second convolution at a size is followed by the mean of 2x2 pixels and then by its bias and
    LeakyReLU, as in the authors' code; table 2 has the two the other way round.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import (
    EqualisedConv2d,
    EqualisedLinear,
    ImageSize,
    MinibatchStdDev,
    append_labels,
    check_images,
    check_latent,
    check_no_labels,
    pixel_norm,
    pyramid,
)
from gan_lightning.layers.fading import enlarged, faded, shrunk
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.networks.growing import Growing
from gan_lightning.ranges import NonNegativeInt, PositiveInt

HE = math.sqrt(2)
"""The gain of a layer in front of a LeakyReLU."""


def widths(levels: int, width: int, capacity: int) -> list[int]:
    """Return the channels of the maps of each level, the smallest maps first."""
    return [max(1, min(width, capacity >> (level + 1))) for level in range(levels)]


def grown(network: Growing, x: Tensor, block: Callable[[int, Tensor], Tensor], to_image: nn.ModuleList) -> Tensor:
    """Make images of a growing generator's final size (N, channels, H, W) from the maps x of its level 0.

    Args:
        network: the generator, which states its level and alpha.
        x: (N, C, h, w).
        block: makes the maps of a level, given its number, from those of the level before.
        to_image: a layer for each level, from maps to images.
    """
    before = x
    for level in range(1, network.level + 1):
        before, x = x, block(level, x)
    image = to_image[network.level](x)
    if network.alpha < 1:
        image = faded(enlarged(to_image[network.level - 1](before)), image, network.alpha)
    return enlarged(image, 2**network.behind)


class ProGANGenerator(Growing, Generator):
    """A linear layer, and two 3x3 convolutions a size; pixel norm after each LeakyReLU; sizes double by nearest pixels.

    The defaults have 23,079,115 parameters. Images may exceed [-1, 1], since nothing limits them.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels: one number for both, or a pair. Both can be halved until
            the shorter side has 4 to 7 pixels, and growing begins there or later.
        channels: channels of an image.
        width: most channels of a layer.
        capacity: twice the channels of the maps of level 0, were they not limited by `width`; they halve at each level.
        num_classes: number of classes, whose one-hot vector is appended to z; 0 = none.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 512,
        image_size: ImageSize = 1024,
        channels: PositiveInt = 3,
        width: PositiveInt = 512,
        capacity: PositiveInt = 8192,
        num_classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__(pyramid(image_size))
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.widths = of = widths(len(self.sizes), width, capacity)
        pixels = math.prod(self.sizes[0])
        # the gain of a convolution with a kernel of the first maps' size, as in the authors' code
        self.start = EqualisedLinear(latent_dim + num_classes, of[0] * pixels, HE / math.sqrt(pixels), bias=False)
        self.start_bias = nn.Parameter(torch.zeros(of[0], 1, 1))
        self.convs = nn.ModuleList([EqualisedConv2d(of[0], of[0], 3, HE)])  # of level 0, then two of each level
        for level in range(1, len(self.sizes)):
            self.convs.append(EqualisedConv2d(of[level - 1], of[level], 3, HE))
            self.convs.append(EqualisedConv2d(of[level], of[level], 3, HE))
        self.to_image = nn.ModuleList(EqualisedConv2d(n, channels, 1) for n in of)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim), and labels int64 (N,) if there are classes, to images (N, C, H, W)."""
        check_latent(z, self.latent_dim)
        z = append_labels(pixel_norm(z), labels, self.num_classes)
        x = self.start(z).unflatten(1, (-1, *self.sizes[0]))
        x = _activated(x + self.start_bias.to(x.dtype))
        return grown(self, _activated(self.convs[0](x)), self._block, self.to_image)

    def _block(self, level: int, x: Tensor) -> Tensor:
        x = _activated(self.convs[2 * level - 1](enlarged(x)))
        return _activated(self.convs[2 * level](x))


class ProGANDiscriminator(Growing, Discriminator):
    """The mirror image of the generator, without norms; the standard deviation over groups of images enters at the end.

    The defaults have 23,087,249 parameters.

    Args:
        image_size: height and width of an image, in pixels; see `ProGANGenerator`.
        channels: channels of an image.
        width: most channels of a layer.
        capacity: twice the channels of the maps of level 0, were they not limited by `width`.
        group_size: number of images whose standard deviation is appended (see `MinibatchStdDev`); 1 appends zeros.
        head: makes a module from features to a logit. None = linear, with an equalised learning rate.
    """

    def __init__(
        self,
        image_size: ImageSize = 1024,
        channels: PositiveInt = 3,
        width: PositiveInt = 512,
        capacity: PositiveInt = 8192,
        group_size: PositiveInt = 4,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__(pyramid(image_size))
        self.image_shape = (channels, *self.sizes[-1])
        of = widths(len(self.sizes), width, capacity)
        self.num_features = min(width, capacity)
        self.from_image = nn.ModuleList(EqualisedConv2d(channels, n, 1, HE) for n in of)
        self.convs = nn.ModuleList([EqualisedConv2d(of[0] + 1, of[0], 3, HE)])  # of level 0, then two of each level
        self.biases = nn.ParameterList([torch.zeros(n, 1, 1) for n in of[:-1]])  # of the second of each level
        for level in range(1, len(self.sizes)):
            self.convs.append(EqualisedConv2d(of[level], of[level], 3, HE))
            self.convs.append(EqualisedConv2d(of[level], of[level - 1], 3, HE, bias=False))
        self.deviation = MinibatchStdDev(group_size)
        self.dense = EqualisedLinear(of[0] * math.prod(self.sizes[0]), self.num_features, HE)
        self.head = EqualisedLinear(self.num_features, 1) if head is None else head(self.num_features)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) of the final size to features (N, width); it takes no labels."""
        check_images(images, self.image_shape)
        check_no_labels(labels)
        images = shrunk(images, self.behind)
        x = self._maps_of(images, self.level)
        for level in range(self.level, 0, -1):
            x = self._block(level, x)
            if level == self.level and self.alpha < 1:
                x = faded(self._maps_of(shrunk(images), level - 1), x, self.alpha)
        x = F.leaky_relu(self.convs[0](self.deviation(x)), 0.2)
        return F.leaky_relu(self.dense(x.flatten(1)), 0.2)

    def _maps_of(self, images: Tensor, level: int) -> Tensor:
        return F.leaky_relu(self.from_image[level](images), 0.2)

    def _block(self, level: int, x: Tensor) -> Tensor:
        x = self.soften(F.leaky_relu(self.convs[2 * level - 1](x), 0.2))
        x = shrunk(self.convs[2 * level](x))
        return F.leaky_relu(x + self.biases[level - 1].to(x.dtype), 0.2)

    def soften(self, x: Tensor) -> Tensor:
        """Return maps (N, C, H, W) as they are given to the convolution in front of a halving: unchanged."""
        return x


def _activated(x: Tensor) -> Tensor:
    return pixel_norm(F.leaky_relu(x, 0.2))
