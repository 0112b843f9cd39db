"""The residual translator of CycleGAN.

Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
arXiv 1703.10593, section 4 and appendix 7.2, after Johnson et al. 2016 (arXiv 1603.08155).

NOTE: instance norm learns no gain and bias, as in the authors' PyTorch code (their Torch code learns them).
"""

from torch import Tensor, nn

from gan_lightning.layers import check_sides, init_normal
from gan_lightning.recording import Network


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with reflected borders and instance norm, added to the input; no ReLU after the sum.

    Args:
        channels: channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        return x + self.net(x)


class ResNetGenerator(Network):
    """Two strided convolutions down to a quarter of the size, residual blocks there, and two transposed ones back.

    Fully convolutional: any height and width that are multiples of 4, from 8 up.
    The defaults have the authors' 11,378,179 parameters; they use 6 blocks (7,837,699) for 128×128.

    Args:
        in_channels: channels of the source image.
        out_channels: channels of the image made.
        width: channels at full size; doubled at half of it and again at a quarter.
        blocks: residual blocks at a quarter of the size; 0 for none.
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 3, width: int = 64, blocks: int = 9) -> None:
        super().__init__()
        self.in_channels = in_channels
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, width, 7, padding=3, padding_mode="reflect"),
            nn.InstanceNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        for channels in (width, 2 * width):
            layers += [nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)]
            layers += [nn.InstanceNorm2d(2 * channels), nn.ReLU(inplace=True)]
        layers += [ResidualBlock(4 * width) for _ in range(blocks)]
        for channels in (2 * width, width):
            layers += [nn.ConvTranspose2d(2 * channels, channels, 3, stride=2, padding=1, output_padding=1)]
            layers += [nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(width, out_channels, 7, padding=3, padding_mode="reflect"), nn.Tanh()]
        self.net = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, source: Tensor) -> Tensor:
        """Source images (N, C_in, H, W) in [-1, 1] to images (N, C_out, H, W) in [-1, 1]."""
        check_sides(source, self.in_channels, minimum=8, multiple=4)
        return self.net(source)
