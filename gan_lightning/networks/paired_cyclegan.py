"""The networks of PairedCycleGAN: translators that add a change to their image, and the paste that shows a style.

Chang, Lu, Yu, Finkelstein, "PairedCycleGAN: Asymmetric Style Transfer for Applying and Removing Makeup", CVPR 2018,
section 3.

NOTE: no code was published, and the paper has no table of layers. The paper names dilated residual networks and a
change that is added to the image; widths, depth and norms are chosen here.
NOTE: the paper cuts parts of a face out, and blends their results into it. Here a network sees the whole image, and
changes a region of it (`region`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_lightning.layers import InstanceNorm2d, check_sides, init_normal
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.ranges import NonNegativeInt, PositiveInt
from gan_lightning.recording import Network

Region = tuple[float, float, float, float]
"""Top, left, bottom and right of a rectangle, as shares of the image's height and width."""

FADE = 1 / 16  # of a side: the way from a region's border on which a change grows to its full size


def check_region(region: Region) -> None:
    """Raise ValueError for numbers that are no rectangle in an image."""
    top, left, bottom, right = region
    if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
        raise ValueError(
            f"region {tuple(region)} is no rectangle: give top, left, bottom and right as shares from 0 to 1, top "
            "above bottom and left of right"
        )


def region_weights(region: Region, height: int, width: int, like: Tensor) -> Tensor:
    """Return weights (height, width) of a region's pixels: 0 outside, 1 inside, rising on `FADE` of the side between.

    A border of the region that is one of the image does not fade. The weights have the device and dtype of `like`.
    """
    weights = []
    for start, end, length in zip(region[:2], region[2:], (height, width), strict=True):
        place = (torch.arange(length, device=like.device) + 0.5) / length  # float32: bfloat16 has no 512 places
        after = (place - start) / FADE if start > 0 else torch.ones_like(place)
        before = (end - place) / FADE if end < 1 else torch.ones_like(place)
        weights.append(torch.minimum(after, before).clamp(0, 1))
    return (weights[0][:, None] * weights[1]).to(like.dtype)


