"""Data modules: one LightningDataModule for each source of images.

Of gan_lightning they use only the batches, the ranges of arguments and the work on files and images (`data`).
"""

from datamodules.attributes import AttributesFolder
from datamodules.base import ImageDataModule
from datamodules.captions import CaptionedFolder
from datamodules.cartoons import CartoonFolder
from datamodules.celeba import CelebA
from datamodules.cifar import CIFAR
from datamodules.coupled_digits import CoupledDigits
from datamodules.digit_domains import DigitDomains
from datamodules.digits import Digits
from datamodules.domains import DomainsFolder
from datamodules.folders import ImageFolder, PairedFolder, UnpairedFolder
from datamodules.frames import FramesByPerson
from datamodules.labels import LabelFolder
from datamodules.mnist import MNIST
from datamodules.segmentation import SegmentationFolder
from datamodules.shifted_digits import ShiftedDigits
from datamodules.stacked_mnist import StackedMNIST
from datamodules.super_resolution import SuperResolutionFolder
from datamodules.usps import USPS
from datamodules.voxels import DepictedVoxels, VoxelFolder

__all__ = [
    "CIFAR",
    "MNIST",
    "USPS",
    "AttributesFolder",
    "CaptionedFolder",
    "CartoonFolder",
    "CelebA",
    "CoupledDigits",
    "DepictedVoxels",
    "DigitDomains",
    "Digits",
    "DomainsFolder",
    "FramesByPerson",
    "ImageDataModule",
    "ImageFolder",
    "LabelFolder",
    "PairedFolder",
    "SegmentationFolder",
    "ShiftedDigits",
    "StackedMNIST",
    "SuperResolutionFolder",
    "UnpairedFolder",
    "VoxelFolder",
]
