"""Layers that double the height and width of maps."""

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

from torch import nn

Upsampling = Literal["transposed", "nearest", "bilinear"]
"""A method to double height and width: a "transposed" convolution, as most papers have it; or "nearest" or "bilinear"
interpolation and a 3x3 convolution, which avoids checkerboard patterns (Odena, Dumoulin, Olah, "Deconvolution and
Checkerboard Artifacts", Distill, 2016)."""

FOUR_WIDE = partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1)  # DCGAN's transposed convolution
THREE_WIDE = partial(nn.ConvTranspose2d, kernel_size=3, stride=2, padding=1, output_padding=1)  # CycleGAN's


def doubling(
    inputs: int,
    outputs: int,
    upsampling: Upsampling,
    bias: bool = False,
    transposed: Callable[..., nn.Module] = FOUR_WIDE,
) -> list[nn.Module]:
    """Return layers that map (N, inputs, H, W) to (N, outputs, 2H, 2W).

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        upsampling: the method.
        bias: the convolution adds a bias.
        transposed: makes the transposed convolution from inputs, outputs and bias.

    Raises:
        ValueError: there is no such method.
    """
    if upsampling not in get_args(Upsampling):
        raise ValueError(f'upsampling must be "transposed", "nearest" or "bilinear", not {upsampling!r}')
    if upsampling == "transposed":
        return [transposed(inputs, outputs, bias=bias)]
    return [nn.Upsample(scale_factor=2, mode=upsampling), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)]
