"""CartoonGAN's translator, and its shallow discriminator of patches.

Chen, Lai, Liu, "CartoonGAN: Generative Adversarial Networks for Photo Cartoonization", 2018, section 3.1 and figure 2,
and the authors' Torch code.
"""

import itertools

from torch import Tensor, nn

from gan_lightning.layers import InstanceNorm2d, check_sides
from gan_lightning.layers.doubling import THREE_WIDE, Upsampling, doubling
from gan_lightning.layers.initialisation import Initialisation, initialise
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.networks.cyclegan import ResidualBlock
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network


class CartoonGenerator(TranslationNetwork):
    """Two pairs of convolutions down to a quarter of the size, residual blocks there, and two pairs back.

    Fully convolutional: any height and width that are multiples of 4, from 8 up. The first convolution of a pair
    changes the size; norm and ReLU follow the second. Instance norms learn a gain and a bias.
    The defaults have 11,129,667 parameters.

    NOTE: the authors' code has 16 blocks by default; the paper, and this class, 8.

    Args:
        in_channels: channels of the source image.
        out_channels: channels of the output image.
        width: channels at full size; doubled at half of it and again at a quarter.
        blocks: number of residual blocks at a quarter of the size.
        init: initialisation of the weights, see `initialise`.
        upsampling: method to double height and width, see `DCGANGenerator`.
    """

    architecture = "resnet"
    multiple = 4
    minimum = 8

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        width: PositiveInt = 64,
        blocks: PositiveInt = 8,
        init: Initialisation = "normal",
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        self.in_channels = in_channels

        def normalised(channels: int) -> list[nn.Module]:
            return [InstanceNorm2d(channels, affine=True), nn.ReLU(inplace=True)]

        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, width, 7, padding=3, padding_mode="reflect"),
            *normalised(width),
        ]
        for channels in (width, 2 * width):
            layers += [nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)]
            layers += [nn.Conv2d(2 * channels, 2 * channels, 3, padding=1), *normalised(2 * channels)]
        layers += [ResidualBlock(4 * width, affine=True) for _ in range(blocks)]
        for channels in (2 * width, width):
            layers += doubling(2 * channels, channels, upsampling, bias=True, transposed=THREE_WIDE)
            layers += [nn.Conv2d(channels, channels, 3, padding=1), *normalised(channels)]
        layers += [nn.Conv2d(width, out_channels, 7, padding=3, padding_mode="reflect"), nn.Tanh()]
        self.net = nn.Sequential(*layers)
        initialise(self, init)

    def forward(self, source: Tensor) -> Tensor:
        """Map source images (N, C_in, H, W) in [-1, 1] to images (N, C_out, H, W) in [-1, 1]."""
        check_sides(source, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        return self.net(source)


class CartoonDiscriminator(Network):
    """Seven convolutions of 3×3, two of them with stride 2: a map of logits, one for each 4×4 pixels.

    Whether a picture is drawn shows in small parts of it, so that the network is shallow (section 3.1). LeakyReLU 0.2;
    instance norms learn a gain and a bias. The defaults have 1,129,665 parameters. The convolutions of a logit reach
    over 37×37 pixels.

    Args:
        in_channels: channels of the images.
        width: channels after the first layer.
        init: initialisation of the weights, see `initialise`.
    """

    minimum = 8

    def __init__(self, in_channels: PositiveInt = 3, width: PositiveInt = 32, init: Initialisation = "normal") -> None:
        super().__init__()
        self.in_channels = in_channels
        widths = [in_channels, width, 2 * width, 4 * width, 4 * width, 8 * width, 8 * width]
        layers: list[nn.Module] = []
        for place, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2 if place in (1, 3) else 1, padding=1)]
            layers += [InstanceNorm2d(outputs, affine=True)] if place in (2, 4, 5) else []
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.net = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))
        initialise(self, init)

    def forward(
        self, images: Tensor, with_features: bool = False, with_logits: bool = True
    ) -> Tensor | DiscriminatorOutput:
        """Map images (N, C, H, W) in [-1, 1] to logits (N, 1, H/4, W/4), sides rounded up.

        With features, the result is a `DiscriminatorOutput` with the outputs of all LeakyReLUs; without logits, the
        last convolution does not run.
        """
        check_sides(images, self.in_channels, minimum=self.minimum)
        if not with_features:
            return self.net(images)
        x, features = images, []
        for layer in self.net if with_logits else self.net[:-1]:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                features.append(x)
        return DiscriminatorOutput((x,) if with_logits else (), (features,))
