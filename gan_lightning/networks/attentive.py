"""Residual networks with self-attention: the common part of SAGAN's and BigGAN's.

Their widths are multiples of one number that depend on the size of the images, as in the authors' code of BigGAN.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import (
    ResidualDownBlock,
    ResidualUpBlock,
    check_images,
    check_latent,
    normalise_spectrally,
    pyramid,
    sides,
)
from gan_lightning.layers.attention import SelfAttention
from gan_lightning.layers.initialisation import Start, start_weights
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import HeadFactory, ProjectingDiscriminator

UP = {
    2: (4, 4),
    3: (4, 4, 4),
    4: (16, 8, 4, 2),
    5: (16, 8, 4, 2, 1),
    6: (16, 8, 8, 4, 2, 1),
    7: (16, 8, 8, 4, 2, 1, 1),
}
"""Multiples of the width after each block of a generator, by the number of times that it doubles its smallest map."""
DOWN = {
    2: (4,),
    3: (4, 4),
    4: (1, 2, 4, 8),
    5: (1, 2, 4, 8, 16),
    6: (1, 2, 4, 8, 8, 16),
    7: (1, 1, 2, 4, 8, 8, 16),
}
"""The same after each block of a discriminator that halves."""
PLAIN = {2: (4, 4), 3: (4, 4)}
"""The same after the blocks that follow at the smallest size; (16,) for larger images."""


def _levels(image_size: int | Sequence[int]) -> list[tuple[int, int]]:
    maps = pyramid(image_size)
    if len(maps) - 1 not in UP:
        height, width = sides(image_size)
        raise ValueError(
            f"these networks make images whose shorter side is from 16 to 1023 pixels, not {height}x{width}: resize "
            "the images, and set image_size to the same"
        )
    return maps


def _attending(attention: Sequence[int], heights: Sequence[int]) -> None:
    for height in attention:
        if height not in heights:
            raise ValueError(
                f"attention={list(attention)}, but no map of this network is {height} pixels high: choose from "
                f"{', '.join(map(str, heights))}, or [] for no attention"
            )


def _attention(channels: int, attends: bool) -> nn.Module:
    return SelfAttention(channels) if attends else nn.Identity()


class AttentiveGenerator(Generator):
    """A linear layer to the smallest map, residual blocks that double it, attention after some of them, and tanh.

    All weights but embeddings are spectrally normalised.

    Args:
        inputs: number of values that the linear layer takes.
        image_size: height and width of the images.
        channels: channels of an image.
        width: channels of the last block (below 64 pixels: four times as many; then twice); those of the others are
            multiples.
        norm: makes the norm in a block for a number of channels.
        attention: heights of the maps with attention.
        init: see `start_weights`.
        eps: see `normalise_spectrally`.
    """

    def __init__(
        self,
        inputs: int,
        image_size: int | Sequence[int],
        channels: int,
        width: int,
        norm: Callable[[int], nn.Module],
        attention: Sequence[int],
        init: Start,
        eps: float,
    ) -> None:
        super().__init__()
        self.smallest, *maps = _levels(image_size)
        _attending(attention, [height for height, _ in maps])
        widths = [width * multiple for multiple in UP[len(maps)]]
        widths = [widths[0], *widths]
        self.input = nn.Linear(inputs, widths[0] * self.smallest[0] * self.smallest[1])
        self.blocks = nn.ModuleList(ResidualUpBlock(*both, norm) for both in pairwise(widths))
        self.attentions = nn.ModuleList(
            _attention(outputs, height in attention) for outputs, (height, _) in zip(widths[1:], maps, strict=True)
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.output = nn.Conv2d(widths[-1], channels, 3, padding=1)
        start_weights(self, init)
        normalise_spectrally(self, eps, embeddings=False)

    @abstractmethod
    def conditions(self, z: Tensor, labels: Tensor | None) -> tuple[Tensor, Sequence[Sequence[Tensor]]]:
        """Return the input of the linear layer, and the further arguments of each block."""

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and labels int64 (N,) to images (N, C, H, W) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        first, conditions = self.conditions(z, labels)
        x = self.input(first).unflatten(1, (-1, *self.smallest))
        for block, attention, given in zip(self.blocks, self.attentions, conditions, strict=True):
            x = attention(block(x, *given))
        return self.output(F.relu(self.norm(x))).tanh()


class AttentiveDiscriminator(ProjectingDiscriminator):
    """Residual blocks that halve, attention after some of them, the sum over positions, and a linear layer.

    All weights are spectrally normalised. Labels enter by projection.

    Args:
        image_size: height and width of the images.
        channels: channels of an image.
        width: channels of the first block (below 64 pixels: four times as many); those of the others are multiples.
        num_classes: number of classes; 0 = none.
        attention: heights of the maps with attention.
        head: makes a module from features to a logit. None = linear, spectrally normalised.
        init: see `start_weights`.
        eps: see `normalise_spectrally`.
    """

    def __init__(
        self,
        image_size: int | Sequence[int],
        channels: int,
        width: int,
        num_classes: int,
        attention: Sequence[int],
        head: HeadFactory | None,
        init: Start,
        eps: float,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.image_shape = (channels, *sides(image_size))
        smaller = _levels(image_size)[-2::-1]  # from half the image's size down
        down, plain = DOWN[len(smaller)], PLAIN.get(len(smaller), (16,))
        heights = [height for height, _ in smaller[: len(down)]]
        _attending(attention, heights)
        layers: list[nn.Module] = []
        inputs = channels
        for place, (multiple, height) in enumerate(zip(down, heights, strict=True)):
            layers += [
                ResidualDownBlock(inputs, width * multiple, downsample=True, first=place == 0),
                _attention(width * multiple, height in attention),
            ]
            inputs = width * multiple
        for multiple in plain:
            layers.append(ResidualDownBlock(inputs, width * multiple, downsample=False))
            inputs = width * multiple
        self.blocks = nn.Sequential(*layers)
        self.num_features = inputs
        self.embedding = nn.Embedding(num_classes, inputs) if num_classes else None
        self.head = nn.Linear(inputs, 1)
        start_weights(self, init)
        normalise_spectrally(self, eps)
        if head is not None:
            self.head = head(inputs)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to φ, sums over positions, (N, F); labels are not used."""
        check_images(images, self.image_shape)
        return F.relu(self.blocks(images)).sum(dim=(2, 3))
