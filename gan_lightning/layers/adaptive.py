"""Norms of MUNIT's decoder: instance norm whose gain and bias are given for each image, and layer norm of maps.

Huang, Liu, Belongie, Kautz, "Multimodal Unsupervised Image-to-Image Translation", 2018, arXiv 1804.04732, section 5.1,
equation 8, and the authors' code.
"""

import torch
from torch import Tensor, nn

from gan_lightning.layers.blocks import InstanceNorm2d


class AdaptiveInstanceNorm2d(nn.Module):
    """AdaIN(x, γ, β) = γ (x - μ(x)) / √(σ²(x) + ε) + β, with μ and σ² of each image's channel (equation 8).

    γ is the gain itself, and not 1 + a number. Nothing is learnt here, and no running averages are kept.

    Args:
        channels: channels of the feature maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = InstanceNorm2d(channels)

    def forward(self, x: Tensor, bias: Tensor, gain: Tensor) -> Tensor:
        """Map (N, channels, H, W) by β and γ, each (N, channels), to (N, channels, H, W)."""
        bias, gain = (each[:, :, None, None].to(x.dtype) for each in (bias, gain))
        return torch.addcmul(bias, self.norm(x), gain)


class LayerNorm2d(nn.Module):
    """γ (x - μ) / (σ + ε) + β, with μ and σ of all values of an image, and γ and β learnt for each channel.

    σ² has the factor 1 / (n - 1), and ε = 1e-5 is added to σ, as in the authors' code. γ starts uniform in [0, 1], β at
    0. Unlike `torch.nn.LayerNorm`, it takes maps of any size.

    Args:
        channels: channels of the feature maps.
        eps: ε.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.rand(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        std, mean = torch.std_mean(x, dim=(1, 2, 3), keepdim=True)
        gain, bias = self.gain[:, None, None].to(x.dtype), self.bias[:, None, None].to(x.dtype)
        return torch.addcmul(bias, (x - mean) / (std + self.eps), gain)
