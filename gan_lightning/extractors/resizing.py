"""Resizing of images for a network. Every score depends on the method.

All functions take and return float images (N, C, H, W) in [0, 255], of any size, and make them square without a crop.
"""

import torch.nn.functional as F
from torch import Tensor


def resize_bilinear(images: Tensor, size: int) -> Tensor:
    """Resize images to (N, C, size, size): bilinear, antialiased."""
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)


def resize_tf1(images: Tensor, size: int) -> Tensor:
    """Resize images to (N, C, size, size) as TensorFlow 1 did for FID: bilinear, not antialiased, half a pixel shifted.

    Output pixel i lies at i * H / size, not at (i + 1/2) * H / size - 1/2. PyTorch's resize with aligned corners
    computes this from an image with one more pixel, a copy of the last, to one more pixel: 8 times as fast as written
    out.
    """
    grown = F.pad(images, (0, 1, 0, 1), mode="replicate")
    return F.interpolate(grown, (size + 1, size + 1), mode="bilinear", align_corners=True)[:, :, :size, :size]


def resize_clean(images: Tensor, size: int) -> Tensor:
    """Resize images to (N, C, size, size) as in clean-fid (Parmar et al. 2022, 2104.11222): bicubic, antialiased.

    It is Pillow's bicubic resize of each channel as floats, clamped to [0, 255] and not rounded.
    """
    resized = F.interpolate(images, (size, size), mode="bicubic", align_corners=False, antialias=True)
    return resized.clamp(0, 255)
