"""Smoothing, doubling and halving of maps with the filter of StyleGAN2, by separable and depthwise convolutions.

Karras, Laine, Aittala, Hellsten, Lehtinen, Aila, "Analyzing and Improving the Image Quality of StyleGAN", 2019, arXiv
1912.04958, section 3. Its filter is [1, 3, 3, 1] along both axes, with zeros beyond the borders. The authors' operator
`upfirdn2d` inserts zeros, pads, filters and leaves out pixels, in this order; the layers here give the same values
without the zeros and without the pixels that are left out.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.ranges import PositiveFloat

FILTER = (1.0, 3.0, 3.0, 1.0)
"""The filter along one axis, before it is divided by its sum."""


class _Filter(nn.Module):
    """The filter along one axis, (1, 1, 1, 4); it sums to `gain`."""

    taps: Tensor

    def __init__(self, gain: float) -> None:
        super().__init__()
        taps = torch.tensor(FILTER)
        self.register_buffer("taps", gain * (taps / taps.sum())[None, None, None], persistent=False)

    def along(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return depthwise weights for the channels of x: along its width, and along its height."""
        across = self.taps.to(x.dtype).expand(x.shape[1], 1, 1, -1)
        return across, across.transpose(2, 3)


class Smooth(_Filter):
    """Filter maps by [1, 3, 3, 1] along both axes.

    Args:
        padding: zeros around the input, in pixels.
        gain: factor on the values, beside the filter's sum of 1.
    """

    def __init__(self, padding: int = 1, gain: PositiveFloat = 1.0) -> None:
        super().__init__(gain**0.5)
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H + 2 padding - 3, W + 2 padding - 3)."""
        across, down = self.along(x)
        x = F.conv2d(x, across, padding=(0, self.padding), groups=x.shape[1])
        return F.conv2d(x, down, padding=(self.padding, 0), groups=x.shape[1])


class Double(_Filter):
    """Double height and width: each new pixel is the mean of the nearest two, 3 to 1, along each axis."""

    def __init__(self) -> None:
        super().__init__(gain=2.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        across, down = self.along(x)
        return F.conv_transpose2d(x, down * across, stride=2, padding=1, groups=x.shape[1])


class Halve(_Filter):
    """Halve height and width: smooth, and keep every second row and column."""

    def __init__(self) -> None:
        super().__init__(gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W), with even H and W, to (N, C, H / 2, W / 2)."""
        across, down = self.along(x)
        x = F.conv2d(x, across, stride=(1, 2), padding=(0, 1), groups=x.shape[1])
        return F.conv2d(x, down, stride=(2, 1), padding=(1, 0), groups=x.shape[1])
