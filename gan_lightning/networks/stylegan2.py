"""The networks of StyleGAN2.

Karras, Laine, Aittala, Hellsten, Lehtinen, Aila, "Analyzing and Improving the Image Quality of StyleGAN", 2019, arXiv
1912.04958, configuration F; widths and class conditions as in the authors' PyTorch code of StyleGAN2-ADA (Karras et al.
2020, arXiv 2006.06676).

NOTE: images that are not square begin at their own smallest map (4×6 for 256×384); a level has the width that it has in
a square image of the same number of levels.
NOTE: activations are not clamped for 16-bit floats (the authors limit them to 256): use bfloat16 or float32.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from gan_lightning.layers import (
    EqualisedConv2d,
    EqualisedLinear,
    ImageSize,
    MinibatchStdDev,
    check_images,
    check_labels,
    check_latent,
    check_no_labels,
    pixel_norm,
    pyramid,
)
from gan_lightning.layers.modulation import ModulatedConv2d
from gan_lightning.layers.resampling import Double, Halve, Smooth
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.networks.styled import Noise, StyledGenerator
from gan_lightning.ranges import NonNegativeInt, PositiveInt, Share

LARGE = 512  # pixels, from which on the authors' `auto` makes networks of full width


def widths(image_size: ImageSize, channel_base: int | None, channel_max: int) -> list[int]:
    """Return the channels of each level, from the smallest map to the image.

    Args:
        image_size: height and width of an image, in pixels.
        channel_base: channels times the side of the map, as in a square image. None = 32,768 (configuration F) for
            images from 512 pixels on, and half of that (configuration E) for smaller ones, as the authors' `auto` has
            it.
        channel_max: the most channels of a level.
    """
    levels = len(pyramid(image_size))
    if channel_base is None:
        channel_base = 32768 if 4 << (levels - 1) >= LARGE else 16384
    return [max(min(channel_base // (4 << level), channel_max), 1) for level in range(levels)]


def activated(x: Tensor, bias: Tensor | None = None, gain: float = 1.0) -> Tensor:
    """Add a bias of the channels, then leaky ReLU 0.2 times √2, which keeps the mean square; and times `gain`."""
    if bias is not None:
        x = x + bias.to(x.dtype)[:, None, None]
    return F.leaky_relu(x, 0.2) * (math.sqrt(2) * gain)


class EmbeddedMapping(nn.Module):
    """Normalised latents, and beside them a normalised embedding of the class, through layers with leaky ReLU 0.2.

    Args:
        latent_dim: number of components of z. 0 = there is no z, and w is a function of the class alone.
        style_dim: number of components of w, of the embedding, and of each layer.
        num_classes: number of classes; 0 = none.
        layers: number of layers, which learn at a hundredth of the rate.
    """

    def __init__(self, latent_dim: int, style_dim: int, num_classes: int, layers: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        inputs = [latent_dim, *[style_dim] * (layers - 1)]
        if num_classes:  # a linear layer of the one-hot class
            self.embedding = nn.Embedding(num_classes, style_dim)
            self.embedding_bias = nn.Parameter(torch.zeros(style_dim))
            inputs[0] += style_dim
        self.layers = nn.ModuleList(EqualisedLinear(n, style_dim, math.sqrt(2), lr_multiplier=0.01) for n in inputs)

    def forward(self, z: Tensor | None, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim), and labels int64 (N,) if there are classes, to w (N, style_dim)."""
        parts = []
        if z is not None:
            check_latent(z, self.latent_dim)
            parts.append(pixel_norm(z))
        if self.num_classes:
            embedded = self.embedding(check_labels(labels, self.num_classes))  # N(0, 1) at the start
            parts.append(pixel_norm(embedded / math.sqrt(self.num_classes) + self.embedding_bias))
        else:
            check_no_labels(labels)
        w = torch.cat(parts, dim=1)
        for layer in self.layers:
            w = F.leaky_relu(layer(w), 0.2)
        return w


