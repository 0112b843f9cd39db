"""The residual translator of CycleGAN.

Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
arXiv 1703.10593, section 4 and appendix 7.2, after Johnson et al. 2016 (arXiv 1603.08155).

NOTE: instance norm learns no gain and bias, as in the authors' PyTorch code (their Torch code learns them).
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from gan_lightning.layers import InstanceNorm2d, check_sides
from gan_lightning.layers.antialiasing import BlurDownsample
from gan_lightning.layers.doubling import THREE_WIDE, Upsampling, doubling
from gan_lightning.layers.initialisation import Initialisation, initialise
from gan_lightning.layers.winograd import ReflectedConv2d
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.ranges import PositiveInt, Share


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with reflected borders and instance norm, added to the input; no ReLU after the sum.

    Args:
        channels: channels of input and output.
        dropout: probability that a value between the convolutions is dropped in training.
        affine: let the norms learn a gain and a bias.
    """

    def __init__(self, channels: int, dropout: float = 0.0, affine: bool = False) -> None:
        super().__init__()
        self.net = nn.Sequential(
            ReflectedConv2d(channels, channels),
            InstanceNorm2d(channels, affine=affine),
            nn.ReLU(inplace=True),
            *([nn.Dropout(dropout)] if dropout else []),
            ReflectedConv2d(channels, channels),
            InstanceNorm2d(channels, affine=affine),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return x + self.net(x)


class ResNetGenerator(TranslationNetwork):
    """Two convolutions down to a quarter of the size, residual blocks there, and two convolutions back.

    Fully convolutional: any height and width that are multiples of 4, from 8 up.
    The defaults have the authors' 11,378,179 parameters; the authors use 6 blocks (7,837,699) for 128×128. CUT's
    generator is the same with `antialias` and init "xavier".

    Layers, for `features`, have the numbers of CUT's code: 0 is the image, and i is the output of the i-th module of
    `net`. With `antialias`, 4 and 8 are the convolutions on the way down (before their norm) and 12 is the first
    residual block.

    Args:
        in_channels: channels of the source image.
        out_channels: channels of the output image.
        width: channels at full size; doubled at half of it and again at a quarter.
        blocks: number of residual blocks at a quarter of the size.
        antialias: halve sizes by a convolution of stride 1 and a blur, and double them by bilinear interpolation and a
            convolution (CUT). False = strided and transposed convolutions (CycleGAN). The number of parameters is the
            same.
        init: initialisation of the weights, see `initialise`.
        dropout: probability that a value in the middle of a residual block is dropped in training; 0 (the paper) turns
            it off. The authors' code has 0.5 as an option.
    """

    architecture = "resnet"
    multiple = 4
    minimum = 8

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        width: PositiveInt = 64,
        blocks: PositiveInt = 9,
        antialias: bool = False,
        init: Initialisation = "normal",
        dropout: Share = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, width, 7, padding=3, padding_mode="reflect"),
            InstanceNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        for channels in (width, 2 * width):
            layers += [nn.Conv2d(channels, 2 * channels, 3, stride=1 if antialias else 2, padding=1)]
            layers += [InstanceNorm2d(2 * channels), nn.ReLU(inplace=True)]
            layers += [BlurDownsample()] if antialias else []
        layers += [ResidualBlock(4 * width, dropout) for _ in range(blocks)]
        for channels in (2 * width, width):
            upsampling: Upsampling = "bilinear" if antialias else "transposed"
            layers += doubling(2 * channels, channels, upsampling, bias=True, transposed=THREE_WIDE)
            layers += [InstanceNorm2d(channels), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(width, out_channels, 7, padding=3, padding_mode="reflect"), nn.Tanh()]
        self.net = nn.Sequential(*layers)
        initialise(self, init)

    def forward(self, source: Tensor, layers: Sequence[int] | None = None) -> Any:
        """Map source images (N, C_in, H, W) in [-1, 1] to images (N, C_out, H, W) in [-1, 1].

        If layers are given, return their `features`, a list of tensors, instead.
        """
        if layers is not None:
            return self.features(source, layers)
        check_sides(source, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        return self.net(source)

    def features(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Map images (N, C_in, H, W) in [-1, 1] to feature maps (N, C, h, w) of the layers; later ones do not run."""
        check_sides(images, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        x, found = images, {0: images}
        for layer, module in enumerate(self.net[: max(layers)], start=1):
            x = module(x)
            if layer in layers:
                found[layer] = x.clone()  # a ReLU in place after a norm would overwrite it
        return [found[layer] for layer in layers]

    def feature_channels(self, layers: Sequence[int]) -> list[int]:
        """Return the numbers of channels of these layers' feature maps.

        Raises:
            ValueError: the network has no such layer.
        """
        channels = [self.in_channels]
        for module in self.net:
            channels.append(getattr(module, "out_channels", channels[-1]))
        if wrong := [layer for layer in layers if not 0 <= layer < len(channels)]:
            raise ValueError(
                f"this network has the layers 0 to {len(channels) - 1}, and not {wrong}: choose among them"
            )
        return [channels[layer] for layer in layers]
