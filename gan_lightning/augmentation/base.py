"""The base class of all augmentations in front of the discriminator."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from gan_lightning.recording import Network


class Augmentation(Network, ABC):
    """Random transforms of images, differentiable in them, drawn for each image separately, off in evaluation mode."""

    def forward(self, images: Tensor) -> Tensor:
        """Transform images (N, C, H, W) in [-1, 1] to the same shape, float32; the result may exceed this range."""
        self.check(images)
        if not self.training:
            return images
        with torch.autocast(images.device.type, enabled=False):  # bfloat16 is too coarse for shifts and colours
            return self.augment(images.float())

    def check(self, images: Tensor) -> None:
        """Raise ValueError for images that this augmentation is not defined for."""

    @abstractmethod
    def augment(self, images: Tensor) -> Tensor:
        """Return the transformed images, from float32 ones."""
