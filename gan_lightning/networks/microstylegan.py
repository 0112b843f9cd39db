"""A generator with StyleGAN's ideas in their shortest form, to learn them by: MicroStyleGAN.

The ideas are those of Karras, Laine, Aila 2018, arXiv 1812.04948, figure 1: a mapping, a learnt constant, noise,
adaptive instance norm, and growth. There are no equalised rates and no blur, and each size has one layer, not two.

NOTE: LeakyReLU follows the adaptive instance norm, which it precedes in StyleGAN.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import ImageSize, check_latent, check_no_labels, pyramid
from gan_lightning.networks.growing import Growing
from gan_lightning.networks.progan import grown
from gan_lightning.networks.styled import Noise, StyledGenerator
from gan_lightning.ranges import PositiveInt, Share
from gan_lightning.recording import Network


class MicroMapping(Network):
    """Maps z to w by three linear layers with ReLU between them.

    Args:
        latent_dim: length of z.
        hidden_dim: length of the layers between.
        style_dim: length of w.
    """

    def __init__(self, latent_dim: PositiveInt, hidden_dim: PositiveInt, style_dim: PositiveInt) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.net = nn.Sequential(
            nn.Linear(latent_dim, hidden_dim),
            nn.ReLU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.ReLU(),
            nn.Linear(hidden_dim, style_dim),
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) to w (N, style_dim); there are no classes."""
        check_latent(z, self.latent_dim)
        check_no_labels(labels)
        return self.net(z)


class MicroBlock(nn.Module):
    """A 3x3 convolution, noise, adaptive instance norm y_s x̂ + y_b (equation 1), and LeakyReLU 0.2.

    Args:
        in_channels: channels of the maps that it takes.
        channels: channels of the maps that it makes.
        style_dim: length of w.
        size: height and width of the maps that it makes; those it takes are enlarged to this by linear interpolation.
    """

    noise: Tensor

    def __init__(self, in_channels: int, channels: int, style_dim: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.scale = nn.Parameter(torch.randn(channels, 1, 1))  # of the noise
        self.style = nn.Linear(style_dim, 2 * channels)
        self.register_buffer("noise", torch.randn(1, 1, *size))

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        """Map (N, in_channels, h, w) and styles (N, style_dim) to (N, channels, *size)."""
        if x.shape[2:] != self.size:
            x = F.interpolate(x, self.size, mode="bilinear", align_corners=False)
        x = self.conv(x)
        if noise != "none":
            maps = self.noise if noise == "fixed" else torch.randn(len(x), 1, *x.shape[2:], device=x.device)
            x = x + (self.scale * maps).to(x.dtype)
        scale, shift = self.style(w).to(x.dtype)[:, :, None, None].chunk(2, dim=1)
        return F.leaky_relu(torch.addcmul(shift, F.instance_norm(x), scale), 0.2)


class MicroStyleGANGenerator(StyledGenerator, Growing):
    """A constant of 4x4, changed by a block with a style at each size; a 1x1 convolution of each size makes an image.

    Images may exceed [-1, 1], since nothing limits them.

    Args:
        latent_dim: length of z.
        hidden_dim: length of the layers of the mapping.
        style_dim: length of w.
        image_size: height and width of an image, in pixels: one number for both, or a pair. Both can be halved until
            the shorter side has 4 to 7 pixels, and growing begins there or later.
        channels: channels of an image.
        constant_channels: channels of the constant.
        width: channels of all other maps.
        style_mixing: probability that a batch has the styles of other latents from some block on, in training mode.
        mean_decay: share of the running mean of w that a batch keeps.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 128,
        hidden_dim: PositiveInt = 1024,
        style_dim: PositiveInt = 496,
        image_size: ImageSize = 16,
        channels: PositiveInt = 3,
        constant_channels: PositiveInt = 512,
        width: PositiveInt = 256,
        style_mixing: Share = 0.9,
        mean_decay: Share = 0.995,
    ) -> None:
        super().__init__(style_dim, style_mixing, mean_decay, sizes=pyramid(image_size))
        self.latent_dim = latent_dim
        self.num_styles = len(self.sizes)
        self.mapping = MicroMapping(latent_dim, hidden_dim, style_dim)
        self.constant = nn.Parameter(torch.randn(1, constant_channels, *self.sizes[0]))
        inputs = [constant_channels, *[width] * (self.num_styles - 1)]
        self.blocks = nn.ModuleList(
            MicroBlock(n, width, style_dim, size) for n, size in zip(inputs, self.sizes, strict=True)
        )
        self.to_image = nn.ModuleList(nn.Conv2d(width, channels, 1) for _ in self.sizes)

    @property
    def styles_in_use(self) -> int:
        """The number of styles that reach the image: one a level that is active."""
        return self.level + 1

    def synthesis(self, w: Tensor, noise: Noise = "fresh") -> Tensor:
        """Make images (N, C, H, W) from w (N, style_dim), or (N, num_styles, style_dim); see `StyledGenerator`."""
        styles = [each.contiguous() for each in self.each_layer(w).unbind(1)]  # the same sums for both kinds of w

        def block(level: int, x: Tensor) -> Tensor:
            return self.blocks[level](x, styles[level], noise)

        return grown(self, block(0, self.constant.expand(len(w), -1, -1, -1)), block, self.to_image)
