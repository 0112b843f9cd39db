"""The multi-scale network of RealNVP.

Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2016, arXiv 1605.08803, sections 3.4 to 3.7.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from gan_lightning.layers import check_images, check_latent
from gan_lightning.layers.flow import Couplings, Logit, squeeze, unsqueeze
from gan_lightning.networks.base import Generator
from gan_lightning.ranges import PositiveInt


class RealNVPNetwork(Generator):
    """Coupling layers at several scales, between images and normal latents of as many values.

    At each scale there are three couplings with checkerboard masks, a squeeze of 2×2 pixels, and three couplings with
    masks over maps; half of the maps then become latents. At the last scale there are four with checkerboard masks.

    Args:
        image_size: height and width of an image, in pixels; multiples of 2 to the power of `scales` - 1.
        channels: channels of an image.
        scales: number of scales.
        width: maps inside the networks of the first scale; doubled at each further one.
        blocks: residual blocks of each network.
        levels: number of values of a channel in the data, 256 for stored images.
        alpha: α of the logit before the first layer.

    NOTE: α + (1 - 2 α) x is the authors' code's, with α = 0.05; the paper has α + (1 - α) x.
    NOTE: that maps double at each scale is a public port's; the paper does not say.
    NOTE: a squeeze keeps the channels of a pixel together, so that masks over maps divide the pixels of a block.
    """

    def __init__(
        self,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 32,
        channels: PositiveInt = 3,
        scales: PositiveInt = 2,
        width: PositiveInt = 64,
        blocks: PositiveInt = 8,
        levels: PositiveInt = 256,
        alpha: float = 0.05,
    ) -> None:
        super().__init__()
        height, across = (image_size, image_size) if isinstance(image_size, int) else image_size
        least = 2 ** (scales - 1)
        if height % least or across % least:
            raise ValueError(f"image_size {height}x{across} is halved {scales - 1} times: make it multiples of {least}")
        if not 0 < alpha < 0.5:
            raise ValueError(f"alpha is above 0 and below 0.5, such as 0.05, and not {alpha}")
        self.image_shape, self.levels = (channels, height, across), levels
        self.latent_dim, self.num_classes = channels * height * across, 0
        self.logit = Logit(alpha)
        self.boards, self.maps = nn.ModuleList(), nn.ModuleList()
        for scale in range(scales):
            inside = width * 2**scale
            last = scale == scales - 1
            self.boards.append(Couplings(4 if last else 3, channels, inside, blocks, checkerboard=True))
            if not last:
                self.maps.append(Couplings(3, 4 * channels, inside, blocks, checkerboard=False))
            channels *= 2

    def forward(self, inputs: Tensor, inverse: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Map latents z (N, latent_dim) to images (N, C, H, W) in [-1, 1]; or, if `inverse`, by `encode`."""
        return self.encode(inputs) if inverse else self.generate(inputs)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map values x (N, C, H, W) in (0, 1) to latents z (N, latent_dim); return log |det dz/dx| too, (N,)."""
        check_images(x, self.image_shape)
        h, log_det = self.logit(x)
        latents = []
        for scale, boards in enumerate(self.boards):
            h, of_boards = boards(h)
            log_det = log_det + of_boards
            if scale < len(self.maps):
                h, of_maps = self.maps[scale](squeeze(h))
                log_det = log_det + of_maps
                out, h = h.chunk(2, dim=1)
                latents.append(out.flatten(1))
        return torch.cat([*latents, h.flatten(1)], dim=1), log_det

    def decode(self, z: Tensor) -> Tensor:
        """Invert `encode`: map z (N, latent_dim) to values (N, C, H, W), in (0, 1) for images."""
        check_latent(z, self.latent_dim)
        channels, height, width = self.image_shape
        parts = []
        deepest = len(self.maps)
        for scale in range(deepest):
            size = (2 * channels * 2**scale, height >> (scale + 1), width >> (scale + 1))
            part, z = z.split([math.prod(size), z.shape[1] - math.prod(size)], dim=1)
            parts.append(part.unflatten(1, size))
        h = z.unflatten(1, (channels * 2**deepest, height >> deepest, width >> deepest))
        boards: list[Any] = [*self.boards]
        maps: list[Any] = [*self.maps]
        h = boards[-1].inverse(h)
        for scale in reversed(range(deepest)):
            h = maps[scale].inverse(torch.cat([parts[scale], h], dim=1))
            h = boards[scale].inverse(unsqueeze(h))
        return self.logit.inverse(h)

    def generate(self, z: Tensor) -> Tensor:
        """Map z (N, latent_dim) to images: a value within a level's interval becomes its level in [-1, 1]."""
        return (self.decode(z) * self.levels - 0.5) * (2 / (self.levels - 1)) - 1