class StyledLayer(nn.Module):
    """A modulated 3×3 convolution, noise, a bias and leaky ReLU.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        style_dim: number of components of a style.
        size: height and width of the output.
        number: number of the layer, which decides its fixed noise.
        up: whether height and width are doubled.
    """

    fixed: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, style_dim: int, size: tuple[int, int], number: int, up: bool = False
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, out_channels, 3, style_dim, up=up)
        self.strength = nn.Parameter(torch.zeros(()))  # of the noise, one for all channels
        self.bias = nn.Parameter(torch.zeros(out_channels))
        fixed = torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(number))
        self.register_buffer("fixed", fixed, persistent=False)

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        """Map (N, in_channels, H, W) and w (N, style_dim) to (N, out_channels, H, W), or twice H and W."""
        x = self.conv(x, w)
        if noise != "none":
            drawn = self.fixed
            if noise == "fresh":
                drawn = torch.randn(len(x), 1, *x.shape[2:], device=x.device)
            x = x + (self.strength * drawn).to(x.dtype)
        return activated(x, self.bias)


class ToImage(nn.Module):
    """A modulated 1×1 convolution to an image, without demodulation, and a bias."""

    def __init__(self, in_channels: int, channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, channels, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) and w (N, style_dim) to (N, channels, H, W) in float32."""
        return self.conv(x, w).float() + self.bias[:, None, None]


class StyleGAN2Generator(StyledGenerator):
    """A mapping of 8 layers; a learnt constant, which styled layers double level by level, to a sum of images.

    The images that all levels make are summed (skip connections). They are about in [-1, 1], and may exceed it. Each
    layer has its own style, in order; the image of a level is made by the style of the layer that follows it.

    Parameters, without classes: 30,370,060 for 1024×1024 RGB (configuration F); for 256×256 24.77 million, and 30.03
    with channel_base 32768; for CIFAR-10 19.95 with two layers of mapping and channel_base 32768.

    Args:
        latent_dim: length of z.
        style_dim: length of w.
        image_size: height and width of an image, in pixels, each a multiple of the same power of two: they are halved
            until the shorter side has 4 to 7 pixels.
        channels: channels of an image.
        channel_base: sets the channels of a level, see `widths`. None = by image_size.
        channel_max: the most channels of a level.
        num_classes: number of classes to condition on, by an embedding beside z; 0 = none.
        mapping_layers: number of layers of the mapping.
        style_mixing: probability that a batch is mixed, in training mode.
    """

    architecture = "stylegan2"

    def __init__(
        self,
        latent_dim: PositiveInt = 512,
        style_dim: PositiveInt = 512,
        image_size: ImageSize = 256,
        channels: PositiveInt = 3,
        channel_base: PositiveInt | None = None,
        channel_max: PositiveInt = 512,
        num_classes: NonNegativeInt = 0,
        mapping_layers: PositiveInt = 8,
        style_mixing: Share = 0.9,
    ) -> None:
        super().__init__(style_dim, style_mixing)
        sizes = pyramid(image_size)
        self.latent_dim, self.num_classes, self.num_styles = latent_dim, num_classes, 2 * len(sizes)
        self.image_shape = (channels, *sizes[-1])
        self.widths = widths(image_size, channel_base, channel_max)
        self.mapping = EmbeddedMapping(latent_dim, style_dim, num_classes, mapping_layers)
        self.start = nn.Parameter(torch.randn(self.widths[0], *sizes[0]))
        self.layers = nn.ModuleList([StyledLayer(self.widths[0], self.widths[0], style_dim, sizes[0], 0)])
        for level, (inputs, outputs) in enumerate(itertools.pairwise(self.widths), 1):
            up = StyledLayer(inputs, outputs, style_dim, sizes[level], 2 * level - 1, up=True)
            self.layers += [up, StyledLayer(outputs, outputs, style_dim, sizes[level], 2 * level)]
        self.to_image = nn.ModuleList(ToImage(width, channels, style_dim) for width in self.widths)
        self.enlarge = Double()

    @override
    def synthesis(self, w: Tensor, noise: Noise = "fresh") -> Tensor:
        styles = [style.contiguous() for style in self.each_layer(w).unbind(dim=1)]  # one form for both, bit by bit
        x = self.layers[0](self.start.expand(len(w), -1, -1, -1), styles[0], noise)
        image = self.to_image[0](x, styles[1])
        for level in range(1, len(self.to_image)):
            for number in (2 * level - 1, 2 * level):
                x = self.layers[number](x, styles[number], noise)
            image = self.enlarge(image) + self.to_image[level](x, styles[2 * level + 1])
        return image


class DownBlock(nn.Module):
    """Two 3×3 convolutions, the second of which halves the smoothed maps; in parallel a 1×1 shortcut, and their sum.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        residual: whether there is a shortcut. The sum is divided by √2.
    """

    def __init__(self, in_channels: int, out_channels: int, residual: bool) -> None:
        super().__init__()
        self.conv1 = EqualisedConv2d(in_channels, in_channels, 3)
        self.smooth = Smooth(padding=2)
        self.conv2 = EqualisedConv2d(in_channels, out_channels, 3, stride=2, padding=0)
        self.halve = Halve()
        self.shortcut = EqualisedConv2d(in_channels, out_channels, 1, bias=False) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / 2, W / 2)."""
        h = activated(self.conv1(x))
        h = self.conv2(self.smooth(h))
        if self.shortcut is None:
            return activated(h)
        return activated(h, gain=math.sqrt(0.5)) + self.shortcut(self.halve(x)) * math.sqrt(0.5)


