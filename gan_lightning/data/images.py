"""The image convention and its conversions.

Networks see float32 NCHW in [-1, 1]. Storage, metrics and files see uint8 (or uint16) NCHW. A conversion to float and
back returns each of the 256 (65,536) levels unchanged.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor

from gan_lightning.data.files import write_image


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 in [0, 255] or uint16 in [0, 65535], any shape, to float32 in [-1, 1].

    Raises:
        TypeError: any other dtype, since its range cannot be known.
    """
    if images.dtype == torch.uint8:
        return images.float().div_(127.5).sub_(1)
    if images.dtype == torch.uint16:
        return images.float().div_(32767.5).sub_(1)
    raise _without_range(images.dtype)


def to_uint8(images: Tensor) -> Tensor:
    """Convert float images in [-1, 1], any shape, to uint8 in [0, 255]: rounded to the nearest level and clamped.

    Raises:
        TypeError: for images that are no floats, such as those that are stored already.
    """
    _check_float(images)
    return images.detach().float().mul(127.5).add_(128).clamp_(0, 255).to(torch.uint8)


def to_uint16(images: Tensor) -> Tensor:
    """Convert float images in [-1, 1], any shape, to uint16 in [0, 65535]: rounded to the nearest level and clamped.

    Raises:
        TypeError: for images that are no floats, such as those that are stored already.
    """
    _check_float(images)
    return images.detach().double().mul(32767.5).add_(32768).clamp_(0, 65535).to(torch.uint16)


def as_uint8(images: Tensor) -> Tensor:
    """Convert stored images, any shape, to 8 bits: uint8 unchanged, uint16 divided by 257 and rounded.

    Raises:
        TypeError: any other dtype, since its range cannot be known.
    """
    if images.dtype == torch.uint8:
        return images
    if images.dtype == torch.uint16:
        return images.int().add_(128).floor_divide_(257).to(torch.uint8)
    raise _without_range(images.dtype)


def to_channels(images: Tensor, channels: int) -> Tensor:
    """Convert images (N, C, H, W) with 1, 2, 3 or 4 channels (grey, grey + alpha, RGB, RGBA) to 1 or 3 `channels`.

    Images are uint8, uint16, or float in [-1, 1], and keep their dtype. Pictures for people and metrics use the same
    conversion: transparency is laid over white, as in `datamodules`; grey is repeated; RGB becomes grey by the ITU-R
    601 luma weights; integers are rounded to the nearest level. Images with more channels keep their first three, which
    is good enough to look at, but no conversion of meaning.

    Raises:
        ValueError: `channels` is not 1 or 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"images are shown with 1 or 3 channels, not {channels}")
    count = images.shape[1]
    colours = images[:, :1] if count < 3 else images[:, :3]
    if count in (2, 4):
        colours = _over_white(colours, images[:, count - 1 : count])
    if colours.shape[1] == channels:
        return colours
    if channels == 3:
        return colours.expand(-1, 3, -1, -1)
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device).view(1, 3, 1, 1)
    luma = (colours.float() * weights).sum(dim=1, keepdim=True)
    return (luma if images.is_floating_point() else luma.round()).to(images.dtype)


def as_channels(images: Tensor, channels: int) -> Tensor:
    """Convert stored images (N, C, H, W) to 1, 3 or 4 channels: for 1 or 3 over white, for 4 with an alpha channel."""
    if channels < 4:
        return to_channels(images, channels)
    colours = images[:, :-1] if images.shape[1] in (2, 4) else images
    alpha = (
        images[:, -1:] if images.shape[1] in (2, 4) else torch.full_like(images[:, :1], torch.iinfo(images.dtype).max)
    )
    return torch.cat([to_channels(colours, 3), alpha], dim=1)


def cover(image: Tensor, size: Sequence[int]) -> Tensor:
    """Scale a uint8 image (1 or 3 or 4, H, W) until it covers a height and width in pixels, and keep its middle.

    The resize is bicubic and antialiased, by Pillow.
    """
    from torchvision.transforms.functional import pil_to_tensor, to_pil_image  # noqa: PLC0415 (as in `image_grid`)

    return pil_to_tensor(ImageOps.fit(to_pil_image(image), (size[1], size[0]), Image.Resampling.BICUBIC))


def fit_image(image: Tensor, shape: Sequence[int]) -> Tensor:
    """Fit a stored image to the channels, height and width of a model's images.

    16 bits become 8; transparency is laid over white, unless the model makes it; grey is repeated, and RGB becomes grey
    by its luma; then the image is scaled until it covers the size, and its middle is kept.

    Args:
        image: uint8 or uint16 (C, H, W), C from 1 to 4.
        shape: of the model's images, (C', H', W').

    Returns:
        uint8 (C', H', W').

    Raises:
        ValueError: the model's images have neither 1 nor 3 nor 4 channels.
    """
    channels, *size = shape
    if channels not in (1, 3, 4):
        raise ValueError(f"the model makes images of {channels} channels, which no image file is fitted to")
    return cover(as_channels(as_uint8(image)[None], channels)[0], size)


def _over_white(colours: Tensor, alpha: Tensor) -> Tensor:
    """Return colours (N, C, H, W) laid over white by alpha (N, 1, H, W), in the range of their dtype."""
    if colours.is_floating_point():
        # a generator without tanh exceeds its range; a picture or a metric would clip the values
        alpha, colours = alpha.clamp(-1, 1), colours.clamp(-1, 1)
        return 1 - (alpha + 1) / 2 * (1 - colours)
    white = torch.iinfo(colours.dtype).max
    # float64, since 16 bits times 16 bits exceed the precision of float32
    return (white - alpha.double() / white * (white - colours.double())).round().to(colours.dtype)


def _check_float(images: Tensor) -> None:
    """Raise for images that are no floats.

    Raises:
        TypeError: they are none.
    """
    if not images.is_floating_point():
        raise TypeError(f"images of dtype {images.dtype} are no floats in [-1, 1]: convert them by `to_float` first")


def _without_range(dtype: torch.dtype) -> TypeError:
    return TypeError(f"images of dtype {dtype} have no known range: give uint8 (0..255) or uint16 (0..65535)")


def image_grid(images: Tensor, columns: int) -> Tensor:
    """Return float images (N, C, H, W) in [-1, 1] as one uint8 RGB picture (3, H', W') with `columns` side by side."""
    from torchvision.utils import make_grid  # noqa: PLC0415 (imports all of torchvision, which takes a second)

    return make_grid(to_channels(to_uint8(images), 3), nrow=columns, padding=2)


def write_png(image: Tensor, path: Path) -> None:
    """Write an image as a PNG file, whole or not at all. A missing folder is created.

    Args:
        image: uint8 or uint16 (C, H, W), C of 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA).
        path: the file, with the suffix .png.
    """
    write_image(image, path)
