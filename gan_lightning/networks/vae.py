"""Encoders and decoders of variational autoencoders, and the discriminator that learns beside them in the VAE-GAN.

`VAEEncoder` and `VAEDecoder` are small and convolutional, for 28×28 digits, as is usual in courses on GANs.
`VAEMLPEncoder` and `VAEMLPDecoder` are those of Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", 2015,
arXiv 1509.00519, section 5.1, with one layer of latents. The others are the networks of Larsen, Sønderby, Larochelle,
Winther, "Autoencoding beyond pixels using a learned similarity metric", 2015, arXiv 1512.09300, table 1, with the
strides and widths of the authors' code.

An encoder returns the posterior q(z|x), a normal distribution of independent components, as means and standard
deviations, (2, N, latent_dim), so that `mean, std = encoder(images)`. A decoder is a generator: it maps z to images,
and any generator of this library can be one.

NOTE: the authors' initial weights are unknown; here all networks of the VAE-GAN have DCGAN's, N(0, 0.02).
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_lightning.layers import check_images, check_latent, init_normal
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network


def _posterior(parameters: Tensor, logs_per_std: int) -> Tensor:
    """Convert (N, 2L), means beside `logs_per_std` times log standard deviations, to (2, N, L), in float32."""
    mean, log_std = parameters.float().chunk(2, dim=1)
    return torch.stack([mean, (log_std / logs_per_std).exp()])


class VAEEncoder(Network):
    """Three 4×4 convolutions of stride 2, from 28×28 to 13×13, 5×5 and 1×1; batch norm and LeakyReLU 0.2 between.

    Args:
        latent_dim: length of z.
        channels: channels of an image.
        width: channels after the first layer; the second has twice as many.
    """

    def __init__(self, latent_dim: PositiveInt = 32, channels: PositiveInt = 1, width: PositiveInt = 16) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = (channels, 28, 28)
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise([channels, width, 2 * width]):
            layers += [
                nn.Conv2d(inputs, outputs, 4, stride=2),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.net = nn.Sequential(*layers, nn.Conv2d(2 * width, 2 * latent_dim, 4, stride=2), nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, 28, 28) in [-1, 1] to means and standard deviations, (2, N, latent_dim)."""
        check_images(images, self.image_shape)
        return _posterior(self.net(images), logs_per_std=1)


class VAEDecoder(Generator):
    """Four transposed convolutions, from 1×1 to 3×3, 6×6, 13×13 and 28×28; batch norm and ReLU between; a sigmoid.

    Args:
        latent_dim: length of z.
        channels: channels of an image.
        width: channels before the last layer; the two layers before it have four times and twice as many.
    """

    architecture = "dcgan"

    def __init__(self, latent_dim: PositiveInt = 32, channels: PositiveInt = 1, width: PositiveInt = 64) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, 0
        layers: list[nn.Module] = []
        widths = itertools.pairwise([latent_dim, 4 * width, 2 * width, width])
        for (inputs, outputs), (kernel, stride) in zip(widths, [(3, 2), (4, 1), (3, 2)], strict=True):
            layers += [nn.ConvTranspose2d(inputs, outputs, kernel, stride)]
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        self.net = nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 4, stride=2))

    def logits(self, z: Tensor) -> Tensor:
        """Map z (N, latent_dim) to the logits of white pixels, (N, C, 28, 28), for a Bernoulli likelihood."""
        check_latent(z, self.latent_dim)
        return self.net(z[:, :, None, None])

    def forward(self, z: Tensor, as_logits: bool = False) -> Tensor:
        """Map z (N, latent_dim) to images (N, C, 28, 28) in [-1, 1], by a sigmoid of the logits; or to logits."""
        logits = self.logits(z)
        return logits if as_logits else 2 * logits.sigmoid() - 1


