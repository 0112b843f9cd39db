"""The networks of super-resolution: SRGAN's, ESRGAN's, and bicubic interpolation for comparison.

SRGAN: Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", 2016, arXiv
1609.04802, figure 4. ESRGAN: Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", 2018,
arXiv 1809.00219, figures 3 and 4, and the authors' code.

Generators work at the size of the source and enlarge last. They take sources of any size, and state their `scale`.

NOTE: sources and outputs are in [-1, 1]. SRGAN's authors have sources in [0, 1], ESRGAN's both; the difference is an
    affine map that the first and the last convolution learn. Only black borders, which convolutions add, become grey.
    `pixels: unit` keeps [0, 1] within a generator, for weights that other projects have trained.
NOTE: generators end in a convolution and may exceed [-1, 1], as published; samplers and translators clamp images.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_lightning.layers import Norm, check_sides, norm2d
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import PositiveInt

Pixels = Literal["signed", "unit"]
"""The range of values with which a generator's layers compute: [-1, 1] or [0, 1]."""


def _to_layers(images: Tensor, pixels: Pixels) -> Tensor:
    """Convert images in [-1, 1] to the range of the layers."""
    return (images + 1) / 2 if pixels == "unit" else images


def _from_layers(images: Tensor, pixels: Pixels) -> Tensor:
    """Convert images in the range of the layers to [-1, 1]."""
    return 2 * images - 1 if pixels == "unit" else images


def _doublings(scale: int) -> int:
    """Return how many times a scale doubles the sides."""
    if scale not in (2, 4, 8):
        raise ValueError(f"scale must be 2, 4 or 8 times the source's height and width, not {scale}")
    return int(math.log2(scale))


class SRResNetBlock(nn.Module):
    """Two 3×3 convolutions, normalised, with a PReLU between; added to the input.

    Args:
        width: channels of input and output.
        norm: normalisation after each convolution.
    """

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv2d(width, width, 3, padding=1), norm2d(norm, width), nn.PReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), norm2d(norm, width)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        return x + self.net(x)


class SRResNetGenerator(TranslationNetwork):
    """SRGAN's generator: residual blocks with a skip over all, then sub-pixel convolutions that double the sides.

    The defaults have 1,549,462 parameters. The paper's figure 4 leaves some details open, which are chosen here: a bias
    in every convolution, and one slope for all channels of a PReLU.

    Args:
        channels: channels of source and image.
        width: channels of all feature maps; 4 times as many before each doubling.
        blocks: number of residual blocks.
        scale: ratio of the image's sides to those of the source: 2, 4 or 8.
        norm: "batch" (the paper, with fixed running statistics when images are made) or "none".
        skip: added to the output of the last convolution: "none" (the paper), or the source enlarged by "bicubic"
            interpolation. The untrained network is then this interpolation, which suits short trainings.
        pixels: range of values with which the layers compute: "signed", [-1, 1], or "unit", [0, 1].
    """

    architecture = "super_resolution"
    multiple = minimum = 1

    def __init__(
        self,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
        blocks: PositiveInt = 16,
        scale: PositiveInt = 4,
        norm: Norm = "batch",
        skip: Literal["none", "bicubic"] = "none",
        pixels: Pixels = "signed",
    ) -> None:
        super().__init__()
        self.in_channels, self.scale, self.pixels = channels, scale, pixels
        self.first = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(SRResNetBlock(width, norm) for _ in range(blocks)),
            *(nn.Conv2d(width, width, 3, padding=1), norm2d(norm, width)),
        )
        doublings: list[nn.Module] = []
        for _ in range(_doublings(scale)):
            doublings += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU()]
        last = nn.Conv2d(width, channels, 9, padding=4)
        self.last = nn.Sequential(*doublings, last)
        self.skip = Bicubic(channels, scale) if skip == "bicubic" else None
        if self.skip is not None:
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, source: Tensor) -> Tensor:
        """Map source images (N, C, H, W) in [-1, 1] to images (N, C, scale · H, scale · W), about in [-1, 1]."""
        check_sides(source, self.in_channels, minimum=self.minimum)
        x = self.first(_to_layers(source, self.pixels))
        output = _from_layers(self.last(x + self.body(x)), self.pixels)
        return output if self.skip is None else output + self.skip(source)


class DenseBlock(nn.Module):
    """Five 3×3 convolutions, each on the input and all outputs before it; a fifth of the last is added to the input.

    Args:
        width: channels of input and output.
        growth: channels that each of the first four adds.
    """

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        convs = [nn.Conv2d(width + i * growth, growth if i < 4 else width, 3, padding=1) for i in range(5)]
        for conv in convs:  # small, so that a deep stack starts near the identity
            nn.init.kaiming_normal_(conv.weight)
            conv.weight.data.mul_(0.1)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
        self.convs = nn.ModuleList(convs)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        seen = x
        for conv in self.convs[:-1]:
            seen = torch.cat([seen, self.activation(conv(seen))], dim=1)
        return x + 0.2 * self.convs[-1](seen)


