"""The networks of SPADE (GauGAN): a generator that label maps modulate at every layer, and an encoder of styles.

Park, Liu, Wang, Zhu, "Semantic Image Synthesis with Spatially-Adaptive Normalization", 2019, arXiv 1903.07291, section
3, appendix A and the authors' code.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import ImageSize, InstanceNorm2d, check_sides, normalise_spectrally, sides
from gan_lightning.layers.initialisation import initialise
from gan_lightning.layers.labels import LabelPlanes
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.ranges import NonNegativeInt, PositiveInt
from gan_lightning.recording import Network

Pyramid = Mapping[tuple[int, int], Tensor]
"""Planes of label maps (N, channels, h, w), by their heights and widths."""


class SPADE(nn.Module):
    """Batch norm whose gain and bias depend on the label map at each place (equations 1 to 3).

        γ(m) (x - μ) / σ + β(m),   γ(m) = 1 + a convolution of m

    Args:
        channels: channels of the feature maps.
        planes: number of planes of the label map m.
        hidden: channels of the layer between m and γ, β.
    """

    def __init__(self, channels: int, planes: int, hidden: int) -> None:
        super().__init__()
        # an attribute, not a base class: a conversion to synchronised batch norm replaces subclasses and their forward
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.shared = nn.Sequential(nn.Conv2d(planes, hidden, 3, padding=1), nn.ReLU(inplace=True))
        self.gain = nn.Conv2d(hidden, channels, 3, padding=1)
        self.bias = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, planes: Tensor) -> Tensor:
        """Map (N, channels, H, W) and planes (N, planes, H, W) to (N, channels, H, W)."""
        hidden = self.shared(planes)
        return torch.addcmul(self.bias(hidden), self.norm(x), 1 + self.gain(hidden))


class SPADEBlock(nn.Module):
    """Twice SPADE, LeakyReLU 0.2 and a 3×3 convolution, added to the input.

    If the number of channels changes, the shortcut is SPADE and a 1×1 convolution without a bias. All convolutions of x
    have spectral norm.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        planes: number of planes of the label map.
        hidden: see `SPADE`.
    """

    def __init__(self, in_channels: int, out_channels: int, planes: int, hidden: int) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        self.norms = nn.ModuleList([SPADE(channels, planes, hidden) for channels in (in_channels, middle)])
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(in_channels, middle, 3, padding=1), nn.Conv2d(middle, out_channels, 3, padding=1)]
        )
        self.shortcut: nn.Module | None = None
        if in_channels != out_channels:
            self.shortcut_norm = SPADE(in_channels, planes, hidden)
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def normalise_spectrally(self) -> None:
        """Give the convolutions of x spectral norm, once their weights are initialised."""
        for layer in (*self.convolutions, *([] if self.shortcut is None else [self.shortcut])):
            normalise_spectrally(layer)

    def forward(self, x: Tensor, planes: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) and planes (N, planes, H, W) to (N, out_channels, H, W)."""
        y = x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            y = convolution(F.leaky_relu(norm(y, planes), 0.2))
        return y + (x if self.shortcut is None else self.shortcut(self.shortcut_norm(x, planes)))