def _glorot(module: nn.Module) -> None:
    """Draw the weights of linear layers as Glorot and Bengio do, and set their biases to zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


def _tanh_layers(widths: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    return layers


class VAEMLPEncoder(Network):
    """Linear layers with tanh between them.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels.
        channels: channels of an image.
        hidden: units of each hidden layer, first to last.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 50,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        hidden: Sequence[PositiveInt] = (200, 200),
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = (channels, image_size, image_size)
        widths = [math.prod(self.image_shape), *hidden]
        self.net = nn.Sequential(nn.Flatten(), *_tanh_layers(widths), nn.Linear(widths[-1], 2 * latent_dim))
        _glorot(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to means and standard deviations, (2, N, latent_dim)."""
        check_images(images, self.image_shape)
        return _posterior(self.net(images), logs_per_std=1)


class VAEMLPDecoder(Generator):
    """Linear layers with tanh between them, and a sigmoid.

    NOTE: the biases of the output start at 0; the authors' code has the logits of the training set's mean image, which
        a network cannot know. It matters: after three epochs of binarised MNIST the ELBO was -146 nats from zeros, and
        -119 from the mean image.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels.
        channels: channels of an image.
        hidden: units of each hidden layer, first to last.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 50,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        hidden: Sequence[PositiveInt] = (200, 200),
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, 0
        shape = (channels, image_size, image_size)
        widths = [latent_dim, *hidden]
        self.net = nn.Sequential(*_tanh_layers(widths), nn.Linear(widths[-1], math.prod(shape)), nn.Unflatten(1, shape))
        _glorot(self)

    def logits(self, z: Tensor) -> Tensor:
        """Map z (N, latent_dim) to the logits of white pixels, (N, C, S, S), for a Bernoulli likelihood."""
        check_latent(z, self.latent_dim)
        return self.net(z)

    def forward(self, z: Tensor, as_logits: bool = False) -> Tensor:
        """Map z (N, latent_dim) to images (N, C, S, S) in [-1, 1], by a sigmoid of the logits; or to logits."""
        logits = self.logits(z)
        return logits if as_logits else 2 * logits.sigmoid() - 1


class VAEGANEncoder(Network):
    """Three 5×5 convolutions of stride 2, a hidden layer and the posterior; batch norm and ReLU after all but the last.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels; a multiple of 8.
        channels: channels of an image.
        width: channels after the first convolution; doubled by each of the others.
        hidden: units of the hidden layer.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 128,
        image_size: PositiveInt = 64,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
        hidden: PositiveInt = 1024,
    ) -> None:
        super().__init__()
        _check_size(image_size)
        self.latent_dim = latent_dim
        self.image_shape = (channels, image_size, image_size)
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise([channels, width, 2 * width, 4 * width]):
            layers += [_halved(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        layers += [nn.Flatten(), nn.Linear(4 * width * (image_size // 8) ** 2, hidden, bias=False)]
        layers += [nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 2 * latent_dim)]
        self.net = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to means and standard deviations, (2, N, latent_dim)."""
        check_images(images, self.image_shape)
        return _posterior(self.net(images), logs_per_std=2)  # the network returns the log of the variance


class VAEGANDecoder(Generator):
    """A linear layer to maps of an eighth of the size, three 5×5 transposed convolutions, and one at the full size.

    Batch norm and ReLU follow all but the last, which ends in tanh.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels; a multiple of 8.
        channels: channels of an image.
        width: channels of the largest hidden maps; those before have 4, 8 and 8 times as many.
    """

    architecture = "dcgan"

    def __init__(
        self,
        latent_dim: PositiveInt = 128,
        image_size: PositiveInt = 64,
        channels: PositiveInt = 3,
        width: PositiveInt = 32,
    ) -> None:
        super().__init__()
        _check_size(image_size)
        self.latent_dim, self.num_classes = latent_dim, 0
        size = image_size // 8
        widths = [8 * width, 8 * width, 4 * width, width]
        units = widths[0] * size**2
        layers: list[nn.Module] = [
            *(nn.Linear(latent_dim, units, bias=False), nn.BatchNorm1d(units), nn.ReLU(inplace=True)),
            nn.Unflatten(1, (widths[0], size, size)),
        ]
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.ConvTranspose2d(inputs, outputs, 5, 2, padding=2, output_padding=1, bias=False)]
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        self.net = nn.Sequential(*layers, nn.Conv2d(width, channels, 5, padding=2), nn.Tanh())
        init_normal(self)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (N, latent_dim) to images (N, C, S, S) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        return self.net(z)


class VAEGANDiscriminator(Discriminator):
    """A 5×5 convolution, three more of stride 2 and two linear layers; batch norm (not at first) and ReLU between.

    `features` is the last convolution's output, before its batch norm, where the paper compares images.

    Args:
        image_size: height and width of an image, in pixels; a multiple of 8.
        channels: channels of an image.
        width: channels after the first convolution; those after have 4, 8 and 8 times as many.
        hidden: units of the linear layer before the logit.
        head: makes a module from features to a logit. None = the linear layers described above.
    """

    def __init__(
        self,
        image_size: PositiveInt = 64,
        channels: PositiveInt = 3,
        width: PositiveInt = 32,
        hidden: PositiveInt = 512,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        _check_size(image_size)
        self.image_shape = (channels, image_size, image_size)
        size, deepest = image_size // 8, 8 * width
        self.net = nn.Sequential(
            *(nn.Conv2d(channels, width, 5, padding=2), nn.ReLU(inplace=True)),
            *(_halved(width, 4 * width), nn.BatchNorm2d(4 * width), nn.ReLU(inplace=True)),
            *(_halved(4 * width, deepest), nn.BatchNorm2d(deepest), nn.ReLU(inplace=True)),
            *(_halved(deepest, deepest), nn.Flatten()),
        )
        self.num_features = deepest * size**2
        self.head = (
            head(self.num_features)
            if head
            else nn.Sequential(
                *(nn.Unflatten(1, (deepest, size, size)), nn.BatchNorm2d(deepest), nn.ReLU(), nn.Flatten()),
                *(nn.Linear(self.num_features, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True)),
                nn.Linear(hidden, 1),
            )
        )
        init_normal(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to the values of the deepest maps, (N, F)."""
        check_images(images, self.image_shape)
        return self.net(images)


def _halved(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 5, stride=2, padding=2, bias=False)


def _check_size(image_size: int) -> None:
    if image_size < 8 or image_size % 8:
        raise ValueError(
            f"image_size must be a multiple of 8, not {image_size}: resize the images to 32, 64, ... pixels"
        )
