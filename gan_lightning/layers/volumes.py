"""Convolutions of volumes that halve or double the sides, computed faster on a CPU where one side has few channels.

oneDNN's kernels for a gradient with respect to a volume of a single channel, which are those of a transposed
convolution to one, take five times as long as the same sums in another order: the eight voxels of each 2×2×2 block
become channels, and the kernel of 4×4×4 one of 2×2×2 between blocks. Weights and results are those of the plain layers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class HalvingConv3d(nn.Conv3d):
    """A convolution with 4×4×4 kernels, stride 2 and padding 1, without bias, of a volume with even sides.

    Args:
        inputs: channels of the volume.
        outputs: channels of the result.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1, bias=False)

    def forward(self, volumes: Tensor) -> Tensor:
        """Map (N, inputs, D, H, W) to (N, outputs, D/2, H/2, W/2)."""
        if volumes.device.type != "cpu" or not (volumes.requires_grad and torch.is_grad_enabled()):
            return super().forward(volumes)
        return F.conv3d(_to_blocks(F.pad(volumes, (1,) * 6)), _of_blocks(self.weight))


class DoublingConv3d(nn.ConvTranspose3d):
    """A transposed convolution with 4×4×4 kernels, stride 2 and padding 1, without bias.

    Args:
        inputs: channels of the volume.
        outputs: channels of the result.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1, bias=False)

    def forward(self, volumes: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (N, inputs, D, H, W) to (N, outputs, 2D, 2H, 2W)."""
        if volumes.device.type != "cpu":
            return super().forward(volumes, output_size)
        return _from_blocks(F.conv_transpose3d(volumes, _of_blocks(self.weight)))[:, :, 1:-1, 1:-1, 1:-1]


def _to_blocks(volumes: Tensor) -> Tensor:
    """Return (N, C, 2D, 2H, 2W) as (N, 8C, D, H, W), each 2×2×2 block as channels."""
    count, channels, depth, height, width = volumes.shape
    halves = volumes.reshape(count, channels, depth // 2, 2, height // 2, 2, width // 2, 2)
    return halves.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(count, 8 * channels, depth // 2, height // 2, width // 2)


def _from_blocks(volumes: Tensor) -> Tensor:
    """Return the volumes that `_to_blocks` has made blocks of."""
    count, channels, depth, height, width = volumes.shape
    blocks = volumes.reshape(count, channels // 8, 2, 2, 2, depth, height, width)
    whole = blocks.permute(0, 1, 5, 2, 6, 3, 7, 4)
    return whole.reshape(count, channels // 8, 2 * depth, 2 * height, 2 * width)


def _of_blocks(weight: Tensor) -> Tensor:
    """Return a kernel (A, B, 4, 4, 4) as the one between blocks, (A, 8B, 2, 2, 2)."""
    return _to_blocks(weight)
