"""Doubling and halving maps by the filter [1, 3, 3, 1], with zeros beyond the borders.

Both are the interpolation by [1, 2, 1] of R3GAN's code (arXiv 2501.05441), and the up- and downsampling of StyleGAN2's.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def doubled(x: Tensor) -> Tensor:
    """Double height and width of maps (N, C, H, W)."""
    # bilinear interpolation has the weights 1/4 and 3/4 of that filter, but repeats the border
    return F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2.0, mode="bilinear")[:, :, 2:-2, 2:-2]


def halved(x: Tensor) -> Tensor:
    """Halve height and width of maps (N, C, H, W), both even."""
    weights = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 8
    kernel = weights.outer(weights).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1])
