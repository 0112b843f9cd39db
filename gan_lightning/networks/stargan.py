"""The networks of StarGAN: a translator that takes a target, and a discriminator that also classifies.

Choi, Choi, Kim, Ha, Kim, Choo, "StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image
Translation", 2017, arXiv 1711.09020, tables 4 and 5, and the authors' PyTorch code.

NOTE: instance norm keeps no running statistics. The authors' does, and their test script never leaves training mode, in
    which it does not use them.
NOTE: weights start as PyTorch's layers have them, as in the authors' code.
"""

import itertools

import torch
from torch import Tensor, nn

from gan_lightning.layers import ImageSize, InstanceNorm2d, check_images, check_sides, sides
from gan_lightning.layers.doubling import Upsampling, doubling
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with zero padding, no biases, and instance norm with gain and bias; added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            InstanceNorm2d(channels, affine=True),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return x + self.net(x)


class StarGANGenerator(TranslationNetwork):
    """Two convolutions down to a quarter of the size, residual blocks there, and two transposed convolutions back.

    The code of the target is repeated over the image as further channels. The borders are zeros: with reflected ones, a
    constant plane stays constant after the first convolution, and instance norm removes it.

    With 5 targets it has the authors' 8,430,528 parameters, and with 8 it has 8,439,936.

    Args:
        num_targets: number of domains or attributes, K.
        in_channels: channels of the images.
        width: channels at full size; doubled at half of it and again at a quarter.
        blocks: number of residual blocks at a quarter of the size.
        upsampling: method to double height and width, see `DCGANGenerator`.
    """

    multiple = 4
    minimum = 8

    def __init__(
        self,
        num_targets: PositiveInt = 5,
        in_channels: PositiveInt = 3,
        width: PositiveInt = 64,
        blocks: PositiveInt = 6,
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        self.num_targets, self.in_channels = num_targets, in_channels
        layers: list[nn.Module] = [nn.Conv2d(in_channels + num_targets, width, 7, padding=3, bias=False)]
        layers += [InstanceNorm2d(width, affine=True), nn.ReLU(inplace=True)]
        for channels in (width, 2 * width):
            layers += [nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=False)]
            layers += [InstanceNorm2d(2 * channels, affine=True), nn.ReLU(inplace=True)]
        layers += [ResidualBlock(4 * width) for _ in range(blocks)]
        for channels in (2 * width, width):
            layers += doubling(2 * channels, channels, upsampling)
            layers += [InstanceNorm2d(channels, affine=True), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(width, in_channels, 7, padding=3, bias=False), nn.Tanh()]
        self.net = nn.Sequential(*layers)

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] and codes float (N, K) to images (N, C, H, W) in [-1, 1]."""
        check_sides(images, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        if code.dim() != 2 or code.shape[1] != self.num_targets:
            raise ValueError(
                f"this network takes codes of shape (N, {self.num_targets}), not {tuple(code.shape)}: "
                "build it with the num_targets of the data"
            )
        planes = code[:, :, None, None].expand(-1, -1, *images.shape[2:])
        return self.net(torch.cat([images, planes.to(images.dtype)], dim=1))


class StarGANDiscriminator(Network):
    """4×4 convolutions with stride 2 and LeakyReLU 0.01, and two heads without biases: patches, and the targets.

    With 5 targets and images of 128×128 it has the authors' 44,762,048 parameters, and with 8 it has 44,786,624.

    Args:
        num_targets: number of domains or attributes, K.
        image_size: height and width of the images, in pixels; multiples of 2 to the number of layers.
        in_channels: channels of the images.
        width: channels after the first layer; doubled at each later one.
        layers: number of convolutions before the heads.

    Raises:
        ValueError: the layers cannot halve such images.
    """

    def __init__(
        self,
        num_targets: PositiveInt = 5,
        image_size: ImageSize = 128,
        in_channels: PositiveInt = 3,
        width: PositiveInt = 64,
        layers: PositiveInt = 6,
    ) -> None:
        super().__init__()
        size = sides(image_size)
        self.num_targets, self.image_shape = num_targets, (in_channels, *size)
        if any(side % 2**layers for side in size):
            raise ValueError(
                f"{layers} layers halve images of {size[0]}x{size[1]} pixels to no whole number: choose multiples of "
                f"{2**layers}, or fewer layers"
            )
        widths = [in_channels, *(width * 2**level for level in range(layers))]
        parts: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            parts += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.01, inplace=True)]
        self.net = nn.Sequential(*parts)
        self.patches = nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False)
        last = [side // 2**layers for side in size]
        self.classifier = nn.Conv2d(widths[-1], num_targets, (last[0], last[1]), bias=False)

    def forward(self, images: Tensor, with_features: bool = False, with_logits: bool = True) -> DiscriminatorOutput:
        """Map images (N, C, H, W) in [-1, 1] to logits (N, 1, h, w) of patches and class logits (N, K).

        The features are the outputs of all layers.
        """
        check_images(images, self.image_shape)
        x, features = images, []
        for part in self.net:
            x = part(x)
            if isinstance(part, nn.LeakyReLU):
                features.append(x)
        answer = DiscriminatorOutput((), (features,) if with_features else ())
        if not with_logits:
            return answer
        return answer._replace(logits=(self.patches(x),), class_logits=self.classifier(x).flatten(1))
