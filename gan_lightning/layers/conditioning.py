"""Batch norm with a gain and a bias for each image."""

from torch import Tensor, nn


class VectorBatchNorm2d(nn.Module):
    """Batch norm whose gain and bias are linear in a vector: gain 1 + A c, bias B c.

    Brock, Donahue, Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2018, arXiv
    1809.11096, appendix B. c is an embedding of the class, a part of z, or both.

    Args:
        channels: channels of the feature maps.
        condition_dim: length of c.
    """

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__()
        # an attribute, not a base class: a conversion to synchronised batch norm replaces subclasses and their forward
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Linear(condition_dim, channels, bias=False)
        self.bias = nn.Linear(condition_dim, channels, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (N, channels, H, W) and vectors c (N, condition_dim) to (N, channels, H, W)."""
        gain, bias = (layer(condition)[:, :, None, None].to(x.dtype) for layer in (self.gain, self.bias))
        return self.norm(x) * (1 + gain) + bias
