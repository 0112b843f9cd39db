"""The networks of MUNIT: codes of content and of style, a decoder with adaptive norms, discriminators of three scales.

Huang, Liu, Belongie, Kautz, "Multimodal Unsupervised Image-to-Image Translation", 2018, arXiv 1804.04732, section 5.1,
appendix B.2, and the authors' code. Borders are reflected everywhere.
"""

import itertools
from functools import partial

import torch
from torch import Tensor, nn

from gan_lightning.layers import InstanceNorm2d, check_latent, check_sides
from gan_lightning.layers.adaptive import AdaptiveInstanceNorm2d, LayerNorm2d
from gan_lightning.layers.initialisation import initialise
from gan_lightning.layers.winograd import ReflectedConv2d
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.networks.cyclegan import ResidualBlock
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.networks.multiscale import MultiScale
from gan_lightning.ranges import PositiveInt


def reflected(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    """Make a convolution with reflected borders, which keeps the size, or with stride 2 halves it."""
    padding = (kernel_size - 1) // 2
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, padding_mode="reflect")


def contraction(in_channels: int, width: int) -> list[nn.Module]:
    """Make the layers from images to maps of 4 · width channels at a quarter of the size."""
    layers: list[nn.Module] = [reflected(in_channels, width, 7), InstanceNorm2d(width), nn.ReLU(inplace=True)]
    for channels in (2 * width, 4 * width):
        layers += [reflected(channels // 2, channels, 4, stride=2), InstanceNorm2d(channels), nn.ReLU(inplace=True)]
    return layers


def expansion(width: int, out_channels: int) -> list[nn.Module]:
    """Make the layers from maps of 4 · width channels to images of four times the size."""
    layers: list[nn.Module] = []
    for channels in (2 * width, width):
        layers += [nn.Upsample(scale_factor=2), reflected(2 * channels, channels, 5)]
        layers += [LayerNorm2d(channels), nn.ReLU(inplace=True)]
    return [*layers, reflected(width, out_channels, 7), nn.Tanh()]


class AdaptiveResidualBlock(nn.Module):
    """Two 3×3 convolutions, each with an adaptive instance norm, added to the input; no ReLU after the sum.

    Args:
        channels: channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = ReflectedConv2d(channels, channels), AdaptiveInstanceNorm2d(channels)
        self.conv2, self.norm2 = ReflectedConv2d(channels, channels), AdaptiveInstanceNorm2d(channels)

    def forward(self, x: Tensor, bias1: Tensor, gain1: Tensor, bias2: Tensor, gain2: Tensor) -> Tensor:
        """Map (N, channels, H, W), with biases and gains (N, channels) of both norms, to the same shape."""
        h = torch.relu(self.norm1(self.conv1(x), bias1, gain1))
        return x + self.norm2(self.conv2(h), bias2, gain2)


class StyledDecoder(nn.Module):
    """Residual blocks whose norms are set by a style, and an expansion to four times the size.

    Args:
        out_channels: channels of the images.
        width: channels at full size; four times as many at the content's.
        blocks: number of residual blocks.
        style_dim: number of components of a style.
        hidden: units in both hidden layers of the MLP from a style to the norms' biases and gains.
    """

    def __init__(self, out_channels: int, width: int, blocks: int, style_dim: int, hidden: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(style_dim, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, blocks * 4 * 4 * width),  # bias and gain of each of two norms a block, in this order
        )
        self.blocks = nn.ModuleList([AdaptiveResidualBlock(4 * width) for _ in range(blocks)])
        self.expansion = nn.Sequential(*expansion(width, out_channels))

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Map contents (N, 4 · width, h, w) and styles (N, style_dim) to images (N, out_channels, 4 · h, 4 · w)."""
        norms = self.mlp(style).chunk(4 * len(self.blocks), dim=1)
        x = content
        for number, block in enumerate(self.blocks):
            x = block(x, *norms[4 * number : 4 * number + 4])
        return self.expansion(x)


class MUNITGenerator(TranslationNetwork):
    """Translates from one domain to another, in a style: the content's encoder of the first, and the second's others.

    `content` maps images of the first domain to codes of content; `style` maps images of the second to codes of style,
    and `decoder` maps both codes to images of the second. In the paper's words, E_1^c, E_2^s and G_2. Two of them, one
    for each direction, hold the auto-encoders of both domains.

    The defaults have the authors' 15,026,187 parameters. Any height and width that are multiples of 4, from 16 up.

    Args:
        in_channels: channels of the first domain's images.
        out_channels: channels of the second domain's images.
        width: channels at full size; doubled at half of it and again at a quarter.
        blocks: number of residual blocks in the encoder of contents, and in the decoder.
        style_dim: number of components of a style.
        hidden: units in the hidden layers of the MLP from a style to the decoder's norms.
    """

    multiple = 4
    minimum = 16

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        width: PositiveInt = 64,
        blocks: PositiveInt = 4,
        style_dim: PositiveInt = 8,
        hidden: PositiveInt = 256,
    ) -> None:
        super().__init__()
        self.in_channels, self.example_channels, self.style_dim = in_channels, out_channels, style_dim
        residual = [ResidualBlock(4 * width) for _ in range(blocks)]
        self.content = nn.Sequential(*contraction(in_channels, width), *residual)
        # no norm, since it would remove a style's mean and variance
        layers: list[nn.Module] = [reflected(out_channels, width, 7), nn.ReLU(inplace=True)]
        for inputs, outputs in itertools.pairwise([width, 2 * width, *[4 * width] * 3]):
            layers += [reflected(inputs, outputs, 4, stride=2), nn.ReLU(inplace=True)]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Conv2d(4 * width, style_dim, 1), nn.Flatten()]
        self.style = nn.Sequential(*layers)
        self.decoder = StyledDecoder(out_channels, width, blocks, style_dim, hidden)
        initialise(self, "kaiming")

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        """Map images of the first domain (N, C, H, W) in [-1, 1] and styles (N, style_dim) to images of the second."""
        check_sides(images, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        check_latent(code, self.style_dim)
        return self.decoder(self.content(images), code)

    def encode_style(self, examples: Tensor) -> Tensor:
        """Map images of the second domain (N, C, H, W) in [-1, 1] to their styles (N, style_dim)."""
        check_sides(examples, self.example_channels, minimum=self.minimum)
        return self.style(examples)


class MUNITDiscriminator(MultiScale):
    """Convolutions of 4×4 and stride 2 with LeakyReLU 0.2, without norms, at several sizes of the image.

    The defaults have the authors' 8,271,171 parameters.

    Args:
        in_channels: channels of the images.
        width: channels after the first layer; doubled at each later one.
        layers: number of convolutions of stride 2.
        scales: number of sizes, each half of the one before it, and each with weights of its own.
    """

    def __init__(
        self, in_channels: PositiveInt = 3, width: PositiveInt = 64, layers: PositiveInt = 4, scales: PositiveInt = 3
    ) -> None:
        super().__init__(partial(Halvings, in_channels, width, layers), scales)


class Halvings(nn.Module):
    """The discriminator of one size of `MUNITDiscriminator`; see there for its arguments."""

    def __init__(self, in_channels: int, width: int, layers: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.minimum = 2**layers  # two pixels a side are left to the last convolution that halves
        self.layers = nn.ModuleList()
        for inputs, outputs in itertools.pairwise([in_channels, *(width * 2**layer for layer in range(layers))]):
            self.layers.append(nn.Sequential(reflected(inputs, outputs, 4, stride=2), nn.LeakyReLU(0.2, inplace=True)))
        self.head = nn.Conv2d(outputs, 1, 1)
        initialise(self, "normal")

    def forward(self, images: Tensor, with_features: bool = False, with_logits: bool = True) -> DiscriminatorOutput:
        """Map images (N, C, H, W) in [-1, 1] to a map of logits (N, 1, h, w), and the outputs of layers on request."""
        x, features = images, []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return DiscriminatorOutput((self.head(x),) if with_logits else (), (features,) if with_features else ())
