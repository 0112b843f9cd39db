"""Fully connected networks: those of the first GAN and of the first conditional GAN, both for 28×28 digits.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio, "Generative Adversarial Networks", 2014,
arXiv 1406.2661; layer sizes and initial weights as in the authors' released MNIST configuration.
Mirza, Osindero, "Conditional Generative Adversarial Nets", 2014, arXiv 1411.1784, section 4.1.

Internally, pixels are in [0, 1] as in both papers: the generators end in a sigmoid, which is scaled to this library's
[-1, 1], and the discriminators scale their input back. (On [-1, 1], where a digit's background is -1 and not 0, the
first GAN's learning rate of 0.1 diverges.)
NOTE: the discriminators return logits; the sigmoid is part of the loss.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import Maxout, append_labels, check_images, check_latent, init_uniform, one_hot
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import NonNegativeInt, PositiveInt, Share
from gan_lightning.recording import Network


def _stretched(pixels: Tensor) -> Tensor:
    """Scale [0, 1] to [-1, 1]."""
    return 2 * pixels - 1


def _shrunk(pixels: Tensor) -> Tensor:
    """Scale [-1, 1] to [0, 1]."""
    return (pixels + 1) / 2


class MLPGenerator(Generator):
    """The generator of the first GAN: linear layers with ReLU between them.

    The defaults have the paper's 2,503,984 parameters.
    NOTE: the output's bias starts at 0, not at the logits of the training set's mean image, which a network cannot
        know.

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
        hidden: Sequence[PositiveInt] = (1200, 1200),
        num_classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.image_shape = (channels, image_size, image_size)
        layers: list[nn.Module] = []
        for inputs, units in itertools.pairwise([latent_dim + num_classes, *hidden]):
            layers += [nn.Linear(inputs, units), nn.ReLU(inplace=True)]
        self.net = nn.Sequential(
            *layers, nn.Linear([latent_dim + num_classes, *hidden][-1], math.prod(self.image_shape))
        )
        init_uniform(self, 0.05)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and labels int64 (N,) to images (N, C, S, S) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        x = self.net(append_labels(z, labels, self.num_classes))  # (N, C·S·S)
        return _stretched(x.sigmoid()).unflatten(1, self.image_shape)


class MLPDiscriminator(Discriminator):
    """The discriminator of the first GAN: maxout layers with dropout before each layer.

    The defaults have the paper's 1,231,441 parameters.

    Args:
        image_size: height and width of an image, in pixels.
        channels: channels of an image.
        hidden: units of each maxout layer, first to last.
        pieces: number of linear functions of a maxout unit.
        input_dropout: probability that an input value is dropped in training; 0 turns it off.
        dropout: probability that a hidden value is dropped in training; 0 turns it off.
        num_classes: number of classes to condition on, by a one-hot vector beside the pixels; 0 = none.
        head: makes a module from features to a logit. None = linear.
    """

    def __init__(
        self,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        hidden: Sequence[PositiveInt] = (240, 240),
        *,
        pieces: PositiveInt = 5,
        input_dropout: Share = 0.2,
        dropout: Share = 0.5,
        num_classes: NonNegativeInt = 0,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.image_shape = (channels, image_size, image_size)
        widths = [math.prod(self.image_shape) + num_classes, *hidden]
        layers: list[nn.Module] = [nn.Dropout(input_dropout)]
        for inputs, units in itertools.pairwise(widths):
            layers += [Maxout(inputs, units, pieces), nn.Dropout(dropout)]
        self.net = nn.Sequential(*layers)
        self.num_features = widths[-1]
        self.head = nn.Linear(self.num_features, 1) if head is None else head(self.num_features)
        init_uniform(self, 0.005)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] and labels int64 (N,) to the last hidden layer, (N, F)."""
        check_images(images, self.image_shape)
        return self.net(append_labels(_shrunk(images.flatten(1)), labels, self.num_classes))


class ConditionalMLPGenerator(Generator):
    """The generator of the first conditional GAN: z and label each have a hidden layer, and then a common one.

    The defaults have the paper's 2,413,984 parameters.
    NOTE: the paper states neither which values dropout affects (here: all hidden ones) nor the initial weights (here:
        as
    in MLPGenerator).

    Args:
        num_classes: number of classes to condition on.
        latent_dim: length of z.
        image_size: height and width of an image, in pixels.
        channels: channels of an image.
        latent_units: hidden units for z.
        label_units: hidden units for the one-hot label.
        joint_units: hidden units for both.
        dropout: probability that a hidden value is dropped in training; 0 turns it off.
    """

    def __init__(
        self,
        num_classes: NonNegativeInt = 10,
        latent_dim: PositiveInt = 100,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        *,
        latent_units: PositiveInt = 200,
        label_units: PositiveInt = 1000,
        joint_units: PositiveInt = 1200,
        dropout: Share = 0.5,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.image_shape = (channels, image_size, image_size)
        self.latent = nn.Linear(latent_dim, latent_units)
        self.label = nn.Linear(num_classes, label_units)
        self.joint = nn.Linear(latent_units + label_units, joint_units)
        self.output = nn.Linear(joint_units, math.prod(self.image_shape))
        self.dropout = nn.Dropout(dropout)
        init_uniform(self, 0.05)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and labels int64 (N,) to images (N, C, S, S) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        h = torch.cat([self.latent(z), self.label(one_hot(labels, self.num_classes))], dim=1)  # (N, 200 + 1000)
        h = F.relu(self.joint(self.dropout(F.relu(h))))  # (N, 1200)
        return _stretched(self.output(self.dropout(h)).sigmoid()).unflatten(1, self.image_shape)


class ConditionalMLPDiscriminator(Network):
    """The discriminator of the first conditional GAN: image and label each have a maxout layer, and then a common one.

    NOTE: the paper states neither which values dropout affects (here: all hidden ones) nor the initial weights (here:
        as
    in MLPDiscriminator).

    Args:
        num_classes: number of classes to condition on.
        image_size: height and width of an image, in pixels.
        channels: channels of an image.
        image_units: maxout units, of 5 pieces, for the image.
        label_units: maxout units, of 5 pieces, for the one-hot label.
        joint_units: maxout units, of 4 pieces, for both.
        dropout: probability that a hidden value is dropped in training; 0 turns it off.
    """

    def __init__(
        self,
        num_classes: NonNegativeInt = 10,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        *,
        image_units: PositiveInt = 240,
        label_units: PositiveInt = 50,
        joint_units: PositiveInt = 240,
        dropout: Share = 0.5,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.image_shape = (channels, image_size, image_size)
        self.image = Maxout(math.prod(self.image_shape), image_units, pieces=5)
        self.label = Maxout(num_classes, label_units, pieces=5)
        self.joint = Maxout(image_units + label_units, joint_units, pieces=4)
        self.output = nn.Linear(joint_units, 1)
        self.dropout = nn.Dropout(dropout)
        init_uniform(self, 0.005)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] and labels int64 (N,) to logits (N,)."""
        check_images(images, self.image_shape)
        h = torch.cat(
            [self.image(_shrunk(images.flatten(1))), self.label(one_hot(labels, self.num_classes))], dim=1
        )  # (N, 240 + 50)
        h = self.joint(self.dropout(h))  # (N, 240)
        return self.output(self.dropout(h)).squeeze(1)
