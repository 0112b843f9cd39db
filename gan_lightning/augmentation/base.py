"""The base class of all augmentations in front of the discriminator."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from gan_lightning.recording import Network


class Augmentation(Network, ABC):
    """Random transforms of images, differentiable in them, drawn for each image separately, off in evaluation mode.

    Several images of the same place, such as the source and the target of a translation, are transformed together: they
    are moved alike, and the colours of each are changed alike, by themselves.
    """

    def forward(self, images: Tensor, parts: Sequence[int] | None = None) -> Tensor:
        """Transform images (N, C, H, W) in [-1, 1] to the same shape, float32; the result may exceed this range.

        Args:
            images: one image or several, joined along channels.
            parts: number of channels of each of these images, the one that the discriminator judges last. None = they
                are one.
        """
        parts = [images.shape[1]] if parts is None else parts
        self.check(images, parts)
        if not self.training:
            return images
        with torch.autocast(images.device.type, enabled=False):  # bfloat16 is too coarse for shifts and colours
            return self.augment(images.float(), parts)

    def check(self, images: Tensor, parts: Sequence[int]) -> None:
        """Raise ValueError for images that this augmentation is not defined for."""

    @abstractmethod
    def augment(self, images: Tensor, parts: Sequence[int]) -> Tensor:
        """Return the transformed images, from float32 ones with these numbers of channels."""
