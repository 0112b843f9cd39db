"""The discriminator of patches: a map of logits, each for one square of the image.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv 1611.07004,
section 6.1.2 and the authors' Torch code.

NOTE: the paper says that every convolution has stride 2; in the code, and here, the last two have stride 1.
"""

import itertools
from typing import Literal

from torch import Tensor, nn

from gan_lightning.layers import Norm, check_sides, norm2d
from gan_lightning.layers.antialiasing import BlurDownsample
from gan_lightning.layers.initialisation import Initialisation, initialise
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network

# number of convolutions of stride 2 for each receptive field
STRIDED_LAYERS = {16: 1, 34: 2, 70: 3, 142: 4, 286: 5}


class PatchGAN(Network):
    """Convolutions of 4×4 with LeakyReLU 0.2, normalised except at the image and the logits.

    The defaults have pix2pix's 2,768,705 parameters; in_channels 3 with norm "instance" is CycleGAN's (2,764,737).

    Args:
        in_channels: channels of the input: of the image, and of the source beside it if there is one.
        width: channels after the first layer; doubled at each later one, up to 8 times this.
        receptive_field: height and width, in pixels, of the square that a logit depends on. 1 judges every pixel
            alone, by three 1×1 convolutions.
        norm: "batch" (pix2pix); "instance" (CycleGAN); "layer" or "none", which also suit a gradient penalty.
            Convolutions before a batch norm have no biases.
        antialias: halve sizes by a convolution of stride 1 and a blur (CUT), which widens the receptive fields of 16,
            34, 70, 142 and 286 pixels to 18, 40, 84, 172 and 348. False = strided convolutions.
        init: initialisation of the weights, see `initialise`.
    """

    def __init__(
        self,
        in_channels: PositiveInt = 6,
        width: PositiveInt = 64,
        receptive_field: Literal[1, 16, 34, 70, 142, 286] = 70,
        norm: Norm = "batch",
        antialias: bool = False,
        init: Initialisation = "normal",
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        bias = norm != "batch"
        if receptive_field == 1:
            self.minimum = 1
            layers = [
                nn.Conv2d(in_channels, width, 1),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(width, 2 * width, 1, bias=bias),
                norm2d(norm, 2 * width),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(2 * width, 1, 1, bias=bias),
            ]
        elif receptive_field in STRIDED_LAYERS:
            strided = STRIDED_LAYERS[receptive_field]
            self.minimum = 3 * 2**strided  # 3 positions a side after the strides, then 2, then 1
            stride = 1 if antialias else 2
            blur = [BlurDownsample()] if antialias else []  # one for all sizes, since it has no weights
            layers = [nn.Conv2d(in_channels, width, 4, stride, padding=1), nn.LeakyReLU(0.2, inplace=True), *blur]
            widths = [width * min(2**level, 8) for level in range(strided + 1)]
            for inputs, outputs in itertools.pairwise(widths[:-1]):
                layers += [nn.Conv2d(inputs, outputs, 4, stride, padding=1, bias=bias), norm2d(norm, outputs)]
                layers += [nn.LeakyReLU(0.2, inplace=True), *blur]
            layers += [nn.Conv2d(widths[-2], widths[-1], 4, padding=1, bias=bias), norm2d(norm, widths[-1])]
            layers += [nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(widths[-1], 1, 4, padding=1)]
        else:
            raise ValueError(f"receptive_field must be 1, 16, 34, 70, 142 or 286 pixels, not {receptive_field}")
        self.net = nn.Sequential(*layers)
        initialise(self, init)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to a map of logits (N, 1, h, w); by default 256×256 gives 30×30."""
        check_sides(images, self.in_channels, minimum=self.minimum)
        return self.net(images)