class RRDB(nn.Module):
    """Residual-in-residual dense block: three dense blocks, a fifth of which is added to the input.

    Args:
        width: channels of input and output.
        growth: see `DenseBlock`.
    """

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.net = nn.Sequential(*(DenseBlock(width, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        return x + 0.2 * self.net(x)


class RRDBGenerator(TranslationNetwork):
    """ESRGAN's generator: residual-in-residual dense blocks without normalisation, then nearest ×2 and convolutions.

    The defaults have the authors' 16,697,987 parameters.

    Args:
        channels: channels of source and image.
        width: channels of feature maps.
        growth: channels that each convolution of a dense block adds.
        blocks: residual-in-residual dense blocks.
        scale: ratio of the image's sides to those of the source: 2, 4 or 8.
        pixels: range of values with which the layers compute: "signed", [-1, 1], or "unit", [0, 1].
    """

    architecture = "super_resolution"
    multiple = minimum = 1

    def __init__(
        self,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
        growth: PositiveInt = 32,
        blocks: PositiveInt = 23,
        scale: PositiveInt = 4,
        pixels: Pixels = "signed",
    ) -> None:
        super().__init__()
        self.in_channels, self.scale, self.pixels = channels, scale, pixels
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.body = nn.Sequential(
            *(RRDB(width, growth) for _ in range(blocks)),
            nn.Conv2d(width, width, 3, padding=1),
        )
        doublings: list[nn.Module] = []
        for _ in range(_doublings(scale)):
            doublings += [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.2)]
        self.last = nn.Sequential(
            *doublings,
            *(nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.2)),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, source: Tensor) -> Tensor:
        """Map source images (N, C, H, W) in [-1, 1] to images (N, C, scale · H, scale · W), about in [-1, 1]."""
        check_sides(source, self.in_channels, minimum=self.minimum)
        x = self.first(_to_layers(source, self.pixels))
        return _from_layers(self.last(x + self.body(x)), self.pixels)


class Bicubic(TranslationNetwork):
    """Bicubic interpolation as for image files (a = -0.5, as in Pillow and MATLAB): nothing to learn.

    It is the baseline: `gan-lightning validate` with `--model.generator=gan_lightning.networks.Bicubic`.

    Args:
        channels: channels of source and image.
        scale: ratio of the image's sides to those of the source.
    """

    multiple = minimum = 1

    def __init__(self, channels: PositiveInt = 3, scale: PositiveInt = 4) -> None:
        super().__init__()
        self.in_channels, self.scale = channels, scale

    def forward(self, source: Tensor) -> Tensor:
        """Map source images (N, C, H, W) in [-1, 1] to images (N, C, scale · H, scale · W) that overshoot at edges."""
        check_sides(source, self.in_channels, minimum=self.minimum)
        # in an enlargement, antialias only changes the kernel, for which torch otherwise has a = -0.75
        return interpolate(source, scale_factor=self.scale, mode="bicubic", antialias=True)


class VGGDiscriminator(Discriminator):
    """Pairs of convolutions, the second of stride 2, with LeakyReLU 0.2 and batch norm except at the first; two linear.

    The defaults are SRGAN's (23,565,505 parameters). ESRGAN's VGG-128, with 14,499,401, is image_size 128, stages 5,
    kernel_size 4, hidden 100, bias false.

    Args:
        image_size: height and width of training's images, in pixels; a multiple of 2^stages. For images of another
            size, which evaluation may have, the maps are averaged to the size of the maps of training's images.
        channels: channels of an image.
        width: channels of the first pair, doubled with each, up to 8 times this.
        stages: number of pairs, each of which halves the sides.
        kernel_size: 3 or 4, of the convolutions of stride 2.
        hidden: units of the linear layer before the logit.
        bias: whether convolutions before a batch norm, which cancels it, have one.
        head: makes a module from the hidden units to a logit. None = linear.
    """

    def __init__(
        self,
        image_size: PositiveInt = 96,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
        stages: PositiveInt = 4,
        kernel_size: PositiveInt = 3,
        hidden: PositiveInt = 1024,
        bias: bool = True,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        if image_size < 1 or image_size % 2**stages:
            raise ValueError(f"image_size must be a multiple of {2**stages} for {stages} stages, not {image_size}")
        self.image_shape, self.minimum = (channels, image_size, image_size), 2**stages
        layers: list[nn.Module] = []
        inputs = channels
        for outputs in (width * min(2**stage, 8) for stage in range(stages)):
            for conv in (
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias or not layers),
                nn.Conv2d(outputs, outputs, kernel_size, stride=2, padding=1, bias=bias),
            ):
                layers += [conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)]
            inputs = outputs
        del layers[1]  # no batch norm at the image
        size = image_size // 2**stages
        self.net = nn.Sequential(
            *(*layers, nn.AdaptiveAvgPool2d(size), nn.Flatten()),
            *(nn.Linear(inputs * size**2, hidden), nn.LeakyReLU(0.2, inplace=True)),
        )
        self.num_features = hidden
        self.head = nn.Linear(hidden, 1) if head is None else head(hidden)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to the hidden units (N, F)."""
        check_sides(images, self.image_shape[0], minimum=self.minimum)
        return self.net(images)
