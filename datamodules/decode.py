"""One image file to one array of a stated size, channels and depth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

Channels = Literal[1, 3, 4]
Fit = Literal["crop", "stretch", "pad"]
Region = Literal["whole", "left", "right"] | int

_BACKGROUND = (255, 255, 255, 255)
_PIL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Decoder:
    """How image files become arrays: the one policy of all folders.

    Orientation noted by a camera (EXIF) is applied first. Then:

    - `region` is cut out: the "whole" image, its "left" or "right" half (two images side by side in one file; of an odd
      width the middle column is left out), or, given as a number, the square of so many pixels in its middle.
    - The region is brought to `size` by antialiased bicubic resampling. `fit` says how, where the shape differs: "crop"
      scales until both sides are covered and keeps the middle; "stretch" changes the aspect ratio; "pad" scales until
      the whole region is inside and fills up with black (with 4 channels: transparent black).
    - `channels`: 1 grey (of colour, the ITU-R 601 luma), 3 RGB (of grey, the value three times), 4 RGBA (without alpha:
      opaque). Where 1 or 3 are asked of an image with transparency, it is laid over white.
    - `bits`: 8 or 16. 16-bit grey becomes 8-bit by division by 257, rounded; 8-bit becomes 16-bit by multiplication by
      257: black and white stay what they are. Only grey files carry 16 bits; Pillow reads 16-bit colour as 8-bit.

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
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every array."""
        return (self.channels, *self.size)

    @property
    def dtype(self) -> np.dtype:
        """uint8 or uint16."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    def __call__(self, file: Path) -> np.ndarray:
        """The image in `file` as uint8 or uint16 (C, H, W).

        Raises:
            Exception: whatever Pillow raises for a file that is no image or a damaged one (its kinds are many).
            ValueError: if the pixels have no known range, or the region is larger than the image.
        """
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):
                return self._deep(image)
            if image.mode == "F":
                raise ValueError("floating-point pixels have no known range: save it with 8 or 16 bits")
            values = np.asarray(self._resample(self._colours(image)))
        values = values.reshape(*self.size, self.channels).transpose(2, 0, 1)
        return values if self.bits == 8 else values.astype(np.uint16) * 257

    def _deep(self, image: Image.Image) -> np.ndarray:
        """A grey image of 16 bits, which Pillow holds as "I;16" (or "I", 32 bits wide) and can only resample as "F"."""
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its pixels need more than 16 bits: save it with 8 or 16 bits")
        values = np.asarray(self._resample(Image.fromarray(values.astype(np.float32))))
        values = values.clip(0, 65535).astype(np.float64)  # bicubic resampling overshoots at edges
        grey = np.rint(values / (257 if self.bits == 8 else 1)).astype(self.dtype)
        stacked = np.broadcast_to(grey, self.shape).copy()
        if self.channels == 4:
            stacked[3] = np.iinfo(self.dtype).max
        return stacked

    def _colours(self, image: Image.Image) -> Image.Image:
        """The image in the mode of `channels`; transparency laid over white where that mode has none."""
        mode = _PIL_MODES[self.channels]
        if self.channels != 4 and image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, _BACKGROUND), image).convert("RGB")
        return image.convert(mode)

    def _resample(self, image: Image.Image) -> Image.Image:
        """The region of the image, at `size`."""
        if self.region != "whole":
            image = image.crop(self._box(*image.size))  # or resampling would mix in what lies beyond the region
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

    def _box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the region."""
        if self.region == "left" and width > 1:
            return 0, 0, width // 2, height
        if self.region == "right" and width > 1:
            return width - width // 2, 0, width, height
        if isinstance(self.region, int) and self.region <= min(width, height):
            left, top = (width - self.region) // 2, (height - self.region) // 2
            return left, top, left + self.region, top + self.region
        raise ValueError(f"it has {width}x{height} pixels, too few to cut out {self.region!r}")