class SPADEEncoder(Network):
    """Maps images to the mean and the logarithm of the variance of their styles (figure 14).

    Images of another size are resized to `image_size` first. The defaults have the authors' 10,463,424 parameters.

    Args:
        style_dim: number of components of a style.
        in_channels: channels of the image.
        image_size: height and width that are halved down to 4×4, in pixels; a power of two from 8.
        width: channels after the first convolution; doubled at each later one, up to 8 times this.
    """

    def __init__(
        self,
        style_dim: PositiveInt = 256,
        in_channels: PositiveInt = 3,
        image_size: PositiveInt = 256,
        width: PositiveInt = 64,
    ) -> None:
        super().__init__()
        halvings = (image_size // 4).bit_length() - 1
        if halvings < 1 or image_size != 4 << halvings:
            raise ValueError(f"image_size={image_size} cannot be halved down to 4: make it 8, 16, 32, ...")
        self.style_dim, self.in_channels, self.image_size = style_dim, in_channels, image_size
        layers: list[nn.Module] = []
        widths = [in_channels, *(width * min(2**level, 8) for level in range(halvings))]
        for inputs, outputs in itertools.pairwise(widths):
            convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
            layers += [convolution, InstanceNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)]
        self.net = nn.Sequential(*layers)
        self.mean = nn.Linear(16 * widths[-1], style_dim)
        self.log_variance = nn.Linear(16 * widths[-1], style_dim)
        initialise(self, "xavier")
        normalise_spectrally(self.net)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (N, C, H, W) in [-1, 1] to means and logarithms of variances, each (N, style_dim)."""
        check_sides(images, self.in_channels, minimum=1)
        if images.shape[2:] != (self.image_size, self.image_size):
            images = F.interpolate(images, (self.image_size, self.image_size), mode="bilinear")
        x = self.net(images).flatten(1)
        return self.mean(x), self.log_variance(x)


class SPADEGenerator(TranslationNetwork):
    """Doubles a small map up to the image, modulated by the label map at every size.

    It starts from the label map itself, made small, or from a style z. Label maps are described at `LabelPlanes`. With
    256×256 images and 5 doublings, parameters are 96,492,483 for ADE20K's 150 classes and void, 97,480,899 for
    COCO-Stuff's 182 classes, void and boundaries, and 93,048,003 for Cityscapes' 35 classes and boundaries.

    Args:
        num_classes: number of classes, with void if there is any.
        boundaries: give the network the boundaries of instances too.
        out_channels: channels of the image.
        width: channels of the last block; 16 times this at the start.
        hidden: channels of the layers between the label map and the gains and biases.
        doublings: number of doublings, 5, 6 or 7 ("normal", "more" and "most" in the authors' code; the last with one
            more block, of half the width).
        style_dim: number of components of a style z. 0 = there are no styles.
        image_size: height and width of the images of training, in pixels. It sets the size of the map that a style
            becomes, which is interpolated for images of other sizes. It has no effect without styles.
        encoder: encodes images to styles. None = the paper's, if there are styles.
    """

    def __init__(
        self,
        num_classes: PositiveInt = 151,
        boundaries: bool = False,
        out_channels: PositiveInt = 3,
        width: PositiveInt = 64,
        hidden: PositiveInt = 128,
        doublings: Literal[5, 6, 7] = 5,
        style_dim: NonNegativeInt = 0,
        image_size: ImageSize = 256,
        encoder: SPADEEncoder | None = None,
    ) -> None:
        super().__init__()
        self.planes = LabelPlanes(num_classes, boundaries)
        self.in_channels = 3 if boundaries else 1
        self.multiple = self.minimum = 2**doublings
        self.style_dim = style_dim
        planes, first = self.planes.channels, 16 * width
        self.start: nn.Module
        if style_dim:
            if any(side % self.multiple for side in sides(image_size)):
                raise ValueError(
                    f"image_size={image_size} cannot be halved {doublings} times: make both sides multiples of "
                    f"{self.multiple}, or doublings fewer"
                )
            self.start_size = tuple(side // self.multiple for side in sides(image_size))
            self.start = nn.Linear(style_dim, first * self.start_size[0] * self.start_size[1])
        else:
            self.start = nn.Conv2d(planes, first, 3, padding=1)
        widths = [16, 16, 16, 16, 8, 4, 2, 1]
        channels = [width * each for each in widths] + ([max(width // 2, 1)] if doublings == 7 else [])
        self.blocks = nn.ModuleList([SPADEBlock(*pair, planes, hidden) for pair in itertools.pairwise(channels)])
        # sizes are doubled before these blocks
        self.doubled = [1, *([2] if doublings > 5 else []), *range(3, len(self.blocks))]
        self.to_image = nn.Conv2d(channels[-1], out_channels, 3, padding=1)
        initialise(self, "xavier")
        for block in self.blocks:
            block.normalise_spectrally()  # type: ignore[operator]
        if style_dim:  # after the others, since its weights are initialised and normalised
            self.encoder = encoder or SPADEEncoder(style_dim, out_channels)
            self.example_channels = self.encoder.in_channels
            if self.encoder.style_dim != style_dim:
                raise ValueError(
                    f"the encoder makes styles of {self.encoder.style_dim} components, and the generator takes "
                    f"{style_dim}: set both to the same"
                )

    def forward(self, maps: Tensor, style: Tensor | None = None) -> Tensor:
        """Map label maps (N, 1 or 3, H, W), and styles (N, style_dim) if there are any, to images in [-1, 1]."""
        check_sides(maps, maps.shape[1], minimum=self.minimum, multiple=self.multiple)
        planes = self.planes(maps)
        height, width = (side // self.multiple for side in maps.shape[2:])
        if self.style_dim:
            if style is None or style.shape[1:] != (self.style_dim,):
                raise ValueError(f"this network takes styles of shape (N, {self.style_dim}): pass one for each image")
            small = self.start(style).view(len(style), -1, *self.start_size)
            x = F.interpolate(small, (height, width), mode="bilinear")
        else:
            x = self.start(F.interpolate(planes, (height, width)))  # nearest
        # the planes once at each size, for all blocks of that size
        resized = F.interpolate(planes, (height, width))
        for number, block in enumerate(self.blocks):
            if number in self.doubled:
                x = F.interpolate(x, scale_factor=2.0)
                resized = F.interpolate(planes, x.shape[2:])
            x = block(x, resized)
        return self.to_image(F.leaky_relu(x, 0.2)).tanh()

    @property
    def encode_style(self) -> Callable[[Tensor], Tensor]:
        """A function from examples (N, C, H, W) in [-1, 1] to the means of their styles, (N, style_dim).

        Raises:
            AttributeError: there are no styles, so that nothing can be encoded.
        """
        if not self.style_dim:
            raise AttributeError("encode_style")
        return lambda examples: self.encoder(examples)[0]
