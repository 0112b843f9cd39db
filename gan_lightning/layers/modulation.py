"""Convolutions whose input channels are scaled by a style.

Karras, Laine, Aittala, Hellsten, Lehtinen, Aila, "Analyzing and Improving the Image Quality of StyleGAN", 2019, arXiv
1912.04958, section 2.2:

    w'_ijk = s_i w_ijk                                                                            (equation 1)
    w''_ijk = w'_ijk / √(Σ_ik w'_ijk² + ε)                                                        (equation 3)

with input channel i, output channel j and place k in the kernel.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers.equalised import Equalised, EqualisedLinear
from gan_lightning.layers.resampling import Smooth
from gan_lightning.ranges import PositiveInt


class ModulatedConv2d(Equalised):
    """A convolution, without bias, modulated and demodulated by a style of each image.

    The input is scaled by s, convolved with the weights that all images share, and divided by the root of equation 3.
    Values and gradients are those of a convolution of each image with its own weights w'', which the authors compute as
    one grouped convolution: N times the weights, and slow without their own kernels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the kernel, in pixels; odd.
        style_dim: number of components of a style w; s is an affine function of it, and starts at 1.
        demodulate: whether equation 3 is applied. False = equation 1 only, as for the layer that makes an image.
        up: whether height and width are doubled: by a transposed convolution, which is then smoothed.
    """

    def __init__(
        self,
        in_channels: PositiveInt,
        out_channels: PositiveInt,
        kernel_size: PositiveInt,
        style_dim: PositiveInt,
        demodulate: bool = True,
        up: bool = False,
    ) -> None:
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        super().__init__(shape, gain=1.0, lr_multiplier=1.0, bias=False, bias_start=0.0)
        self.affine = EqualisedLinear(style_dim, in_channels, bias_start=1.0)
        self.demodulate, self.padding = demodulate, kernel_size // 2
        self.smooth: nn.Module | None = Smooth(padding=1, gain=4.0) if up else None  # 4: for the zeros in between

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) and w (N, style_dim) to (N, out_channels, H, W), or twice H and W."""
        style, weight = self.affine(w), self.scaled_weight()
        x = x * style[:, :, None, None].to(x.dtype)  # equation 1
        if self.smooth is None:
            x = F.conv2d(x, weight, padding=self.padding)
        else:
            x = self.smooth(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        if not self.demodulate:
            return x
        square = F.linear(style.square(), weight.square().sum(dim=(2, 3)))  # (N, out_channels)
        factor = (square + 1e-8).rsqrt()  # equation 3
        return x * factor[:, :, None, None].to(x.dtype)
