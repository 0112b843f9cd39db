"""The layers of progressive and style-based GANs: equalised learning rate, pixel norm, minibatch standard deviation.

Karras, Aila, Laine, Lehtinen, "Progressive Growing of GANs", 2017, arXiv 1710.10196, sections 3 and 4. StyleGAN
(arXiv 1812.04948) and StyleGAN2 (arXiv 1912.04958) are built of them too.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.ranges import Finite, NonNegativeInt, PositiveFloat, PositiveInt


class Equalised(nn.Module):
    """A weight, and a bias, that are scaled whenever they are used rather than when they are initialised.

    The stored weight is N(0, 1) / m, and the layer computes with m · gain / √fan_in times it, m the multiplier of the
    learning rate. So the layer starts as He et al. (2015) say, and all layers of a network learn at the same speed
    under optimizers that divide by the size of the gradient (Karras et al. 2017, section 4.1). Under plain SGD with
    rate r, it learns as an ordinary layer with a weight N(0, gain² / fan_in) and rate r · (m · gain / √fan_in)².

    Args:
        shape: of the weight: outputs first, and the others are the fan-in.
        gain: standard deviation of the outputs of a unit normal input: √2 in front of a (leaky) ReLU.
        lr_multiplier: factor m on the speed with which weight and bias change.
        bias: whether there is a bias.
        bias_start: the value that the bias starts with, as it is added.
    """

    def __init__(
        self, shape: tuple[int, ...], gain: float, lr_multiplier: float, bias: bool, bias_start: float
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape) / lr_multiplier)
        self.bias = nn.Parameter(torch.full(shape[:1], bias_start / lr_multiplier)) if bias else None
        self.weight_scale = lr_multiplier * gain / math.sqrt(math.prod(shape[1:]))
        self.bias_scale = lr_multiplier

    def scaled_weight(self) -> Tensor:
        """Return the weight that the layer computes with."""
        return self.weight * self.weight_scale

    def scaled_bias(self) -> Tensor | None:
        """Return the bias that the layer adds, if there is one."""
        return self.bias if self.bias is None or self.bias_scale == 1 else self.bias * self.bias_scale


class EqualisedLinear(Equalised):
    """A linear layer with an equalised learning rate.

    Args:
        in_features: number of values of an input.
        out_features: number of values of an output.
        gain: standard deviation of the outputs of a unit normal input: √2 in front of a (leaky) ReLU.
        lr_multiplier: factor on the speed with which weight and bias change.
        bias: whether there is a bias.
        bias_start: the value that the bias starts with.
    """

    def __init__(
        self,
        in_features: PositiveInt,
        out_features: PositiveInt,
        gain: PositiveFloat = 1.0,
        lr_multiplier: PositiveFloat = 1.0,
        bias: bool = True,
        bias_start: Finite = 0.0,
    ) -> None:
        super().__init__((out_features, in_features), gain, lr_multiplier, bias, bias_start)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        return F.linear(x, self.scaled_weight(), self.scaled_bias())


class EqualisedConv2d(Equalised):
    """A convolution with an equalised learning rate.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the kernel, in pixels.
        gain: standard deviation of the outputs of a unit normal input: √2 in front of a (leaky) ReLU.
        lr_multiplier: factor on the speed with which weight and bias change.
        bias: whether there is a bias.
        bias_start: the value that the bias starts with.
        stride: pixels of the input from one output to the next.
        padding: pixels of zeros around the input. None = half the kernel, so that an odd one keeps the size.
    """

    def __init__(
        self,
        in_channels: PositiveInt,
        out_channels: PositiveInt,
        kernel_size: PositiveInt,
        gain: PositiveFloat = 1.0,
        lr_multiplier: PositiveFloat = 1.0,
        bias: bool = True,
        bias_start: Finite = 0.0,
        stride: PositiveInt = 1,
        padding: NonNegativeInt | None = None,
    ) -> None:
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        super().__init__(shape, gain, lr_multiplier, bias, bias_start)
        self.stride, self.padding = stride, kernel_size // 2 if padding is None else padding

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H', W')."""
        return F.conv2d(x, self.scaled_weight(), self.scaled_bias(), self.stride, self.padding)


def pixel_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Divide vectors (N, C, ...) by the root of their mean square over C, in float32 at least (section 4.2)."""
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    return (exact * (exact.square().mean(dim=1, keepdim=True) + eps).rsqrt()).to(x.dtype)


class PixelNorm(nn.Module):
    """`pixel_norm` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, ...) to the same shape."""
        return pixel_norm(x)


class MinibatchStdDev(nn.Module):
    """Append maps with the standard deviation over a group of images, so that D sees how much they vary (section 3).

    The standard deviation of each value over the images of a group, with a mean over all values, is one number for the
    group, and fills the new map of each of its images.

    NOTE: a group is `group_size` consecutive images; in the authors' code its members lie at equal distances. Images of
        a batch are in random order, so that this changes nothing on average, but two processes with a part of a batch
        each, or the parts of `accumulate`, form the groups of the whole batch, if their number of images is a multiple
        of `group_size`. Groups never reach across processes.
    NOTE: a batch that is not a multiple of `group_size` is cut into groups of its largest divisor below; the authors'
        code refuses it.

    Args:
        group_size: number of images in a group.
        maps: number of maps to append. With several, each has the mean over an equal share of the channels.
    """

    def __init__(self, group_size: PositiveInt = 4, maps: PositiveInt = 1) -> None:
        super().__init__()
        self.group_size, self.maps = group_size, maps

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C + maps, H, W)."""
        count, _, height, width = x.shape
        size = next(size for size in range(min(self.group_size, count), 0, -1) if count % size == 0)
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        groups = exact.unflatten(0, (-1, size)).unflatten(2, (self.maps, -1))  # (M, size, maps, C / maps, H, W)
        deviations = (groups.var(dim=1, correction=0) + 1e-8).sqrt().mean(dim=(2, 3, 4))  # (M, maps)
        filled = deviations.to(x.dtype).repeat_interleave(size, dim=0)[:, :, None, None]
        return torch.cat([x, filled.expand(-1, -1, height, width)], dim=1)
