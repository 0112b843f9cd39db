"""Halving a map without aliasing: a blur before pixels are left out.

Zhang, "Making Convolutional Networks Shift-Invariant Again", 2019, arXiv 1904.11486.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BlurDownsample(nn.Module):
    """Blur by [1, 2, 1] / 4 along both axes, with reflected borders, and keep every second row and column."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        weights = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", weights.outer(weights)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, ⌈H / 2⌉, ⌈W / 2⌉); H and W from 2 up."""
        channels = x.shape[1]
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(x, self.kernel.to(x.dtype).expand(channels, 1, 3, 3), stride=2, groups=channels)


def blur(x: Tensor) -> Tensor:
    """Blur maps (N, C, H, W) by [1, 2, 1] / 4 along both axes, with zeros around them, as StyleGAN does."""
    weights = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype, device=x.device) / 4
    channels = x.shape[1]
    x = F.conv2d(x, weights.view(1, 1, 3, 1).expand(channels, 1, 3, 1), padding=(1, 0), groups=channels)
    return F.conv2d(x, weights.view(1, 1, 1, 3).expand(channels, 1, 1, 3), padding=(0, 1), groups=channels)
