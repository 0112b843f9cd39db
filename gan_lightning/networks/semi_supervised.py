"""The fully connected networks of Salimans et al. for MNIST with few labels.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved Techniques for Training GANs", 2016, arXiv 1606.03498,
section 5.1; layers and noise as in the authors' MNIST script. Internally, pixels are in [0, 1] as in that script.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import append_labels, check_images, check_latent
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt


class SoftplusGenerator(Generator):
    """Linear layers with batch norm and softplus between them, then a sigmoid.

    NOTE: the last layer's weights are not normalised, unlike in the script.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels.
        channels: channels of an image.
        hidden: units of each hidden layer, first to last.
        num_classes: number of classes to condition on, by a one-hot vector beside z; 0 = none.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 100,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        hidden: Sequence[PositiveInt] = (500, 500),
        num_classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.image_shape = (channels, image_size, image_size)
        widths = [latent_dim + num_classes, *hidden]
        layers: list[nn.Module] = []
        for inputs, units in itertools.pairwise(widths):
            layers += [nn.Linear(inputs, units, bias=False), nn.BatchNorm1d(units), nn.Softplus()]
        self.net = nn.Sequential(*layers, nn.Linear(widths[-1], math.prod(self.image_shape)))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and labels int64 (N,) to images (N, C, S, S) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        pixels = self.net(append_labels(z, labels, self.num_classes)).sigmoid()  # (N, C·S·S) in [0, 1]
        return (2 * pixels - 1).unflatten(1, self.image_shape)


class NoisyDiscriminator(Discriminator):
    """Weight-normalised linear layers with ReLU; in training, Gaussian noise on the pixels and on each hidden layer.

    Features are those of the last hidden layer, before its noise.

    The weights of a hidden unit always have norm √2, with which ReLU keeps a signal's strength: D gains nothing by
    scaling its features up.

    NOTE: the script sets the norms by a first batch of data, and then also keeps them.

    Args:
        image_size: height and width of an image, in pixels.
        channels: channels of an image.
        hidden: units of each hidden layer, first to last.
        input_noise: standard deviation of the noise on pixels in [0, 1]; 0 turns it off.
        noise: standard deviation of the noise on hidden layers; 0 turns it off.
        num_classes: number of classes to condition on, by a one-hot vector beside the pixels; 0 = none.
        head: makes a module from features, with noise, to logits. None = linear, to one logit.
    """

    def __init__(
        self,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        hidden: Sequence[PositiveInt] = (1000, 500, 250, 250, 250),
        *,
        input_noise: NonNegativeFloat = 0.3,
        noise: NonNegativeFloat = 0.5,
        num_classes: NonNegativeInt = 0,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.image_shape = (channels, image_size, image_size)
        widths = [math.prod(self.image_shape) + num_classes, *hidden]
        layers: list[nn.Module] = []
        for level, (inputs, units) in enumerate(itertools.pairwise(widths)):
            layers += [_Noise(noise if level else input_noise), _NormalisedLinear(inputs, units), nn.ReLU()]
        self.net = nn.Sequential(*layers)
        self.num_features = widths[-1]
        last = nn.Linear(self.num_features, 1) if head is None else head(self.num_features)
        self.head = nn.Sequential(_Noise(noise), last)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] and labels int64 (N,) to the last hidden layer, (N, F)."""
        check_images(images, self.image_shape)
        return self.net(append_labels((images.flatten(1) + 1) / 2, labels, self.num_classes))


class _NormalisedLinear(nn.Linear):
    """A linear layer whose units have weights of norm √2."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, math.sqrt(2) * F.normalize(self.weight), self.bias)


class _Noise(nn.Module):
    """Adds Gaussian noise in training."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        return x + self.deviation * torch.randn_like(x) if self.training and self.deviation else x
