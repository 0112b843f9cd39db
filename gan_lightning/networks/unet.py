"""The U-Net of pix2pix, an encoder and a decoder joined at every size.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv 1611.07004,
section 6.1 and the authors' Torch code.
"""

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import Norm, append_vector, check_latent, check_sides, halvings, norm2d
from gan_lightning.layers.doubling import Upsampling, doubling
from gan_lightning.layers.initialisation import Initialisation, initialise
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

    With a style it is BicycleGAN's generator (Zhu et al. 2017, arXiv 1711.11586): the style's components, as constant
    maps, are appended to the input of encoder layers. At norm "instance" and style_dim 8 it has their 54,794,627
    parameters.

    Args:
        in_channels: channels of the source image.
        out_channels: channels of the output image.
        image_size: height and width that are halved down to 1×1, in pixels; a power of two from 16 to 8192.
        width: channels after the first layer; doubled at each smaller size, up to 8 times this.
        dropout: probability that a value is dropped in some of the decoder's layers; 0 turns it off.
        norm: "batch" (pix2pix), after convolutions without biases; "instance" (CycleGAN); "layer" or "none".
        dropout_layers: those layers, by their numbers: 0 is the decoder's first, at the smallest size.
        style_dim: number of components of a style that the network also takes. 0 = it takes none.
        style_at: the encoder layers that see the style: "all", or only the first, at the "input".
        init: initialisation of the weights, see `initialise`.
        upsampling: method to double height and width in the decoder: see `DCGANGenerator`. BicycleGAN's code offers
            "bilinear" beside the "transposed" convolutions of all its experiments.
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
        style_dim: NonNegativeInt = 0,
        style_at: Literal["all", "input"] = "all",
        init: Initialisation = "normal",
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        if style_at not in ("all", "input"):
            raise ValueError(f'style_at must be "all" or "input", not {style_at!r}')
        self.in_channels, self.style_dim = in_channels, style_dim
        later = style_dim if style_at == "all" else 0  # components that layers after the first see
        self.multiple = self.minimum = image_size  # of a side, in pixels
        depth = halvings(image_size, smallest=1)
        widths = [width * min(2**level, 8) for level in range(depth)]  # at 1/2, 1/4, ... of the image's size
        bias = norm != "batch"
        self.styled_layers = depth if later else 1
        self.downs = nn.ModuleList([Halve(in_channels + style_dim, width, bias)])
        for inputs, outputs in itertools.pairwise(widths):
            # not in place, since a skip connection uses the input too
            down = nn.Sequential(nn.LeakyReLU(0.2), Halve(inputs + later, outputs, bias))
            # no norm in the last: normalising one image's 1×1 map would leave only zeros
            if len(self.downs) < depth - 1:
                down.append(norm2d(norm, outputs))
            self.downs.append(down)

        self.ups = nn.ModuleList()
        inputs = widths[-1]
        for level, outputs in enumerate(widths[-2::-1]):
            conv_up = doubling(inputs, outputs, upsampling, bias, Double)
            up = nn.Sequential(nn.ReLU(inplace=True), *conv_up, norm2d(norm, outputs))
            if level in dropout_layers:
                up.append(nn.Dropout(dropout))
            self.ups.append(up)
            inputs = 2 * outputs  # the decoder's own channels and the encoder's
        last = doubling(inputs, out_channels, upsampling, bias=True, transposed=Double)
        self.ups.append(nn.Sequential(nn.ReLU(inplace=True), *last, nn.Tanh()))
        initialise(self, init)

    def forward(self, source: Tensor, code: Tensor | None = None) -> Tensor:
        """Map source images (N, C_in, H, W) in [-1, 1], and styles (N, style_dim) if it takes any, to (N, C_out, H, W).

        Raises:
            ValueError: the images or the styles have another shape, or styles are missing or not wanted.
        """
        check_sides(source, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        if (code is None) != (self.style_dim == 0):
            raise ValueError(f"this network takes styles of {self.style_dim} components: pass as many (0 = none)")
        if code is not None:
            check_latent(code, self.style_dim)
        x, skipped = source, []
        for layer, down in enumerate(self.downs):
            x = down(append_vector(x, code) if code is not None and layer < self.styled_layers else x)
            skipped.append(x)
        skipped.pop()  # the innermost is x itself
        for up in self.ups[:-1]:
            x = torch.cat([skipped.pop(), up(x)], dim=1)
        return self.ups[-1](x)
