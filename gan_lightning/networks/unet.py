"""The U-Net of pix2pix, an encoder and a decoder joined at every size.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv 1611.07004,
section 6.1 and the authors' Torch code.
"""

import itertools

import torch
from torch import Tensor, nn

from gan_lightning.layers import Norm, check_sides, halvings, init_normal, norm2d
from gan_lightning.recording import Network


class UNetGenerator(Network):
    """Halves the image down to 1×1 and doubles it back, each size of the encoder handed across to the decoder.

    Fully convolutional: sides that are other multiples of image_size are taken too, and come down to more than 1×1.
    The defaults have the paper's 54,413,955 parameters; 41,828,995 at image_size 128.
    Dropout is the paper's only noise; whether it stays on after training is the model's to say.

    Args:
        in_channels: channels of the source image.
        out_channels: channels of the image made.
        image_size: height and width that come down to 1×1, in pixels; a power of two from 16 up.
        width: channels after the first layer; doubled at each smaller size, up to 8 times this.
        dropout: probability that a value is dropped in the decoder's first three layers; 0 turns it off.
        norm: "batch" (pix2pix), behind convolutions without biases; "instance" (CycleGAN); "layer" or "none".
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        image_size: int = 256,
        width: int = 64,
        dropout: float = 0.5,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.multiple = self.minimum = image_size  # of a side, in pixels
        depth = halvings(image_size, smallest=1)
        widths = [width * min(2**level, 8) for level in range(depth)]  # at 1/2, 1/4, ... of the image's size
        bias = norm != "batch"
        self.downs = nn.ModuleList([nn.Conv2d(in_channels, width, 4, stride=2, padding=1, bias=bias)])
        for inputs, outputs in itertools.pairwise(widths):
            # not in place: the input is handed across as well
            down = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=bias))
            # none on the last: normalising one image's 1×1 map would leave only zeros
            if len(self.downs) < depth - 1:
                down.append(norm2d(norm, outputs))
            self.downs.append(down)

        self.ups = nn.ModuleList()
        inputs = widths[-1]
        for level, outputs in enumerate(widths[-2::-1]):
            conv_up = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)
            up = nn.Sequential(nn.ReLU(inplace=True), conv_up, norm2d(norm, outputs))
            if level < 3:
                up.append(nn.Dropout(dropout))
            self.ups.append(up)
            inputs = 2 * outputs  # its own and the encoder's
        last = nn.ConvTranspose2d(inputs, out_channels, 4, stride=2, padding=1)
        self.ups.append(nn.Sequential(nn.ReLU(inplace=True), last, nn.Tanh()))
        init_normal(self)

    def forward(self, source: Tensor) -> Tensor:
        """Source images (N, C_in, H, W) in [-1, 1] to images (N, C_out, H, W) in [-1, 1]."""
        check_sides(source, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        x, handed = source, []
        for down in self.downs:
            x = down(x)
            handed.append(x)
        handed.pop()  # the innermost is x itself
        for up in self.ups[:-1]:
            x = torch.cat([handed.pop(), up(x)], dim=1)
        return self.ups[-1](x)
