"""The encoder of styles of BicycleGAN; its generator is `UNetGenerator` with a style, its discriminator `MultiScale`.

Zhu, Zhang, Pathak, Darrell, Efros, Wang, Shechtman, "Toward Multimodal Image-to-Image Translation", 2017, arXiv
1711.11586, section 4 and the authors' code.
"""

import itertools
from typing import Any

from torch import Tensor, nn

from gan_lightning.layers import InstanceNorm2d, check_sides
from gan_lightning.layers.initialisation import Initialisation, initialise
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network


class _Block(nn.Module):
    """Instance norm, LeakyReLU, 3×3, instance norm, LeakyReLU, 3×3, mean of 2×2; in parallel a mean of 2×2 and 1×1."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            InstanceNorm2d(inputs),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(inputs, inputs, 3, padding=1),
            InstanceNorm2d(inputs),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.AvgPool2d(2),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        return self.net(x) + self.shortcut(x)


class BicycleEncoder(Network):
    """E: the normal distribution of an image's style, by a convolution and residual blocks that halve, and a mean.

    The defaults have the authors' 2,590,032 parameters.

    Args:
        in_channels: channels of the images.
        width: channels after the first layer; twice, three times and four times as many after the blocks.
        blocks: number of residual blocks.
        style_dim: number of components of a style.
        init: initialisation of the weights, see `initialise`.

    NOTE: the mean is over all of the last maps, so that images of any size have a style; the authors' is over 8×8, all
        of them at 256×256.
    """

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        width: PositiveInt = 64,
        blocks: PositiveInt = 4,
        style_dim: PositiveInt = 8,
        init: Initialisation = "xavier",
    ) -> None:
        super().__init__()
        self.in_channels, self.style_dim = in_channels, style_dim
        self.minimum = 4 * 2**blocks  # two pixels a side are left to the last block's second norm
        widths = [width * min(number, 4) for number in range(1, blocks + 2)]
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, width, 4, stride=2, padding=1),
            *(_Block(inputs, outputs) for inputs, outputs in itertools.pairwise(widths)),
            nn.LeakyReLU(0.2, inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.mean = nn.Linear(widths[-1], style_dim)
        self.log_variance = nn.Linear(widths[-1], style_dim)
        initialise(self, init)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (N, C, H, W) in [-1, 1] to means μ and to log σ² of their styles, each (N, style_dim)."""
        check_sides(images, self.in_channels, minimum=self.minimum)
        features = self.features(images)
        return self.mean(features), self.log_variance(features)


class StyledTranslation(TranslationNetwork):
    """A translator that takes a style, with an encoder of styles beside it.

    Args:
        translator: maps images and styles (N, style_dim) to images; it states what a `TranslationNetwork` states.
        encoder: maps images of the target domain to means and log variances of their styles, each (N, style_dim).

    Raises:
        ValueError: the two differ in the number of a style's components.
    """

    def __init__(self, translator: nn.Module, encoder: nn.Module) -> None:
        super().__init__()
        self.translator: Any = translator
        self.encoder: Any = encoder
        for name in ("in_channels", "multiple", "minimum"):
            setattr(self, name, getattr(translator, name))
        self.scale = getattr(translator, "scale", 1)
        self.example_channels = encoder.in_channels
        self.style_dim = getattr(encoder, "style_dim", 0)
        if getattr(translator, "style_dim", 0) != self.style_dim or not self.style_dim:
            raise ValueError(
                f"the generator {type(translator).__name__} takes styles of {getattr(translator, 'style_dim', 0)} "
                f"components, and the encoder {type(encoder).__name__} makes {self.style_dim}: set style_dim of both "
                "to the same number above 0"
            )

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        """Map source images (N, C, H, W) in [-1, 1] and styles (N, style_dim) to images."""
        return self.translator(images, code)

    def encode_style(self, examples: Tensor) -> Tensor:
        """Map images of the target domain (N, C, H, W) in [-1, 1] to the means of their styles (N, style_dim)."""
        return self.encoder(examples)[0]
