"""Where images come from: one LightningDataModule a source. Of gan_lightning they know only its batches and images."""

from datamodules.base import ImageDataModule
from datamodules.celeba import CelebA
from datamodules.cifar import CIFAR
from datamodules.digits import Digits
from datamodules.folders import ImageFolder, PairedFolder, UnpairedFolder
from datamodules.mnist import MNIST
from datamodules.shifted_digits import ShiftedDigits

__all__ = [
    "CIFAR",
    "MNIST",
    "CelebA",
    "Digits",
    "ImageDataModule",
    "ImageFolder",
    "PairedFolder",
    "ShiftedDigits",
    "UnpairedFolder",
]
