"""The networks of Augmented CycleGAN: a translator with a style, its encoder, and three discriminators.

Almahairi, Rajeswar, Sordoni, Bachman, Courville, "Augmented CycleGAN: Learning Many-to-Many Mappings from Unpaired
Data", 2018, arXiv 1802.10151, appendix; details as in the authors' code for edges and shoes of 64×64.

NOTE: instance norm divides by the biased deviation everywhere; the authors' conditional one has the unbiased deviation.
"""

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from gan_lightning.layers import InstanceNorm2d, check_images, check_sides, halvings, init_normal
from gan_lightning.layers.doubling import THREE_WIDE, Upsampling, doubling
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.ranges import Finite, NonNegativeInt, PositiveInt
from gan_lightning.recording import Network


class StyleNorm(nn.Module):
    """Instance norm whose gain and bias are a ReLU of linear functions of a style.

    Args:
        channels: channels of the feature maps.
        style_dim: length of a style.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.norm = InstanceNorm2d(channels)
        self.gain = nn.Linear(style_dim, channels)
        self.bias = nn.Linear(style_dim, channels)

    def forward(self, x: Tensor, style: Tensor | None) -> Tensor:
        """Map (N, channels, H, W) and styles (N, style_dim) to (N, channels, H, W)."""
        gain, bias = (layer(style).relu()[:, :, None, None].to(x.dtype) for layer in (self.gain, self.bias))
        return self.norm(x) * gain + bias


class _Layers(nn.Sequential):
    """Layers in sequence, of which some take the style too."""

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        for layer in self:
            x = layer(x, style) if isinstance(layer, StyleNorm | _Block) else layer(x)
        return x


class _Block(nn.Module):
    """Two 3×3 convolutions with reflected borders, added to the input, then ReLU; without a style, one norm alone."""

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.net = _Layers(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            *([StyleNorm(channels, style_dim)] if style_dim else []),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        return (x + self.net(x, style)).relu()


class AugmentedGenerator(TranslationNetwork):
    """Three convolutions down to half the size, residual blocks, and three convolutions back.

    Any height and width that are multiples of 2, from 8 up.

    Args:
        in_channels: channels of the source image.
        out_channels: channels of the output image.
        width: channels at full size; doubled and doubled again on the way down.
        blocks: number of residual blocks. The authors' code has 3, whatever its option says.
        style_dim: length of the style that the norms take (G_AB); 0 = the network takes none (G_BA).
        gain: mean of the norms' gains at the start, whose deviation is 0.02. 0 is the authors'; with 1, as in other
            papers, images pass from the start.
        upsampling: method to return to the full size: a "transposed" convolution, as the authors'; or
            interpolation and a 3×3 convolution, which leaves no dots behind (see `DCGANGenerator`).
    """

    architecture = "resnet"
    multiple = 2
    minimum = 8

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        width: PositiveInt = 32,
        blocks: NonNegativeInt = 3,
        style_dim: NonNegativeInt = 16,
        gain: Finite = 0.0,
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        self.in_channels, self.style_dim = in_channels, style_dim

        def norm(channels: int) -> list[nn.Module]:
            kind = StyleNorm(channels, style_dim) if style_dim else nn.InstanceNorm2d(channels, affine=True)
            return [kind, nn.ReLU(inplace=True)]

        self.net = _Layers(
            *(nn.Conv2d(in_channels, width, 7, padding=3, padding_mode="reflect"), *norm(width)),
            *(nn.Conv2d(width, 2 * width, 3, padding=1), *norm(2 * width)),
            *(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), *norm(4 * width)),
            *(_Block(4 * width, style_dim) for _ in range(blocks)),
            *doubling(4 * width, 2 * width, upsampling, bias=True, transposed=THREE_WIDE),
            *norm(2 * width),
            *(nn.Conv2d(2 * width, width, 3, padding=1), *norm(width)),
            *(nn.Conv2d(width, out_channels, 7, padding=3), nn.Tanh()),
        )
        _initialise(self, gain)

    def forward(self, images: Tensor, style: Tensor | None = None) -> Tensor:
        """Map images (N, C_in, H, W) in [-1, 1], and styles (N, style_dim) if it takes any, to (N, C_out, H, W)."""
        check_sides(images, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        if (style is not None) != (self.style_dim > 0):
            raise ValueError(f"this network takes styles of {self.style_dim} components: give them, or none if it is 0")
        return self.net(images, style)


class AugmentedEncoder(Network):
    """E_B: convolutions of stride 2 down to 4×4 and one to a vector, with batch norm and ReLU; a linear layer.

    Args:
        channels: channels of both images together.
        style_dim: length of the style.
        image_size: height and width of the images, in pixels; a power of two from 16 to 8192.
        width: channels after the first layer; doubled by each, up to 8 times this.

    NOTE: the authors' option of a stochastic encoder, with a variance beside the mean, is left out.
    """

    def __init__(
        self,
        channels: PositiveInt = 6,
        style_dim: PositiveInt = 16,
        image_size: PositiveInt = 64,
        width: PositiveInt = 32,
    ) -> None:
        super().__init__()
        self.image_shape, self.style_dim = (channels, image_size, image_size), style_dim
        widths = [width * min(2**level, 8) for level in range(halvings(image_size, smallest=4))]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.ReLU(inplace=True)]
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(widths[-1], widths[-1], 4, bias=False), nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True)]
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1], style_dim))
        init_normal(self)

    def forward(self, images_a: Tensor, images_b: Tensor) -> Tensor:
        """Map images of A and B, (N, C, S, S) in [-1, 1], to the style (N, style_dim) that makes B of A."""
        both = torch.cat([images_a, images_b], dim=1)
        check_images(both, self.image_shape)
        return self.net(both)


class AugmentedTranslator(TranslationNetwork):
    """G_AB, with the encoder and the generator back, by which an example of B gives a style.

    Args:
        generator: G_AB, called with images of A and styles.
        encoder: E_B, called with images of A and B.
        inverse: G_BA, called with images of B.
    """

    def __init__(self, generator: nn.Module, encoder: nn.Module, inverse: nn.Module) -> None:
        super().__init__()
        self.generator, self.encoder, self.inverse = generator, encoder, inverse
        stated: Any = generator
        self.in_channels, self.multiple, self.minimum = stated.in_channels, stated.multiple, stated.minimum
        self.style_dim: int = stated.style_dim
        self.example_channels: int = inverse.in_channels  # type: ignore[assignment]
        self.example_size: tuple[int, int] = encoder.image_shape[1:]  # type: ignore[assignment, index]

    def forward(self, images: Tensor, style: Tensor) -> Tensor:
        """Map images (N, C_in, H, W) of A in [-1, 1] and styles (N, style_dim) to images (N, C_out, H, W) of B."""
        return self.generator(images, style)

    def encode_style(self, examples: Tensor) -> Tensor:
        """Map images (N, C, S, S) of B in [-1, 1] to their styles (N, style_dim)."""
        return self.encoder(self.inverse(examples), examples)


class WholeDiscriminator(Network):
    """D_A: 3×3 convolutions of stride 2 down to 4×4, instance norm but at the image, LeakyReLU 0.2; then one logit.

    Args:
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: channels after the first layer; doubled by each, up to 4 times this.
        gain: see `AugmentedGenerator`.
    """

    def __init__(
        self,
        image_size: PositiveInt = 64,
        channels: PositiveInt = 3,
        width: PositiveInt = 32,
        gain: Finite = 0.0,
    ) -> None:
        super().__init__()
        self.image_shape = (channels, image_size, image_size)
        widths = [width * min(2**level, 4) for level in range(halvings(image_size, smallest=4))]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.InstanceNorm2d(outputs, affine=True)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.net = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4), nn.Flatten(0))
        _initialise(self, gain)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to logits (N,)."""
        check_images(images, self.image_shape)
        return self.net(images)


