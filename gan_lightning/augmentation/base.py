"""What all augmentations in front of the discriminator have in common."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from gan_lightning.recording import Network


class Augmentation(Network, ABC):
    """Random transforms of images, differentiable in them; of each image its own. In evaluation mode, none."""

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] to images of the same shape, float32, that may leave this range."""
        self.check(images)
        if not self.training:
            return images
        with torch.autocast(images.device.type, enabled=False):  # bfloat16 has too few levels for shifts and colours
            return self.augment(images.float())

    def check(self, images: Tensor) -> None:
        """Raises ValueError for images that this augmentation is not defined for."""

    @abstractmethod
    def augment(self, images: Tensor) -> Tensor:
        """The transformed images, from float32 ones."""
