"""Where images come from: one LightningDataModule a source. Of gan_lightning they know only its batches and images."""

from datamodules.base import ImageDataModule
from datamodules.celeba import CelebA
from datamodules.cifar import CIFAR
from datamodules.digits import Digits
from datamodules.folders import ImageFolder, PairedFolder, UnpairedFolder
from datamodules.mnist import MNIST
from datamodules.segmentation import SegmentationFolder
from datamodules.shifted_digits import ShiftedDigits
from datamodules.super_resolution import SuperResolutionFolder

__all__ = [
    "CIFAR",
    "MNIST",
    "CelebA",
    "Digits",
    "ImageDataModule",
    "ImageFolder",
    "PairedFolder",
    "SegmentationFolder",
    "ShiftedDigits",
    "SuperResolutionFolder",
    "UnpairedFolder",
]