class LocalDiscriminator(Network):
    """D_B: five 4×4 convolutions, the first two of stride 2, with instance norm in the middle and LeakyReLU 0.2.

    Args:
        channels: channels of an image.
        width: channels after the first layer; doubled by the next two.
        gain: see `AugmentedGenerator`.
    """

    def __init__(self, channels: PositiveInt = 3, width: PositiveInt = 64, gain: Finite = 0.0) -> None:
        super().__init__()
        self.in_channels = channels
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for inputs, outputs, stride in ((width, 2 * width, 2), (2 * width, 4 * width, 1), (4 * width, 4 * width, 1)):
            layers += [nn.Conv2d(inputs, outputs, 4, stride, padding=1), nn.InstanceNorm2d(outputs, affine=True)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.net = nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 4, padding=1))
        _initialise(self, gain)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to a map of logits (N, 1, h, w)."""
        check_sides(images, self.in_channels, minimum=16)
        return self.net(images)


class StyleDiscriminator(Network):
    """D_zB: three linear layers with batch norm and LeakyReLU 0.2, and one to a logit.

    Args:
        style_dim: length of a style.
        width: units of a hidden layer.
    """

    def __init__(self, style_dim: PositiveInt = 16, width: PositiveInt = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (style_dim, width, width):
            layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.LeakyReLU(0.2, inplace=True)]
        self.net = nn.Sequential(*layers, nn.Linear(width, 1), nn.Flatten(0))
        # NOTE: linear layers and BatchNorm1d keep torch's initialisation, as in the authors' code

    def forward(self, styles: Tensor) -> Tensor:
        """Map styles (N, style_dim) to logits (N,)."""
        return self.net(styles)


def _initialise(module: nn.Module, gain: float) -> None:
    """Initialise weights as N(0, 0.02), biases 0, gains as N(gain, 0.02); those of a style begin at `gain`."""
    init_normal(module)
    for part in module.modules():
        if isinstance(part, nn.InstanceNorm2d) and part.affine:
            nn.init.normal_(part.weight, gain, 0.02)
        elif isinstance(part, StyleNorm):
            nn.init.constant_(part.gain.bias, gain)
