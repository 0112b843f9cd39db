"""The U-Net of pix2pix, an encoder and a decoder joined at every size.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv 1611.07004,
section 6.1 and the authors' Torch code.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import Norm, check_sides, halvings, init_normal, norm2d
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.ranges import NonNegativeInt, PositiveInt, Share

_SMALL = 32 * 32  # number of pixels of a map


class Halve(nn.Conv2d):
    """A 4×4 convolution of stride 2.

    PyTorch's layer reorders its weights for every image on a CPU, which takes longest if the map is small and has many
    channels. In that case, in training on a single image (the paper's batch), a matrix product replaces it.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H/2, W/2)."""
        if not _is_alone_and_small(self, x):
            return super().forward(x)
        patches = F.unfold(x, 4, padding=1, stride=2)[0]  # (C_in · 16, H · W / 4)
        output = (self.weight.flatten(1) @ patches).view(1, -1, x.shape[2] // 2, x.shape[3] // 2)
        return output if self.bias is None else output + self.bias[:, None, None]


class Double(nn.ConvTranspose2d):
    """A transposed 4×4 convolution of stride 2; a matrix product in the same case as `Halve`."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, 2·H, 2·W)."""
        if not _is_alone_and_small(self, x):
            return super().forward(x, output_size)
        patches = self.weight.flatten(1).t() @ x[0].flatten(1)  # (C_out · 16, H · W)
        output = F.fold(patches[None], (2 * x.shape[2], 2 * x.shape[3]), 4, padding=1, stride=2)
        return output if self.bias is None else output + self.bias[:, None, None]


def _is_alone_and_small(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> bool:
    # training first: an exported network must not depend on these sizes
    if not layer.training:
        return False
    return len(x) == 1 and x.shape[2] * x.shape[3] <= _SMALL and x.is_cpu and layer.weight.is_contiguous()


class UNetGenerator(TranslationNetwork):
    """Halves the image down to 1×1 and doubles it back, with a skip connection from encoder to decoder at each size.

    Fully convolutional: it also takes sides that are other multiples of image_size, which are halved to more than 1×1.
    The defaults have the paper's 54,413,955 parameters; 41,828,995 at image_size 128.
    Dropout is the paper's only noise; the model decides whether it stays on after training.

    NOTE: dropout follows the decoder's first three layers, as in the paper and in the authors' Torch code. In their
        PyTorch code it follows the second to the fourth, or at image_size 128 the second and the third:
        `dropout_layers` (1, 2, 3), or (1, 2).

    Args:
        in_channels: channels of the source image.
        out_channels: channels of the output image.
        image_size: height and width that are halved down to 1×1, in pixels; a power of two from 16 to 8192.
        width: channels after the first layer; doubled at each smaller size, up to 8 times this.
        dropout: probability that a value is dropped in some of the decoder's layers; 0 turns it off.
        norm: "batch" (pix2pix), after convolutions without biases; "instance" (CycleGAN); "layer" or "none".
        dropout_layers: those layers, by their numbers: 0 is the decoder's first, at the smallest size.
    """

    architecture = "unet"

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        image_size: PositiveInt = 256,
        width: PositiveInt = 64,
        dropout: Share = 0.5,
        norm: Norm = "batch",
        dropout_layers: Sequence[NonNegativeInt] = (0, 1, 2),
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.multiple = self.minimum = image_size  # of a side, in pixels
        depth = halvings(image_size, smallest=1)
        widths = [width * min(2**level, 8) for level in range(depth)]  # at 1/2, 1/4, ... of the image's size
        bias = norm != "batch"
        self.downs = nn.ModuleList([Halve(in_channels, width, bias)])
        for inputs, outputs in itertools.pairwise(widths):
            # not in place, since a skip connection uses the input too
            down = nn.Sequential(nn.LeakyReLU(0.2), Halve(inputs, outputs, bias))
            # no norm in the last: normalising one image's 1×1 map would leave only zeros
            if len(self.downs) < depth - 1:
                down.append(norm2d(norm, outputs))
            self.downs.append(down)

        self.ups = nn.ModuleList()
        inputs = widths[-1]
        for level, outputs in enumerate(widths[-2::-1]):
            conv_up = Double(inputs, outputs, bias)
            up = nn.Sequential(nn.ReLU(inplace=True), conv_up, norm2d(norm, outputs))
            if level in dropout_layers:
                up.append(nn.Dropout(dropout))
            self.ups.append(up)
            inputs = 2 * outputs  # the decoder's own channels and the encoder's
        last = Double(inputs, out_channels)
        self.ups.append(nn.Sequential(nn.ReLU(inplace=True), last, nn.Tanh()))
        init_normal(self)

    def forward(self, source: Tensor) -> Tensor:
        """Map source images (N, C_in, H, W) in [-1, 1] to images (N, C_out, H, W) in [-1, 1]."""
        check_sides(source, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        x, skipped = source, []
        for down in self.downs:
            x = down(x)
            skipped.append(x)
        skipped.pop()  # the innermost is x itself
        for up in self.ups[:-1]:
            x = torch.cat([skipped.pop(), up(x)], dim=1)
        return self.ups[-1](x)