class StyleGAN2Discriminator(Discriminator):
    """Residual blocks that halve the image, the minibatch standard deviation, and two dense layers.

    With classes, the features φ are projected on a vector that a mapping makes of the class:

        D(x, y) = φ(x)ᵀ m(y) / √F

    with F features.

    Parameters, with labels left out: 29,012,513 for 1024×1024 RGB; for 256×256 24.00 million, and 28.86 with
    channel_base 32768; for CIFAR-10, without shortcuts, 20.72.

    Args:
        image_size: height and width of an image, in pixels, see `StyleGAN2Generator`.
        channels: channels of an image.
        channel_base: sets the channels of a level, see `widths`. None = by image_size.
        channel_max: the most channels of a level.
        num_classes: number of classes to condition on; 0 = none.
        group_size: number of images over which the minibatch standard deviation is taken.
        residual: whether blocks have shortcuts. The authors' CIFAR-10 setting has none.
        mapping_layers: number of layers of the mapping of classes.
        head: makes a module from features to a logit, if there are no classes. None = linear.
    """

    def __init__(
        self,
        image_size: ImageSize = 256,
        channels: PositiveInt = 3,
        channel_base: PositiveInt | None = None,
        channel_max: PositiveInt = 512,
        num_classes: NonNegativeInt = 0,
        group_size: PositiveInt = 4,
        residual: bool = True,
        mapping_layers: PositiveInt = 8,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        if num_classes and head is not None:
            raise ValueError(
                "StyleGAN2Discriminator projects features on classes in the place of a head: leave out head, or set "
                "num_classes to 0"
            )
        levels = pyramid(image_size)
        *wider, last = reversed(widths(image_size, channel_base, channel_max))
        self.num_classes, self.image_shape = num_classes, (channels, *levels[-1])
        self.from_image = EqualisedConv2d(channels, [*wider, last][0], 1)
        self.blocks = nn.Sequential(
            *(DownBlock(inputs, outputs, residual) for inputs, outputs in itertools.pairwise([*wider, last]))
        )
        self.deviation = MinibatchStdDev(group_size)
        self.conv = EqualisedConv2d(last + 1, last, 3)
        self.dense = EqualisedLinear(last * math.prod(levels[0]), last)
        self.num_features = last
        self.mapping: EmbeddedMapping | None = None
        if num_classes:
            self.mapping = EmbeddedMapping(0, last, num_classes, mapping_layers)
            self.head = EqualisedLinear(last, last)
        else:
            self.head = EqualisedLinear(last, 1) if head is None else head(last)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to features (N, F); labels are not used."""
        check_images(images, self.image_shape)
        x = self.blocks(activated(self.from_image(images)))
        x = activated(self.conv(self.deviation(x)))
        return F.leaky_relu(self.dense(x.flatten(1)), 0.2) * math.sqrt(2)

    def judge(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map features (N, F) and labels int64 (N,) to logits (N,)."""
        if self.mapping is None:
            check_no_labels(labels)
            return super().judge(features)
        classes = self.mapping(None, labels)
        return (self.head(features) * classes).sum(dim=1) / math.sqrt(classes.shape[1])