class DilatedBlock(nn.Module):
    """Two dilated 3×3 convolutions with instance norm, added to the input.

    Args:
        channels: channels of input and output.
        dilation: distance of the kernels' points, in pixels.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation), InstanceNorm2d(channels)),
            nn.ReLU(inplace=True),
            *(nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation), InstanceNorm2d(channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return x + self.net(x)


class DilatedTranslator(TranslationNetwork):
    """Adds a change t in (-1, 1) to an image x: x + t - |t| x, which stays in [-1, 1].

    The change is computed at half the size by dilated residual blocks, and at full size from there and from the
    image's first features. An untrained network changes its image little. Height and width are multiples of 2, from 16
    up.

    Args:
        in_channels: channels of the image and of the output.
        example_channels: channels of a reference image that gives the style, an input beside the image (G); 0 = there
            is none (F).
        width: channels at full size; twice as many at half the size.
        dilations: of the residual blocks, in order.
        region: the part of the image that changes, as the paper's networks for one part of a face; its change fades in
            from the border. None = the whole image.

    Raises:
        ValueError: the region is no rectangle.
    """

    architecture = "resnet"
    multiple = 2
    minimum = 16

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        example_channels: NonNegativeInt = 0,
        width: PositiveInt = 32,
        dilations: Sequence[PositiveInt] = (1, 2, 4, 2, 1),
        region: Region | None = None,
    ) -> None:
        super().__init__()
        if region is not None:
            check_region(region)
        self.in_channels, self.example_channels, self.region = in_channels, example_channels, region
        self.whole = region is not None  # a tile does not know its place
        self.outer = nn.Sequential(
            nn.Conv2d(in_channels + example_channels, width, 7, padding=3, padding_mode="reflect"),
            *(InstanceNorm2d(width), nn.ReLU(inplace=True)),
        )
        self.inner = nn.Sequential(
            *(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), InstanceNorm2d(2 * width), nn.ReLU(inplace=True)),
            *(DilatedBlock(2 * width, dilation) for dilation in dilations),
            nn.Upsample(scale_factor=2.0),  # nearest
            *(nn.Conv2d(2 * width, width, 3, padding=1), InstanceNorm2d(width), nn.ReLU(inplace=True)),
        )
        self.last = nn.Sequential(nn.Conv2d(2 * width, in_channels, 7, padding=3, padding_mode="reflect"), nn.Tanh())
        init_normal(self)

    def forward(self, images: Tensor, example: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1], and references (N, C', h, w) if it takes any, to images (N, C, H, W)."""
        check_sides(images, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        if (example is not None) != (self.example_channels > 0):
            raise ValueError(
                f"this network takes reference images of {self.example_channels} channels: give them, or none if it is "
                "0"
            )
        shown = [images] if example is None else [images, interpolate(example, images.shape[2:], mode="bilinear")]
        features = self.outer(torch.cat(shown, dim=1))
        change = self.last(torch.cat([features, self.inner(features)], dim=1))
        if self.region is not None:
            height, width = images.shape[2:]
            change = change * region_weights(self.region, height, width, like=change)
        return images + change - change.abs() * images


class ApplyingTranslator(DilatedTranslator):
    """G: a `DilatedTranslator` whose style is a reference image, itself the code of the style.

    Args:
        in_channels: see `DilatedTranslator`.
        example_channels: channels of the reference.
        width: see `DilatedTranslator`.
        dilations: see `DilatedTranslator`.
        region: see `DilatedTranslator`.
    """

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        example_channels: PositiveInt = 3,
        width: PositiveInt = 32,
        dilations: Sequence[PositiveInt] = (1, 2, 4, 2, 1),
        region: Region | None = None,
    ) -> None:
        super().__init__(in_channels, example_channels, width, dilations, region)

    def encode_style(self, examples: Tensor) -> Tensor:
        """Return reference images (N, C', h, w), which are the code."""
        return examples


class SeamlessPaste(Network):
    """Pastes a region of a reference into an image so that no seam shows: the synthetic truth of a style.

    In the region the reference keeps its gradients, and the difference at the border is spread over the inside, so that
    the border has the image's own values. It has no parameters.

    NOTE: the paper warps the reference by the landmarks of both faces, and blends by Poisson's equation (Pérez et al.
    2003). Here the images are aligned beforehand, and the border's difference is interpolated by a Coons patch instead
    of the membrane that solves the equation.

    Args:
        region: the rectangle that is pasted. The default is that of the eyes in aligned faces.
    """

    def __init__(self, region: Region = (0.28, 0.2, 0.55, 0.8)) -> None:
        super().__init__()
        check_region(region)
        self.region = region

    def forward(self, images: Tensor, references: Tensor) -> Tensor:
        """Map images and references, both (N, C, H, W) in [-1, 1], to images with the references' region."""
        (height, width), (top, left, bottom, right) = images.shape[2:], self.region
        rows = slice(round(top * height), max(round(bottom * height), round(top * height) + 2))
        columns = slice(round(left * width), max(round(right * width), round(left * width) + 2))
        pasted = images.clone()
        inside = references[:, :, rows, columns]
        pasted[:, :, rows, columns] = (inside + _coons(images[:, :, rows, columns] - inside)).clamp(-1, 1)
        return pasted


def _coons(values: Tensor) -> Tensor:
    """Interpolate the border of maps (N, C, h, w) over their inside."""
    v = torch.linspace(0, 1, values.shape[2], device=values.device, dtype=values.dtype)[:, None]
    u = torch.linspace(0, 1, values.shape[3], device=values.device, dtype=values.dtype)
    top, bottom, left, right = values[:, :, :1], values[:, :, -1:], values[..., :1], values[..., -1:]
    upper, lower = ((1 - u) * row[..., :1] + u * row[..., -1:] for row in (top, bottom))
    corners = (1 - v) * upper + v * lower
    return (1 - v) * top + v * bottom + (1 - u) * left + u * right - corners
