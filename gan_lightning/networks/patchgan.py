"""The discriminator of patches: a map of logits, each for one square of the image.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv 1611.07004,
section 6.1.2 and the authors' Torch code.
pix2pixHD's (Wang et al. 2017, arXiv 1711.11585) and SPADE's (Park et al. 2019, arXiv 1903.07291) are the same with
other borders and norms; `gan_lightning.networks.MultiScale` has one for each of several sizes of an image.

NOTE: the paper says that every convolution has stride 2; in the code, and here, the last two have stride 1.
"""

import itertools
from typing import Literal

from torch import Tensor, nn

from gan_lightning.layers import Norm, check_sides, norm2d, normalise_spectrally
from gan_lightning.layers.antialiasing import BlurDownsample
from gan_lightning.layers.initialisation import Initialisation, initialise
from gan_lightning.networks.discriminator import DiscriminatorOutput
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
        padding: zeros at each border of a convolution: 1, or 2 as in pix2pixHD and SPADE, whose maps are larger
            (256×256 gives 35×35 logits). It has no effect on a receptive field of 1.
        spectral: divide the weights of the convolutions between the first and the last by their largest singular value;
            they then have no biases (SPADE, with norm "instance").
    """

    def __init__(
        self,
        in_channels: PositiveInt = 6,
        width: PositiveInt = 64,
        receptive_field: Literal[1, 16, 34, 70, 142, 286] = 70,
        norm: Norm = "batch",
        antialias: bool = False,
        init: Initialisation = "normal",
        padding: Literal[1, 2] = 1,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        bias = norm != "batch" and not spectral
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
            # with padding 1, 3 positions a side after the strides, then 2, then 1; with padding 2, 2 stay 2
            self.minimum = 3 * 2**strided if padding == 1 else 2
            stride = 1 if antialias else 2
            blur = [BlurDownsample()] if antialias else []  # one for all sizes, since it has no weights
            layers = [nn.Conv2d(in_channels, width, 4, stride, padding), nn.LeakyReLU(0.2, inplace=True), *blur]
            widths = [width * min(2**level, 8) for level in range(strided + 1)]
            for inputs, outputs in itertools.pairwise(widths[:-1]):
                layers += [nn.Conv2d(inputs, outputs, 4, stride, padding, bias=bias), norm2d(norm, outputs)]
                layers += [nn.LeakyReLU(0.2, inplace=True), *blur]
            layers += [nn.Conv2d(widths[-2], widths[-1], 4, padding=padding, bias=bias), norm2d(norm, widths[-1])]
            layers += [nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(widths[-1], 1, 4, padding=padding)]
        else:
            raise ValueError(f"receptive_field must be 1, 16, 34, 70, 142 or 286 pixels, not {receptive_field}")
        self.net = nn.Sequential(*layers)
        initialise(self, init)
        if spectral:
            convolutions = [layer for layer in self.net if isinstance(layer, nn.Conv2d)]
            for layer in convolutions[1:-1]:
                normalise_spectrally(layer)

    def forward(
        self, images: Tensor, with_features: bool = False, with_logits: bool = True
    ) -> Tensor | DiscriminatorOutput:
        """Map images (N, C, H, W) in [-1, 1] to a map of logits (N, 1, h, w); by default 256×256 gives 30×30.

        With features, the result is a `DiscriminatorOutput` with the outputs of all LeakyReLUs, maps (N, C, h, w) from
        the largest to the smallest; without logits, the last convolution does not run.
        """
        check_sides(images, self.in_channels, minimum=self.minimum)
        if not with_features:
            return self.net(images)
        x, features = images, []
        for layer in self.net if with_logits else self.net[:-1]:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                features.append(x)
        return DiscriminatorOutput((x,) if with_logits else (), (features,))
