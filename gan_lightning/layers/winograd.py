"""3×3 convolutions with a quarter of the multiplications: Winograd's minimal filtering, on CPUs.

Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv 1509.09308, section 4.3, F(4×4, 3×3):

    Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A

computes a tile Y of 4×4 outputs from a tile d of 6×6 inputs and the filter g. Summed over input channels, ⊙ becomes 36
matrix products. In float32 its rounding error was measured as 2.4e-6 of the result; a direct convolution has 9e-7.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TILE, STEP = 6, 4  # side in pixels of an input tile, and of an output tile

_B_T: Sequence[Sequence[float]] = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_G: Sequence[Sequence[float]] = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_A_T: Sequence[Sequence[float]] = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]

# below these sizes, the transforms of filters and tiles take longer than the saved multiplications (measured with AVX2)
_FEWEST_CHANNELS = 128
_FEWEST_PIXELS = 64 * 64  # in all maps of a batch


class ReflectedConv2d(nn.Conv2d):
    """A 3×3 convolution of stride 1 with reflected borders.

    In training in float32 on a CPU, with many channels and pixels, it is computed by Winograd's algorithm. Forward and
    backward pass then take 0.6 (AVX2) or 0.8 (AVX-512) of the time of a direct convolution.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H, W)."""
        if not self.training or not _gains(x, self.weight):
            return super().forward(x)
        padded = F.pad(x.contiguous(memory_format=torch.channels_last), (1, 1, 1, 1), mode="reflect")
        outputs: Tensor = _Winograd.apply(padded, self.weight)
        return outputs if self.bias is None else outputs + self.bias[:, None, None]


def _gains(x: Tensor, weight: Tensor) -> bool:
    large = min(weight.shape[:2]) >= _FEWEST_CHANNELS and x.shape[2] * x.shape[3] * len(x) >= _FEWEST_PIXELS
    exact = x.is_cpu and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return large and exact and not torch.compiler.is_compiling()


class _Winograd(torch.autograd.Function):
    """A 3×3 convolution without borders. Its transformed tiles, 2.25 times the input, are recomputed for gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """Map (N, C_in, H, W), in channels_last, and (C_out, C_in, 3, 3) to (N, C_out, H - 2, W - 2)."""
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients of both arguments from the gradient of the result."""
        (x, weight), (gradient,) = ctx.saved_tensors, gradients
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            to_x = _convolve(F.pad(gradient, (2, 2, 2, 2)), weight.flip(2, 3).transpose(0, 1))
        if ctx.needs_input_grad[1]:
            outputs = _twice(_A_T, gradient).T @ _cut(gradient, STEP).flatten(1)  # (36, tiles · C_out)
            by_tile = outputs.view(TILE**2, -1, len(weight))
            to_weight = _twice(_G, x).T @ (_transformed(x).mT @ by_tile).flatten(1)  # (9, C_in · C_out)
            to_weight = to_weight.view(3, 3, *weight.shape[1::-1]).permute(3, 2, 0, 1)
        return to_x, to_weight


def _convolve(x: Tensor, weight: Tensor) -> Tensor:
    outputs, inputs = weight.shape[:2]
    height, width = (side - 2 for side in x.shape[2:])
    rows, columns = -(-height // STEP), -(-width // STEP)  # of tiles
    filters = _twice(_G, weight) @ weight.permute(2, 3, 1, 0).reshape(9, -1)
    products = _transformed(x) @ filters.view(TILE**2, inputs, outputs)  # (36, tiles, C_out)
    tiles = (_twice(_A_T, x) @ products.flatten(1)).view(STEP, STEP, len(x), rows, columns, outputs)
    images = tiles.permute(2, 3, 0, 4, 1, 5).reshape(len(x), rows * STEP, columns * STEP, outputs)
    return images.permute(0, 3, 1, 2)[:, :, :height, :width]


def _transformed(x: Tensor) -> Tensor:
    """Return Bᵀ d B of all tiles, (36, tiles, C)."""
    return (_twice(_B_T, x) @ _cut(x, TILE).flatten(1)).view(TILE**2, -1, x.shape[1])


def _cut(x: Tensor, side: int) -> Tensor:
    """Return squares of this side at a distance of 4 pixels, (side², squares, C), with zeros beyond the border."""
    beyond = [-(length - side) % STEP for length in (x.shape[3], x.shape[2])]
    x = F.pad(x, (0, beyond[0], 0, beyond[1])).permute(0, 2, 3, 1)
    squares = x.unfold(1, side, STEP).unfold(2, side, STEP)  # (N, rows, columns, C, side, side)
    return squares.permute(4, 5, 0, 1, 2, 3).reshape(side**2, -1, x.shape[3])


def _twice(matrix: Sequence[Sequence[float]], like: Tensor) -> Tensor:
    """Return the Kronecker product of a matrix with itself, which transforms the rows and the columns of a square."""
    exact = torch.tensor(matrix, dtype=torch.float64)
    return torch.kron(exact, exact).to(like.dtype)
