"""Augmentation in front of the discriminator, for GANs with few images (`model.augmentation` in YAML).

D sees real and fake images through the same random transforms, in both turns, and G learns through them. Images that
are evaluated, shown or exported are never augmented.
"""

from gan_lightning.augmentation.adaptive import AdaptiveAugmentation
from gan_lightning.augmentation.base import Augmentation
from gan_lightning.augmentation.diffaugment import DiffAugment

__all__ = ["AdaptiveAugmentation", "Augmentation", "DiffAugment"]
