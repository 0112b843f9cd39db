"""Base classes of generators and translators; those of discriminators are in `gan_lightning.networks.discriminator`.

A network of your own may derive from these, or have the same attributes.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from gan_lightning.data.batches import Role
from gan_lightning.layers import check_images, check_labels, check_no_labels
from gan_lightning.recording import Network


class Generator(Network):
    """Maps latents (N, latent_dim), and labels int64 (N,) if it takes any, to images (N, C, H, W) in [-1, 1].

    A constructor sets `latent_dim`, and `num_classes` unless it is 0. A generator with a space of styles w between
    latents and images also has `mapping(z, *labels)` and `synthesis(w)` (see `gan_lightning.inference.LatentSampler`),
    and `num_styles` if its layers can have different ones.

    One whose outputs are of another kind than images states it by `makes`.
    """

    makes: ClassVar[Role] = Role.IMAGE
    """The kind of its outputs, one of those in `gan_lightning.data.forms.FORMS`."""

    latent_dim: int
    """Number of components of a latent vector."""
    num_classes: int = 0
    """Number of classes to condition on. 0 = the generator takes no labels."""


class TranslationNetwork(Network):
    """Maps images (N, in_channels, H, W) in [-1, 1] to others, of `scale` times their height and width.

    A network with a choice is called with a code too, `network(images, code)`: of a target (see
    `gan_lightning.inference.DomainTranslator`), or of a style (see `StyleTranslator`).
    """

    in_channels: int
    """Number of channels of the input."""
    multiple: int = 1
    """Height and width of the input must be multiples of this number, in pixels."""
    minimum: int = 1
    """The smallest height and width of the input, in pixels."""
    scale: int = 1
    """Ratio of the sides of the output to those of the input."""
    style_dim: int = 0
    """Number of components of the styles that the network takes as a second argument (N, style_dim).

    0 = it takes none that can be drawn.

    If it has a method `encode_style(examples)`, images give styles too."""
    classes: int = 0
    """Number of classes of the maps that the network makes. 0 = it makes images."""


class Steps(ABC):
    """The evaluation of an autoregressive network pixel by pixel, which keeps what earlier pixels have computed."""

    @abstractmethod
    def at(self, values: Tensor, row: int, column: int) -> Tensor:
        """Return the network's output at a pixel, of images whose pixels before it are known.

        Pixels are asked for row by row, from left to right, and each as often as it gets another colour.

        Args:
            values: int64 (N, C, H, W); unknown ones are not used.
            row: of the pixel.
            column: of the pixel.

        Returns:
            (N, ...), `network(values)[..., row, column]` up to the rounding of sums.
        """


class AutoregressiveNetwork(Network):
    """Gives the distribution of each value of an image, given the values before it, and labels if it takes any.

    A constructor sets `image_shape`, `levels`, and `num_classes` unless it is 0. It is called with values int64
    (N, C, H, W) from 0 to levels - 1 and labels int64 (N,), and returns logits (N, levels, C, H, W); a network with
    other distributions overrides `nats` and `draw` too.
    """

    image_shape: tuple[int, int, int]
    """Channels, height and width of an image."""
    levels: int
    """Number of values that each channel of a pixel can have."""
    num_classes: int = 0
    """Number of classes to condition on. 0 = the network takes no labels."""

    @property
    def passes(self) -> int:
        """Number of evaluations at each pixel: one for each colour, which needs those before it."""
        return self.image_shape[0]

    @property
    def noise_shape(self) -> tuple[int, int, int]:
        """Shape of the uniform random numbers that an image is drawn by: (numbers of a pixel, height, width)."""
        return self.image_shape

    def check(self, values: Tensor, labels: Tensor | None) -> None:
        """Raise ValueError unless values are (N, *image_shape), and labels are there if there are classes."""
        check_images(values, self.image_shape)
        if self.num_classes:
            check_labels(labels, self.num_classes)
        else:
            check_no_labels(labels)

    def nats(self, output: Tensor, values: Tensor) -> Tensor:
        """Return -log p of each image, float32 (N,), for the network's output and the values int64 (N, C, H, W)."""
        return F.cross_entropy(output.float(), values, reduction="none").flatten(1).sum(1)

    def draw(self, output: Tensor, noise: Tensor, values: Tensor, number: int) -> None:
        """Draw values of one pixel by the inverse of their distribution function.

        Args:
            output: the network's output at the pixel, (N, ...).
            noise: uniform numbers of the pixel, (N, numbers).
            values: those of the pixel, int64 (N, C), which are set.
            number: of the evaluation at this pixel, from 0 to `passes` - 1: a colour.
        """
        below = output[:, :, number].float().softmax(1).cumsum(1)
        values[:, number] = (below[:, :-1] <= noise[:, number, None]).sum(1)

    def begin(self, count: int, labels: Tensor | None = None) -> Steps:
        """Return the evaluation of `count` new images pixel by pixel. The default computes all of them anew."""
        return _Anew(self, labels)


class _Anew(Steps):
    """The whole network at each pixel."""

    def __init__(self, network: AutoregressiveNetwork, labels: Tensor | None) -> None:
        self.network = network
        self.given = [] if labels is None else [labels]

    def at(self, values: Tensor, row: int, column: int) -> Tensor:
        return self.network(values, *self.given)[..., row, column]
