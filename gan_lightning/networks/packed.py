"""Packing: a discriminator that sees several images at once, so that it notices if they are too much alike.

Lin, Khetan, Fanti, Oh, "PacGAN: The power of two samples in generative adversarial networks", 2017, arXiv 1712.04086.
"""

import inspect
from typing import Any

from torch import Tensor, nn

from gan_lightning.draws import fewer_images
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network


class Packed(Network):
    """D(x_1, ..., x_m): one logit for m consecutive images of the batch, joined along channels (section 3).

    All images of a pack are real, or all are fakes. Nothing else changes: the logits of N images are those of N / m
    packs, for any loss. The gradient penalties of this library take a pack as one input (see
    `gan_lightning.losses.gradient_penalty`). Augmentation comes before: each image of a pack has its own.

    Args:
        discriminator: any discriminator without conditions, built for `pack` times the channels of an image.
        pack: number m of images of a pack. 1 changes nothing.

    Raises:
        ValueError: the discriminator has classes, or channels that `pack` does not divide.
    """

    num_classes = 0

    def __init__(self, discriminator: nn.Module, pack: PositiveInt = 2) -> None:
        super().__init__()
        name = type(discriminator).__name__
        if getattr(discriminator, "num_classes", 0):
            raise ValueError(
                f"a pack holds images of any classes, and {name} takes the class of an image: set its num_classes to 0"
            )
        self.discriminator = discriminator
        self.pack = pack
        shape = getattr(discriminator, "image_shape", None)
        self.channels: int | None = getattr(discriminator, "in_channels", None) if shape is None else shape[0]
        if self.channels is not None and self.channels % pack:
            raise ValueError(
                f"{name} was built for {self.channels} channels, which are no {pack} images: set its channels to "
                f"{pack} times those of an image"
            )

    def forward(
        self, images: Tensor, *conditions: Any, with_features: bool = False, with_logits: bool = True
    ) -> Tensor | DiscriminatorOutput:
        """Map images (N, C, H, W) in [-1, 1] to logits (N / m,), or maps of them; see `Discriminator`.

        Raises:
            ValueError: m does not divide N, there are conditions, or the discriminator was built for other channels.
        """
        if conditions:
            raise ValueError("a packed discriminator takes images alone: give the model networks without classes")
        count, channels, *sides = images.shape
        if count % self.pack:
            raise ValueError(
                f"{count} images make no packs of {self.pack}: let data.batch_size be a multiple of {self.pack} on "
                "each process, and in each part if model.accumulate cuts it"
            )
        if self.channels not in (None, channels * self.pack):
            raise ValueError(
                f"packs of {self.pack} images with {channels} channels have {channels * self.pack}, and "
                f"{type(self.discriminator).__name__} was built for {self.channels}: set its channels to "
                f"{channels * self.pack}"
            )
        packs = images.reshape(count // self.pack, self.pack * channels, *sides)
        asked = {"with_features": True, "with_logits": with_logits} if with_features else {}
        with fewer_images(len(packs)):
            return self.discriminator(packs, *conditions, **asked)


def gives_features(discriminator: nn.Module) -> bool:
    """Return whether a discriminator, or that which a `Packed` one consists of, returns features on request."""
    inner = discriminator.discriminator if isinstance(discriminator, Packed) else discriminator
    return "with_features" in inspect.signature(inner.forward).parameters
