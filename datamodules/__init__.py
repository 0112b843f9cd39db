"""Data modules: one LightningDataModule for each source of images.

Of gan_lightning they use only the batches, the ranges of arguments and the work on files and images (`data`).
"""

from datamodules.attributes import AttributesFolder
from datamodules.base import ImageDataModule
from datamodules.celeba import CelebA
from datamodules.cifar import CIFAR
from datamodules.digits import Digits
from datamodules.domains import DomainsFolder
from datamodules.folders import ImageFolder, PairedFolder, UnpairedFolder
from datamodules.mnist import MNIST
from datamodules.segmentation import SegmentationFolder
from datamodules.shifted_digits import ShiftedDigits
from datamodules.super_resolution import SuperResolutionFolder

__all__ = [
    "CIFAR",
    "MNIST",
    "AttributesFolder",
    "CelebA",
    "Digits",
    "DomainsFolder",
    "ImageDataModule",
    "ImageFolder",
    "PairedFolder",
    "SegmentationFolder",
    "ShiftedDigits",
    "SuperResolutionFolder",
    "UnpairedFolder",
]
