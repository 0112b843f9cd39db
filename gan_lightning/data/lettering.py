"""Captions drawn below images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_lightning.data.images import to_channels

SMALLEST = 96
"""Pixels of an image's width at least: smaller images are repeated pixel for pixel."""
_TEXT, _LINE, _LINES = 10, 12, 3  # pixels of a letter and of a line; lines of a caption at most


def captioned(images: Tensor, captions: Sequence[str]) -> Tensor:
    """Draw a caption below each image, in black on white, in lines that are as wide as the image.

    Args:
        images: uint8 (N, C, H, W).
        captions: N sentences; one that needs more than three lines is cut off.

    Returns:
        uint8 (N, 3, H', W'), where images narrower than 96 pixels are enlarged.
    """
    from matplotlib import get_data_path  # noqa: PLC0415 (takes half a second; it brings a font)

    font = ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), _TEXT)
    factor = max(1, -(-SMALLEST // images.shape[3]))
    large = to_channels(images, 3).repeat_interleave(factor, 2).repeat_interleave(factor, 3).cpu()
    width = large.shape[3]
    strips = []
    for caption in captions:
        strip = Image.new("RGB", (width, _LINES * _LINE + 2), "white")
        draw = ImageDraw.Draw(strip)
        for number, line in enumerate(_wrapped(caption, font, width - 2)):
            draw.text((1, number * _LINE), line, "black", font)
        strips.append(torch.from_numpy(np.array(strip)).permute(2, 0, 1))
    return torch.cat([large, torch.stack(strips)], dim=2)


def _wrapped(caption: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Return the lines of a caption, none wider than `width` pixels, three at most."""
    lines = [""]
    for word in caption.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    lines = [line for line in lines if line]
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], f"{lines[_LINES - 1]} ..."]
    return [_cut(line, font, width) for line in lines]


def _cut(line: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return as much of the beginning of a line as is at most `width` pixels wide."""
    while line and font.getlength(line) > width:
        line = line[:-1]
    return line
