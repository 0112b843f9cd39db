"""The U-Net for segmentation: convolutions and pooling on the way down, skip connections to the way up.

Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015, arXiv 1505.04597,
section 2 and figure 1.

NOTE: the paper has "drop-out layers at the end of the contracting path" without details. Here they follow its last two
levels, 512 and 1024 channels wide, as in the authors' released network and in reimplementations.
NOTE: that release differs from figure 1, which this network follows, by a ReLU after each up-convolution, and by 128
channels instead of 64 out of the last one.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import Norm, check_sides, norm2d
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.ranges import PositiveInt, Share


def two_convolutions(in_channels: int, out_channels: int, padded: bool, norm: Norm) -> nn.Sequential:
    """Return twice a 3×3 convolution, its norm and ReLU; without padding each removes a pixel at every side."""
    layers: list[nn.Module] = []
    for inputs in (in_channels, out_channels):
        layers += [nn.Conv2d(inputs, out_channels, 3, padding=int(padded), bias=norm != "batch")]
        layers += [norm2d(norm, out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class SegmentationUNet(TranslationNetwork):
    """Maps images to the logits of a class for every pixel.

    As published, its convolutions are valid: only pixels whose whole context is in the image get logits, and 572×572
    becomes 388×388. `whole` gives logits to every pixel, with mirrored context beyond the border (the paper's
    overlap-tile strategy, figure 2).

    The defaults have 31,030,658 parameters, for two classes of a grey image.

    Args:
        in_channels: channels of the image.
        classes: number of classes, 2 or more; each has a logit.
        width: channels at full size; doubled at each smaller size.
        depth: number of times that the size is halved.
        padded: convolutions are padded with zeros, so that logits have the size of the image, whose sides must be
            multiples of 2^depth. False = valid convolutions, as published.
        norm: normalisation before each ReLU; "none" as published.
        dropout: probability that a value is dropped after each of the last two levels of the way down; 0 = none.

    Attributes:
        margin: pixels at each side of an image that get no logits; 0 if padded.
        minimum: smallest side of images for `whole`, in pixels.
        multiple: `whole` takes images with sides of any multiple of this, which is 1.
    """

    architecture = "segmentation_unet"
    multiple = 1

    def __init__(
        self,
        in_channels: PositiveInt = 1,
        classes: PositiveInt = 2,
        width: PositiveInt = 64,
        depth: PositiveInt = 4,
        padded: bool = False,
        norm: Norm = "none",
        dropout: Share = 0.5,
    ) -> None:
        super().__init__()
        if classes < 2 or depth < 1:
            raise ValueError(f"a U-Net has 2 classes and a depth of 1 at least, not {classes} and {depth}")
        self.in_channels, self.classes = in_channels, classes
        self.step = 2**depth
        # a level at 1/s of the size loses 4s pixels a side by two convolutions on each way: 4 · (1 + 2 + ...); the
        # lowest level, with only one way, loses 2s
        self.margin = 0 if padded else 6 * self.step - 4
        self.remainder = 0 if padded else 4  # sides of the logits are this and multiples of step
        self.minimum = self.margin + self.step
        widths = [width * 2**level for level in range(depth + 1)]

        self.downs = nn.ModuleList()
        for level, (inputs, outputs) in enumerate(zip([in_channels, *widths], widths, strict=False)):
            down = two_convolutions(inputs, outputs, padded, norm)
            if level >= depth - 1:
                down.append(nn.Dropout(dropout))
            self.downs.append(down)
        self.ups, self.joins = nn.ModuleList(), nn.ModuleList()
        for outputs in widths[-2::-1]:
            self.ups.append(nn.ConvTranspose2d(2 * outputs, outputs, 2, stride=2))
            self.joins.append(two_convolutions(2 * outputs, outputs, padded, norm))  # its own and the skipped channels
        self.head = nn.Conv2d(width, classes, 1)
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                # section 3: N(0, 2 / N), N inputs; each output of a 2×2 up-convolution has one input position
                taps = 1 if isinstance(part, nn.ConvTranspose2d) else math.prod(part.kernel_size)
                nn.init.normal_(part.weight, 0.0, math.sqrt(2 / (taps * part.in_channels)))
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to logits (N, classes, H - 2 margin, W - 2 margin) of their middle."""
        self._check(images)
        x, skipped = images, list[Tensor]()
        for down in self.downs:
            x = down(F.max_pool2d(x, 2) if skipped else x)
            skipped.append(x)
        skipped.pop()  # the lowest is x itself
        for up, join in zip(self.ups, self.joins, strict=True):
            x = up(x)
            x = join(torch.cat([_middle(skipped.pop(), x), x], dim=1))
        return self.head(x)

    def whole(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1], of any size from `minimum` up, to logits (N, classes, H, W)."""
        check_sides(images, self.in_channels, minimum=self.minimum)
        height, width = images.shape[2:]
        below, right = ((self.remainder - side) % self.step for side in (height, width))
        mirrored = F.pad(images, (self.margin, self.margin + right, self.margin, self.margin + below), "reflect")
        return self(mirrored)[:, :, :height, :width]

    def _check(self, images: Tensor) -> None:
        if not self.margin:
            check_sides(images, self.in_channels, minimum=self.step, multiple=self.step)
            return
        fits = images.dim() == 4 and images.shape[1] == self.in_channels
        rest = [side - 2 * self.margin - self.remainder for side in images.shape[2:]]
        if not fits or any(side < 0 or side % self.step for side in rest):
            smallest = 2 * self.margin + self.remainder
            raise ValueError(
                f"this network takes images of shape (N, {self.in_channels}, H, W), H and W {smallest} or "
                f"more by multiples of {self.step}, so that every pooling gets an even size, not "
                f"{tuple(images.shape)}: resize, crop or mirror the images, or build it with padded: true"
            )


def _middle(x: Tensor, other: Tensor) -> Tensor:
    """Return the middle of images (N, C, H, W), as large as another, which differs by an even number of pixels."""
    top, left = ((side - kept) // 2 for side, kept in zip(x.shape[2:], other.shape[2:], strict=True))
    return x[:, :, top : top + other.shape[2], left : left + other.shape[3]]
