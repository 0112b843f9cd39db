"""Decoding of one image file into an array of a given size, number of channels and depth."""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps

from gan_lightning.data.files import Page, deep_values, open_image, shallow
from gan_lightning.data.images import as_channels

Channels = Literal[1, 3, 4]
Fit = Literal["crop", "stretch", "pad"]
Region = Literal["whole", "left", "right"] | int

_BACKGROUND = (255, 255, 255, 255)
_PIL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Decoder:
    """The one way in which image files of all folders become arrays.

    The orientation that a camera noted (EXIF) is applied first. Then:

    - `region` is cut out: the "whole" image, its "left" or "right" half (two images side by side in one file; the
      middle column of an odd width is left out), or, if it is a number, the centred square with this side in pixels.
    - The region is brought to `size` by antialiased bicubic resampling. `fit` says how, if the shape differs: "crop"
      scales until both sides are covered and keeps the middle; "stretch" changes the aspect ratio; "pad" scales until
      the whole region is inside and adds black borders (with 4 channels: transparent black).
    - `channels`: 1 grey (for colour images the ITU-R 601 luma), 3 RGB (for grey images the value three times), 4 RGBA
      (opaque for images without alpha). With 1 or 3, an image with transparency is laid over white.
    - `bits`: 8 or 16. 16 bits become 8 by division by 257, rounded; 8 become 16 by multiplication by 257: black and
      white are kept. Grey files and PNG can have 16 bits; Pillow reads other 16-bit colour images with 8 bits.

    Args:
        size: height and width of the array.
        channels: 1, 3 or 4.
        bits: 8 or 16 bits a channel.
        fit: "crop", "stretch" or "pad".
        region: "whole", "left", "right" or the side of a centred square in pixels.
    """

    size: tuple[int, int]
    channels: Channels = 3
    bits: Literal[8, 16] = 8
    fit: Fit = "crop"
    region: Region = "whole"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of every array: (C, H, W)."""
        return (self.channels, *self.size)

    @property
    def dtype(self) -> np.dtype:
        """Type of every array: uint8 or uint16."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    def __call__(self, image: Path | Page) -> np.ndarray:
        """Decode the image in a file, or in a page of it, to uint8 or uint16 (C, H, W).

        Raises:
            Exception: as from `open_image`: any of the many kinds that Pillow raises for a damaged file.
            ValueError: the pixels have no known range, or the region is larger than the image.
        """
        with open_image(image) as opened:
            if (deep := deep_values(opened, image)) is not None:
                return self._deep(deep)
            values = np.asarray(self._resample(self._colours(ImageOps.exif_transpose(opened))))
        values = values.reshape(-1, self.size[1], self.channels).transpose(2, 0, 1)
        return values if self.bits == 8 else values.astype(np.uint16) * 257

    def _deep(self, values: np.ndarray) -> np.ndarray:
        """Resample uint16 (H, W, C), each channel by itself and as floats, which is all that Pillow offers for it."""
        planes = as_channels(torch.from_numpy(values).permute(2, 0, 1)[None], self.channels)[0].numpy()
        planes = planes.astype(np.float32)
        opacity = planes[3:] / 65535  # of RGBA only; invisible colours must not affect their neighbours
        planes[:3] *= opacity if len(opacity) else 1
        planes = np.stack([np.asarray(self._resample(Image.fromarray(plane))) for plane in planes])
        planes = planes.clip(0, 65535).astype(np.float64)  # bicubic resampling overshoots at edges
        opacity = planes[3:] / 65535
        if len(opacity):
            planes[:3] = np.divide(planes[:3], opacity, out=np.zeros_like(planes[:3]), where=opacity > 0)
        return np.rint(planes.clip(0, 65535) / (257 if self.bits == 8 else 1)).astype(self.dtype)

    def _colours(self, image: Image.Image) -> Image.Image:
        """Return the image in the mode of `channels`; transparency is laid over white if that mode has none."""
        image = shallow(image)
        if self.channels != 4 and image.mode in ("LA", "RGBA"):
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, _BACKGROUND), image).convert("RGB")
        return image.convert(_PIL_MODES[self.channels])

    def _resample(self, image: Image.Image) -> Image.Image:
        """Return the region of the image, at `size`."""
        image = self._cut(image)
        height, width = self.size
        scales = width / image.width, height / image.height
        if self.fit == "stretch":
            return image.resize((width, height), Image.Resampling.BICUBIC)
        if self.fit == "crop":
            across, down = min(width / max(scales), image.width), min(height / max(scales), image.height)
            left, top = (image.width - across) / 2, (image.height - down) / 2
            box = (left, top, (image.width + across) / 2, (image.height + down) / 2)
            return image.resize((width, height), Image.Resampling.BICUBIC, box)
        inner = max(1, round(image.width * min(scales))), max(1, round(image.height * min(scales)))
        padded = Image.new(image.mode, (width, height))
        padded.paste(image.resize(inner, Image.Resampling.BICUBIC), ((width - inner[0]) // 2, (height - inner[1]) // 2))
        return padded

    def _cut(self, image: Image.Image) -> Image.Image:
        """Return the region alone; without this, resampling would mix in pixels from outside of it."""
        return image if self.region == "whole" else image.crop(self._box(*image.size))

    def _box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom of the region."""
        if self.region == "left" and width > 1:
            return 0, 0, width // 2, height
        if self.region == "right" and width > 1:
            return width - width // 2, 0, width, height
        if isinstance(self.region, int) and self.region <= min(width, height):
            left, top = (width - self.region) // 2, (height - self.region) // 2
            return left, top, left + self.region, top + self.region
        raise ValueError(f"it has {width}x{height} pixels, too few to cut out {self.region!r}")


@dataclass(frozen=True)
class TileDecoder(Decoder):
    """Tiles of one image file at its own resolution, in an array (tiles, C, H, W).

    The tiles lie on a grid over the whole region, with as many columns and rows as fit its shape. They lie apart or
    overlap, as their number requires; a single one lies in the middle. Nothing is resampled: an image smaller than a
    tile is refused.

    Args:
        size: height and width of a tile.
        tiles: number of tiles.
    """

    tiles: int = 1

    def __post_init__(self) -> None:
        if self.tiles < 1:
            raise ValueError(f"tiles={self.tiles} leaves nothing of an image: make it 1 or more")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of every array: (tiles, C, H, W)."""
        return (self.tiles, self.channels, *self.size)

    def __call__(self, image: Path | Page) -> np.ndarray:
        """Return the tiles of the image as uint8 or uint16 (tiles, C, H, W); errors are those of `Decoder`."""
        stack = super().__call__(image)  # (C, tiles · H, W)
        return stack.reshape(self.channels, self.tiles, *self.size).swapaxes(0, 1)

    def _resample(self, image: Image.Image) -> Image.Image:
        """Return the tiles of the region, one below the other."""
        image = self._cut(image)
        height, width = self.size
        if image.height < height or image.width < width:
            raise ValueError(f"it has {image.width}x{image.height} pixels, fewer than a tile of {width}x{height}")
        rows = min(
            (count for count in range(1, self.tiles + 1) if self.tiles % count == 0),
            key=lambda count: abs(math.log(image.width / image.height * count**2 / self.tiles)),
        )
        stack = Image.new(image.mode, (width, height * self.tiles))
        corners = itertools.product(
            _spread(image.height - height, rows), _spread(image.width - width, self.tiles // rows)
        )
        for tile, (top, left) in enumerate(corners):
            stack.paste(image.crop((left, top, left + width, top + height)), (0, tile * height))
        return stack


def _spread(free: int, count: int) -> list[int]:
    """Return `count` places from 0 to `free`, at equal distances; a single one is the middle."""
    return [free // 2] if count == 1 else [free * i // (count - 1) for i in range(count)]
