"""The convolutional networks of DCGAN, in the form of the authors' Torch port: 4×4 kernels, stride 2.

Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
2015, arXiv 1511.06434.

NOTE: the paper's own code has a linear layer and 5×5 kernels; the port's 4×4 kernels are multiples of the stride, and
the field has used the port since.
NOTE: for images over 64×64 the layers at the small end repeat the widest one (8 · width channels) instead of doubling
it at each size, which would quadruple the parameters each time.
NOTE: labels, if there are any, enter as one-hot vectors beside z and as one-hot maps beside the image's channels.
"""

import itertools
from typing import Literal

from torch import Tensor, nn

from gan_lightning.layers import (
    Norm,
    append_labels,
    check_images,
    check_latent,
    halvings,
    init_normal,
    norm2d,
    normalise_spectrally,
)
from gan_lightning.layers.doubling import Upsampling, doubling
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import NonNegativeInt, PositiveInt


def _widths(image_size: int, width: int) -> list[int]:
    """Return the channels at half the image's size, a quarter, ... down to 4×4."""
    return [width * min(2**level, 8) for level in range(halvings(image_size, smallest=4))]


class DCGANGenerator(Generator):
    """Transposed convolutions from 1×1 to 4×4 and on, doubling each time, with batch norm and ReLU between; then tanh.

    The defaults have the Torch port's 3,576,704 parameters.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: channels before the last layer; doubled at each smaller size, up to 8 times this.
        num_classes: number of classes to condition on, by a one-hot vector beside z; 0 = none.
        upsampling: method to double height and width: "transposed" convolutions (the paper's); or "nearest" or
            "bilinear" interpolation and 3×3 convolutions, which leave no checkerboard patterns.
    """

    architecture = "dcgan"

    def __init__(
        self,
        latent_dim: PositiveInt = 100,
        image_size: PositiveInt = 64,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
        num_classes: NonNegativeInt = 0,
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        widths = _widths(image_size, width)[::-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim + num_classes, widths[0], 4, bias=False)]
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)]
            layers += doubling(inputs, outputs, upsampling)
        layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        layers += [*doubling(width, channels, upsampling), nn.Tanh()]
        self.net = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and labels int64 (N,) to images (N, C, S, S) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        return self.net(append_labels(z, labels, self.num_classes)[:, :, None, None])


class DCGANDiscriminator(Discriminator):
    """The generator's mirror: strided convolutions with LeakyReLU 0.2, normalised except at the image and the logit.

    The defaults have the Torch port's 2,765,568 parameters.

    Args:
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: channels after the first layer; doubled at each smaller size, up to 8 times this.
        num_classes: number of classes to condition on, by one-hot maps beside the image's channels; 0 = none.
        norm: "batch" (the paper); "layer", "instance" or "none" for losses with a gradient penalty, which batch norm
            spoils; "spectral" for spectral normalisation of the weights. With "none" and "spectral" only, the
            convolutions have biases.
        head: makes a module from features to a logit. None = linear (the paper's last convolution).
    """

    def __init__(
        self,
        image_size: PositiveInt = 64,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
        num_classes: NonNegativeInt = 0,
        norm: Norm | Literal["spectral"] = "batch",
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.image_shape = (channels, image_size, image_size)
        bias = norm in ("none", "spectral")
        of_maps: Norm = "none" if norm == "spectral" else norm
        widths = _widths(image_size, width)
        layers: list[nn.Module] = [nn.Conv2d(channels + num_classes, width, 4, stride=2, padding=1, bias=bias)]
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.LeakyReLU(0.2, inplace=True)]
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=bias), norm2d(of_maps, outputs)]
        self.net = nn.Sequential(*layers, nn.LeakyReLU(0.2, inplace=True))
        self.num_features = widths[-1] * 4 * 4
        self.head = nn.Linear(self.num_features, 1, bias=bias) if head is None else head(self.num_features)
        init_normal(self)
        if norm == "spectral":
            normalise_spectrally(self.net)
            if head is None:
                normalise_spectrally(self.head)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] and labels int64 (N,) to the last maps, (N, F)."""
        check_images(images, self.image_shape)
        return self.net(append_labels(images, labels, self.num_classes)).flatten(1)
