"""The networks of StyleGAN: Karras, Laine, Aila, 2018, arXiv 1812.04948, figure 1 and configuration F of table 1."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import EqualisedConv2d, EqualisedLinear, ImageSize, pyramid
from gan_lightning.layers.antialiasing import blur
from gan_lightning.layers.fading import enlarged
from gan_lightning.networks.growing import Growing
from gan_lightning.networks.progan import HE, ProGANDiscriminator, grown, widths
from gan_lightning.networks.styled import Mapping, Noise, StyledGenerator
from gan_lightning.ranges import NonNegativeInt, PositiveFloat, PositiveInt, Share


class StyledLayer(nn.Module):
    """Noise, bias, LeakyReLU 0.2, and adaptive instance norm (equation 1): (1 + s(w)) x̂ + b(w), x̂ normalised.

    The scale of the noise, one number a channel, begins at 0, so that training turns it on.

    Args:
        channels: channels of the maps.
        style_dim: length of w.
        size: height and width of the maps.
    """

    noise: Tensor

    def __init__(self, channels: int, style_dim: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.style = EqualisedLinear(style_dim, 2 * channels)
        self.register_buffer("noise", torch.randn(1, 1, *size))

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        """Map (N, channels, H, W) and w (N, style_dim) to (N, channels, H, W)."""
        if noise != "none":
            maps = self.noise if noise == "fixed" else torch.randn(len(x), 1, *x.shape[2:], device=x.device)
            x = x + (self.scale * maps).to(x.dtype)
        x = F.instance_norm(F.leaky_relu(x + self.bias.to(x.dtype), 0.2), eps=1e-8)
        gain, bias = self.style(w).to(x.dtype)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(bias, x, gain + 1)


class StyleGANGenerator(StyledGenerator, Growing):
    """A mapping of z to w, and a synthesis of images from a learnt constant, changed by w at two layers a size.

    The defaults have 26,219,627 parameters. Images may exceed [-1, 1], since nothing limits them.

    Args:
        latent_dim: length of z.
        style_dim: length of w.
        image_size: height and width of an image, in pixels: one number for both, or a pair. Both can be halved until
            the shorter side has 4 to 7 pixels, and growing begins there or later.
        channels: channels of an image.
        width: most channels of a layer.
        capacity: twice the channels of the maps of level 0, were they not limited by `width`; they halve at each level.
        mapping_layers: layers of the mapping.
        mapping_rate: factor on the speed with which the mapping learns.
        style_mixing: probability that a batch has the styles of other latents from some layer on, in training mode.
        mean_decay: share of the running mean of w that a batch keeps.
        num_classes: number of classes to condition the mapping on; 0 = none.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 512,
        style_dim: PositiveInt = 512,
        image_size: ImageSize = 1024,
        channels: PositiveInt = 3,
        width: PositiveInt = 512,
        capacity: PositiveInt = 8192,
        mapping_layers: PositiveInt = 8,
        mapping_rate: PositiveFloat = 0.01,
        style_mixing: Share = 0.9,
        mean_decay: Share = 0.995,
        num_classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__(style_dim, style_mixing, mean_decay, sizes=pyramid(image_size))
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.num_styles = 2 * len(self.sizes)
        self.mapping = Mapping(latent_dim, style_dim, mapping_layers, mapping_rate, num_classes)
        of = widths(len(self.sizes), width, capacity)
        self.constant = nn.Parameter(torch.ones(1, of[0], *self.sizes[0]))
        self.convs = nn.ModuleList([EqualisedConv2d(of[0], of[0], 3, HE, bias=False)])
        for level in range(1, len(self.sizes)):
            self.convs.append(EqualisedConv2d(of[level - 1], of[level], 3, HE, bias=False))
            self.convs.append(EqualisedConv2d(of[level], of[level], 3, HE, bias=False))
        self.layers = nn.ModuleList(
            StyledLayer(of[i // 2], style_dim, self.sizes[i // 2]) for i in range(self.num_styles)
        )
        self.to_image = nn.ModuleList(EqualisedConv2d(n, channels, 1) for n in of)

    @property
    def styles_in_use(self) -> int:
        """The number of styles that reach the image: two a level that is active."""
        return 2 * (self.level + 1)

    def synthesis(self, w: Tensor, noise: Noise = "fresh") -> Tensor:
        """Make images (N, C, H, W) from w (N, style_dim), or (N, num_styles, style_dim); see `StyledGenerator`."""
        styles = [each.contiguous() for each in self.each_layer(w).unbind(1)]  # the same sums for both kinds of w
        x = self.layers[0](self.constant.expand(len(w), -1, -1, -1), styles[0], noise)
        x = self.layers[1](self.convs[0](x), styles[1], noise)

        def block(level: int, x: Tensor) -> Tensor:
            x = self.layers[2 * level](blur(self.convs[2 * level - 1](enlarged(x))), styles[2 * level], noise)
            return self.layers[2 * level + 1](self.convs[2 * level](x), styles[2 * level + 1], noise)

        return grown(self, x, block, self.to_image)


class StyleGANDiscriminator(ProGANDiscriminator):
    """ProGAN's discriminator, with a blur in front of each halving."""

    def soften(self, x: Tensor) -> Tensor:
        """Return maps (N, C, H, W) blurred by [1, 2, 1] / 4 along both axes."""
        return blur(x)
