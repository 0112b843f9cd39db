"""The autoencoder of VQ-VAE, with its codebook.

van den Oord, Vinyals, Kavukcuoglu, "Neural Discrete Representation Learning", 2017, arXiv 1711.00937, section 4.1, with
the widths of the authors' code (deepmind/sonnet, examples/vqvae_example.ipynb).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_lightning.layers.codebook import Codebook
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.ranges import PositiveFloat, PositiveInt


class Coded(NamedTuple):
    """What the autoencoder computes for images."""

    reconstruction: Tensor  # (N, C, H, W)
    encoded: Tensor  # z_e(x), (N, D, H/4, W/4)
    quantised: Tensor  # z_q(x), with the gradient of z_e, (N, D, H/4, W/4)
    codes: Tensor  # int64 (N, H/4, W/4)


class ResidualLayer(nn.Module):
    """A rectifier, a 3×3 convolution, a rectifier and a 1×1 convolution; the input is added.

    Args:
        width: maps outside.
        inside: maps between the convolutions.
    """

    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.ReLU(), nn.Conv2d(width, inside, 3, padding=1)), *(nn.ReLU(), nn.Conv2d(inside, width, 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to maps of the same shape."""
        return x + self.net(x)


class VQAutoencoder(TranslationNetwork):
    """Two 4×4 convolutions of stride 2, a 3×3 one and residual layers; the codebook; and the way back.

    It maps images to their reconstructions. Sides are multiples of 4, and codes have a quarter of them.

    Args:
        channels: channels of an image.
        width: maps of most layers; the largest ones have half as many.
        residual_layers: number of residual layers on each way.
        residual_width: maps within a residual layer.
        codes: K, the number of vectors of the codebook.
        code_dim: D, the components of each.
        decay: γ of the codebook's moving averages.
    """

    multiple = 4
    minimum = 4

    def __init__(
        self,
        channels: PositiveInt = 3,
        width: PositiveInt = 128,
        residual_layers: PositiveInt = 2,
        residual_width: PositiveInt = 32,
        codes: PositiveInt = 512,
        code_dim: PositiveInt = 64,
        decay: PositiveFloat = 0.99,
    ) -> None:
        super().__init__()
        if decay >= 1:
            raise ValueError(f"decay={decay:g} would keep the codebook as it is: make it less than 1, such as 0.99")
        self.in_channels, self.codes = channels, codes
        half = max(1, width // 2)

        def residual() -> list[nn.Module]:
            return [*(ResidualLayer(width, residual_width) for _ in range(residual_layers)), nn.ReLU()]

        self.encoder = nn.Sequential(
            *(nn.Conv2d(channels, half, 4, 2, 1), nn.ReLU()),
            *(nn.Conv2d(half, width, 4, 2, 1), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), *residual()),
            nn.Conv2d(width, code_dim, 1),
        )
        self.codebook = Codebook(codes, code_dim, decay)
        self.decoder = nn.Sequential(
            *(nn.Conv2d(code_dim, width, 3, padding=1), *residual()),
            *(nn.ConvTranspose2d(width, half, 4, 2, 1), nn.ReLU()),
            nn.ConvTranspose2d(half, channels, 4, 2, 1),
        )

    def forward(self, images: Tensor, whole: bool = False) -> Tensor | Coded:
        """Map images (N, C, H, W) in [-1, 1] to their reconstructions, or to all that is computed on the way."""
        if images.shape[1] != self.in_channels or images.shape[2] % 4 or images.shape[3] % 4:
            raise ValueError(
                f"this network takes images of {self.in_channels} channels whose sides are multiples of 4, not "
                f"{tuple(images.shape[1:])}: set channels, or resize the images"
            )
        encoded = self.encoder(images)
        quantised, codes = self.codebook(encoded)
        reconstruction = self.decoder(quantised)
        return Coded(reconstruction, encoded, quantised, codes) if whole else reconstruction

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to their codes, int64 (N, 1, H/4, W/4), without gradient."""
        return self.codebook.nearest(self.encoder(images)).unsqueeze(1)

    def decode(self, codes: Tensor) -> Tensor:
        """Map codes int64 (N, 1, H/4, W/4) to images (N, C, H, W), limited to [-1, 1]."""
        return self.decoder(self.codebook.look_up(codes[:, 0])).clamp(-1, 1)
