"""The networks of R3GAN: ResNeXts without any normalisation, in both players.

Huang, Gokaslan, Kuleshov, Tompkin, "The GAN is dead; long live the GAN! A Modern GAN Baseline", 2024, arXiv 2501.05441,
section 3, as in the authors' code. A block widens the channels, convolves them in groups, and narrows them again. Its
last convolution starts at zero and the others small, as fix-up says (Zhang, Dauphin, Ma, 2019, arXiv 1901.09321), so
that depth does not enlarge the variance. Sizes change by the interpolation of `gan_lightning.layers.bilinear`.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import (
    ImageSize,
    check_images,
    check_labels,
    check_latent,
    check_no_labels,
    check_sides,
    pyramid,
    sides,
)
from gan_lightning.layers.bilinear import doubled, halved
from gan_lightning.networks.base import Generator, TranslationNetwork
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import NonNegativeInt, PositiveInt

SLOPE = 0.2  # of LeakyReLU
GAIN = math.sqrt(2 / (1 + SLOPE**2))


def _start(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """Initialise a layer: weights ~ N(0, gain² / fan_in), biases 0."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class InvertedBottleneck(nn.Module):
    """x + conv(lrelu(grouped conv(lrelu(conv(x))))): 1×1, 3×3 in groups, 1×1.

    Args:
        channels: channels of the maps.
        expansion: channels inside the block for each outside.
        group_width: channels of a group, if there are as many.
        depth: number of all blocks of the network, by which the start is scaled: L^(-1/4).
    """

    def __init__(self, channels: int, expansion: int, group_width: int, depth: int) -> None:
        super().__init__()
        inner = channels * expansion
        each = min(group_width, inner)
        if inner % each:
            raise ValueError(
                f"{inner} channels inside a block (expansion · channels) cannot be cut into groups of {each}: make "
                "width a multiple of group_width, or group_width smaller"
            )
        self.conv1 = nn.Conv2d(channels, inner, 1)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, groups=inner // each)
        self.conv3 = nn.Conv2d(inner, channels, 1, bias=False)
        _start(self.conv1, GAIN * depth**-0.25)
        _start(self.conv2, GAIN * depth**-0.25)
        nn.init.zeros_(self.conv3.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        h = F.leaky_relu(self.conv1(x), SLOPE)
        return x + self.conv3(F.leaky_relu(self.conv2(h), SLOPE))


def _linear(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 1, bias=False)
    _start(layer)
    return layer


class _Resample(nn.Module):
    """Halve or double maps, with a 1×1 convolution, at the smaller size, where the channels change."""

    def __init__(self, inputs: int, outputs: int, double: bool) -> None:
        super().__init__()
        self.doubles = double
        self.linear: nn.Module = nn.Identity() if inputs == outputs else _linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return doubled(self.linear(x)) if self.doubles else self.linear(halved(x))


def _widths(image_size: ImageSize, width: int, full: int) -> list[int]:
    """Return the channels of each stage, from the smallest map up."""
    return [max(1, width >> max(0, level - full + 1)) for level in range(len(pyramid(image_size)))]


class R3GANGenerator(Generator):
    """A learned 4×4 basis scaled by z, blocks at each size up to the image, and a 1×1 convolution.

    Parameters: 20.8 million for CIFAR-10 with ten classes (the defaults otherwise), 23.1 million for 256×256.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels: one number, or a pair. Both can be halved until the shorter
            is 4 to 7 pixels, which is the size of the basis.
        channels: channels of an image.
        width: channels of the first stages.
        full_stages: number of stages with all these channels; each later one has half of those before it. (4 = up to
            32×32, as in all but the ImageNet-64 network, which has 5.)
        blocks: number of blocks of each stage.
        expansion: channels inside a block for each outside.
        group_width: channels of a group in a block's 3×3 convolution.
        num_classes: number of classes to condition on, by an embedding as long as z, beside z; 0 = none.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 64,
        image_size: ImageSize = 32,
        channels: PositiveInt = 3,
        width: PositiveInt = 768,
        full_stages: PositiveInt = 4,
        blocks: PositiveInt = 2,
        expansion: PositiveInt = 2,
        group_width: PositiveInt = 16,
        num_classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        widths = _widths(image_size, width, full_stages)
        make = _blocks(blocks, expansion, group_width, depth=blocks * len(widths))
        self.embedding: nn.Embedding | None = None
        if num_classes:
            self.embedding = nn.Embedding(num_classes, latent_dim)
            nn.init.normal_(self.embedding.weight, 0.0, num_classes**-0.5)
        self.basis = nn.Parameter(torch.randn(widths[0], *pyramid(image_size)[0]))
        self.input = nn.Linear(latent_dim * (2 if num_classes else 1), widths[0], bias=False)
        _start(self.input)
        stages: list[nn.Module] = make(widths[0])
        for inputs, outputs in itertools.pairwise(widths):
            stages += [_Resample(inputs, outputs, double=True), *make(outputs)]
        self.stages = nn.Sequential(*stages)
        self.output = _linear(widths[-1], channels)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and labels int64 (N,) to images (N, C, H, W), which may leave [-1, 1]."""
        check_latent(z, self.latent_dim)
        if self.embedding is None:
            check_no_labels(labels)
        else:
            z = torch.cat([z, self.embedding(check_labels(labels, self.num_classes))], dim=1)
        return self.output(self.stages(self.basis * self.input(z)[:, :, None, None]))


class R3GANDiscriminator(Discriminator):
    """The generator's mirror: a 1×1 convolution, blocks at each size, a depthwise convolution to 1×1, a linear layer.

    With classes, D(x, y) = e_yᵀ φ(x) with the last layer's outputs φ.

    Parameters: 21.3 million for CIFAR-10 with ten classes (the defaults otherwise), 23.0 million for 256×256.

    Args:
        image_size: height and width of an image, in pixels: one number, or a pair; see `R3GANGenerator`.
        channels: channels of an image.
        width: channels of the last stages.
        full_stages: number of stages with all these channels; each earlier one has half of those after it.
        blocks: number of blocks of each stage.
        expansion: channels inside a block for each outside.
        group_width: channels of a group in a block's 3×3 convolution.
        num_classes: number of classes to condition on; 0 = none.
        head: makes a module from features to a logit. None = linear without bias.

    Raises:
        ValueError: a head is given beside classes, whose embeddings take its place.
    """

    def __init__(
        self,
        image_size: ImageSize = 32,
        channels: PositiveInt = 3,
        width: PositiveInt = 768,
        full_stages: PositiveInt = 4,
        blocks: PositiveInt = 2,
        expansion: PositiveInt = 2,
        group_width: PositiveInt = 16,
        num_classes: NonNegativeInt = 0,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        if num_classes and head is not None:
            raise ValueError("R3GANDiscriminator has no head beside its classes: leave out head, or num_classes")
        self.num_classes = num_classes
        self.image_shape = (channels, *sides(image_size))
        widths = _widths(image_size, width, full_stages)[::-1]
        make = _blocks(blocks, expansion, group_width, depth=blocks * len(widths))
        self.input = _linear(channels, widths[0])
        stages: list[nn.Module] = make(widths[0])
        for inputs, outputs in itertools.pairwise(widths):
            stages += [_Resample(inputs, outputs, double=False), *make(outputs)]
        self.stages = nn.Sequential(*stages)
        self.basis = nn.Conv2d(width, width, pyramid(image_size)[0], groups=width, bias=False)
        _start(self.basis)
        self.num_features = width
        self.embedding: nn.Embedding | None = None
        if head is not None:
            self.head = head(width)
            return
        self.head = nn.Linear(width, width if num_classes else 1, bias=False)
        _start(self.head)
        if num_classes:
            self.embedding = nn.Embedding(num_classes, width)
            nn.init.normal_(self.embedding.weight, 0.0, (num_classes * width) ** -0.5)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to features (N, width); labels are not used."""
        check_images(images, self.image_shape)
        return self.basis(self.stages(self.input(images))).flatten(1)

    def judge(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map features (N, width) and labels int64 (N,) to logits (N,)."""
        if self.embedding is None:
            check_no_labels(labels)
            return super().judge(features)
        return (self.head(features) * self.embedding(check_labels(labels, self.num_classes))).sum(dim=1)


class R3GANTranslator(TranslationNetwork):
    """R3GAN's blocks as a translator: stages that halve, blocks in the middle, stages that double, and tanh.

    NOTE: the paper has no translator; this is its discriminator's stages followed by its generator's.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        width: channels at full size; twice as many after each halving.
        depth: number of times that height and width are halved.
        blocks: number of blocks at each size, on either way.
        expansion: channels inside a block for each outside.
        group_width: channels of a group in a block's 3×3 convolution.
    """

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        width: PositiveInt = 64,
        depth: PositiveInt = 2,
        blocks: PositiveInt = 2,
        expansion: PositiveInt = 2,
        group_width: PositiveInt = 16,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.multiple = self.minimum = 2**depth
        widths = [width << level for level in range(depth + 1)]
        make = _blocks(blocks, expansion, group_width, depth=blocks * 2 * len(widths))
        stages: list[nn.Module] = [_linear(in_channels, width), *make(width)]
        for inputs, outputs in itertools.pairwise(widths):
            stages += [_Resample(inputs, outputs, double=False), *make(outputs)]
        stages += make(widths[-1])
        for inputs, outputs in itertools.pairwise(widths[::-1]):
            stages += [_Resample(inputs, outputs, double=True), *make(outputs)]
        self.stages = nn.Sequential(*stages, _linear(width, out_channels), nn.Tanh())

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, in_channels, H, W) in [-1, 1], sides multiples of `multiple`, to (N, out_channels, H, W)."""
        check_sides(images, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        return self.stages(images)


def _blocks(count: int, expansion: int, group_width: int, depth: int) -> Callable[[int], list[nn.Module]]:
    """Return a function that makes the blocks of a stage for a number of channels."""
    return lambda channels: [InvertedBottleneck(channels, expansion, group_width, depth) for _ in range(count)]
