"""The volumetric networks of 3D-GAN, and the encoder of pictures of 3D-VAE-GAN.

Wu, Zhang, Xue, Freeman, Tenenbaum, "Learning a Probabilistic Latent Space of Object Shapes via 3D
Generative-Adversarial Modeling", 2016, arXiv 1610.07584, section 3 and supplement.

A shape is a grid of occupancy, (N, 1, S, S, S) with the axes (x, y, z), y upwards. Between networks it is -1 where
space is empty and 1 where it is occupied, as all pictures of this library are. Inside it is 0 and 1, the range of the
paper's sigmoid, so that the zeros around a grid that convolutions see are empty space.

NOTE: at other sizes than 64 there are fewer or more layers; those at the small end have 8 · width channels at most.
"""

import itertools
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.data.batches import Role
from gan_lightning.layers import check_images, check_latent, halvings, init_normal
from gan_lightning.layers.volumes import DoublingConv3d, HalvingConv3d
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network


def _widths(size: int, width: int) -> list[int]:
    """Return the channels at half the size, a quarter, ... down to 4×4×4."""
    return [width * min(2**level, 8) for level in range(halvings(size, smallest=4))]


class ThreeDGANGenerator(Generator):
    """Transposed convolutions from 1 to 4×4×4 and on, doubling each time, with batch norm and ReLU between; a sigmoid.

    The defaults have the paper's layers: 512, 256, 128 and 64 channels from 4³ to 32³, and one at 64³; 17,567,744
    weights and 1,920 numbers of batch norm.

    Args:
        latent_dim: length of z.
        size: voxels along each side; a power of two from 16 on.
        width: channels before the last layer; doubled at each smaller size, up to 8 times this.
    """

    makes: ClassVar[Role] = Role.VOXELS

    def __init__(self, latent_dim: PositiveInt = 200, size: PositiveInt = 64, width: PositiveInt = 64) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, 0
        widths = _widths(size, width)[::-1]
        # a transposed convolution of a single voxel is a linear layer
        layers: list[nn.Module] = [nn.Linear(latent_dim, widths[0] * 4**3, bias=False)]
        layers += [nn.Unflatten(1, (widths[0], 4, 4, 4))]
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.BatchNorm3d(inputs), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose3d(inputs, outputs, 4, stride=2, padding=1, bias=False)]
        layers += [nn.BatchNorm3d(width), nn.ReLU(inplace=True), DoublingConv3d(width, 1)]
        self.net = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, z: Tensor, as_logits: bool = False) -> Tensor:
        """Map z (N, latent_dim) to shapes (N, 1, S, S, S) in [-1, 1], or to the logits of occupancy."""
        check_latent(z, self.latent_dim)
        logits = self.net(z)
        return logits if as_logits else 2 * logits.sigmoid() - 1


class ThreeDGANDiscriminator(Discriminator):
    """The generator's mirror: strided convolutions with batch norm and LeakyReLU 0.2, then one to the logit.

    The defaults have the paper's layers: 64, 128, 256 and 512 channels from 32³ to 4³; 11,046,912 weights and 1,920
    numbers of batch norm.

    Args:
        size: voxels along each side; a power of two from 16 on.
        width: channels after the first layer; doubled at each smaller size, up to 8 times this.
        head: makes a module from features to a logit. None = linear (the paper's last convolution).
    """

    def __init__(self, size: PositiveInt = 64, width: PositiveInt = 64, head: HeadFactory | None = None) -> None:
        super().__init__()
        self.voxel_shape = (1, size, size, size)
        widths = _widths(size, width)
        self.layers = nn.ModuleList(
            nn.Sequential(
                HalvingConv3d(1, outputs) if inputs == 1 else nn.Conv3d(inputs, outputs, 4, 2, padding=1, bias=False),
                nn.BatchNorm3d(outputs),
                nn.LeakyReLU(0.2, inplace=True),
            )
            for inputs, outputs in itertools.pairwise([1, *widths])
        )
        self.num_features = widths[-1] * 4**3
        self.head = nn.Linear(self.num_features, 1, bias=False) if head is None else head(self.num_features)
        init_normal(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map shapes (N, 1, S, S, S) in [-1, 1] to the last maps, (N, F)."""
        return self._maps(images)[-1].flatten(1)

    def descriptors(self, images: Tensor) -> Tensor:
        """Map shapes (N, 1, S, S, S) in [-1, 1] to the features that the paper classifies shapes by, (N, F').

        All maps but the first are reduced to 2×2×2 by their maxima and joined: 7,168 features with the defaults
        (section 4.2).
        """
        return torch.cat([F.adaptive_max_pool3d(maps, 2).flatten(1) for maps in self._maps(images)[1:]], dim=1)

    def _maps(self, shapes: Tensor) -> list[Tensor]:
        check_images(shapes, self.voxel_shape)
        maps = [(shapes + 1) / 2]
        for layer in self.layers:
            maps.append(layer(maps[-1]))
        return maps[1:]


class ThreeDVAEGANEncoder(Network):
    """Five convolutions from a picture to the posterior q(z|y), with batch norm and ReLU between.

    The paper's for 256×256 RGB: kernels 11, 5, 5, 5 and 8, strides 4, 2, 2, 2 and 1; 64, 128, 256, 512 and 2 · 200
    channels. 17,431,232 weights.

    NOTE: at other sizes the first layer has the stride that leaves 64 pixels a side, or 1; the last kernel covers all
        that is left.

    Args:
        latent_dim: length of z.
        image_size: height and width of a picture, in pixels; 16, or a multiple of 32.
        channels: channels of a picture.
        width: channels after the first layer; doubled by each of the next three.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 200,
        image_size: PositiveInt = 256,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = (channels, image_size, image_size)
        stride = max(1, image_size // 64)
        if image_size % (8 * stride) or image_size < 16:
            raise ValueError(
                f"image_size must be a multiple of {8 * stride}, 16 or more, not {image_size}: resize the pictures to "
                "64, 128, 256, ... pixels"
            )
        layers: list[nn.Module] = []
        for (inputs, outputs), kernel, step in zip(
            itertools.pairwise([channels, width, 2 * width, 4 * width, 8 * width]),
            (11, 5, 5, 5),
            (stride, 2, 2, 2),
            strict=True,
        ):
            layers += [nn.Conv2d(inputs, outputs, kernel, step, padding=kernel // 2, bias=False)]
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(8 * width, 2 * latent_dim, image_size // (8 * stride), bias=False), nn.Flatten()]
        self.net = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map pictures (N, C, S, S) in [-1, 1] to means and standard deviations, (2, N, latent_dim)."""
        check_images(images, self.image_shape)
        mean, log_variance = self.net(images).float().chunk(2, dim=1)
        return torch.stack([mean, (log_variance / 2).exp()])
