"""Autoencoders as discriminators, which judge images by their codes or by their reconstructions.

`DCGANAutoencoder` is MMD-GAN's: DCGAN's discriminator, ending in a code, and its generator. `BEGANAutoencoder` and
`BEGANGenerator` are those of Berthelot, Schumm, Metz, "BEGAN: Boundary Equilibrium Generative Adversarial Networks",
2017, arXiv 1703.10717, section 3.5: exponential linear units, no normalisation, the same number of filters at every
size of the decoder.
"""

import functools
from abc import abstractmethod

from torch import Tensor, nn
from typing_extensions import override

from gan_lightning.layers import append_labels, check_images, check_latent, halvings
from gan_lightning.networks.base import Generator
from gan_lightning.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_lightning.ranges import NonNegativeInt, PositiveInt
from gan_lightning.recording import Network


class Autoencoder(Network):
    """A network that reconstructs images from short codes. A subclass sets `encoder`, `decoder` and `code_dim`."""

    encoder: nn.Module
    decoder: nn.Module
    code_dim: int

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to codes (N, code_dim)."""

    def decode(self, codes: Tensor) -> Tensor:
        """Map codes (N, code_dim) to images (N, C, S, S)."""
        return self.decoder(codes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to their reconstructions, of the same shape."""
        return self.decode(self.encode(images))


class DCGANAutoencoder(Autoencoder):
    """DCGAN's discriminator, with a code instead of a logit, and DCGAN's generator on that code; batch norm in both.

    Args:
        code_dim: length of a code.
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: channels next to the image; doubled at each smaller size, up to 8 times this.
    """

    def __init__(
        self,
        code_dim: PositiveInt = 128,
        image_size: PositiveInt = 32,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
    ) -> None:
        super().__init__()
        self.code_dim = code_dim
        head = functools.partial(nn.Linear, out_features=code_dim, bias=False)
        self.encoder: DCGANDiscriminator = DCGANDiscriminator(image_size, channels, width, head=head)
        self.decoder = DCGANGenerator(code_dim, image_size, channels, width)

    @override
    def encode(self, images: Tensor) -> Tensor:
        return self.encoder(images).view(len(images), -1)


class BEGANGenerator(Generator):
    """A linear layer to 8×8 maps, then two 3×3 convolutions and ELU at each size, doubled by repeated pixels.

    NOTE: the skip connections from h0 and the vanishing residuals, which the paper adds for sharper images, are left
        out.
    NOTE: the output is linear, as in the paper. Values outside [-1, 1] are clipped when images are made for a user, but
        not here, so that the loss has a gradient everywhere.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: filters of every layer.
        num_classes: number of classes to condition on, by a one-hot vector beside z; 0 = none.
    """

    architecture = "began"

    def __init__(
        self,
        latent_dim: PositiveInt = 64,
        image_size: PositiveInt = 64,
        channels: PositiveInt = 3,
        width: PositiveInt = 128,
        num_classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        layers: list[nn.Module] = [nn.Linear(latent_dim + num_classes, width * 64), nn.Unflatten(1, (width, 8, 8))]
        for level in range(halvings(image_size, smallest=8) + 1):
            layers += [nn.Upsample(scale_factor=2.0)] if level else []
            for _ in range(2):
                layers += [nn.Conv2d(width, width, 3, padding=1), nn.ELU(inplace=True)]
        self.net = nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and labels int64 (N,) to images (N, C, S, S), which may exceed [-1, 1]."""
        check_latent(z, self.latent_dim)
        return self.net(append_labels(z, labels, self.num_classes))


class BEGANAutoencoder(Autoencoder):
    """BEGAN's discriminator: a mirrored generator, whose filters grow by `width` at each size, then a generator.

    Args:
        code_dim: length of a code.
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: filters next to the image, and of every layer of the decoder.
    """

    def __init__(
        self,
        code_dim: PositiveInt = 64,
        image_size: PositiveInt = 64,
        channels: PositiveInt = 3,
        width: PositiveInt = 128,
    ) -> None:
        super().__init__()
        self.code_dim = code_dim
        self.image_shape = (channels, image_size, image_size)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.ELU(inplace=True)]
        levels = halvings(image_size, smallest=8) + 1
        for level in range(levels):
            if level:
                layers += [nn.Conv2d(level * width, level * width, 3, stride=2, padding=1), nn.ELU(inplace=True)]
            for inputs in (max(level, 1) * width, (level + 1) * width):
                layers += [nn.Conv2d(inputs, (level + 1) * width, 3, padding=1), nn.ELU(inplace=True)]
        self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(levels * width * 64, code_dim))
        self.decoder = BEGANGenerator(code_dim, image_size, channels, width)

    @override
    def encode(self, images: Tensor) -> Tensor:
        check_images(images, self.image_shape)
        return self.encoder(images)
