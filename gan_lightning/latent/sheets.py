"""Tables of images with captions, as one picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_lightning.data.images import to_channels
from gan_lightning.latent.output import check_size

SMALLEST = 64
"""Pixels of an image's shorter side at least: smaller images are repeated pixel for pixel."""
_GAP, _TEXT = 4, 14  # pixels


def sheet(cells: Sequence[Sequence[Tensor | None]], columns: Sequence[str], rows: Sequence[str]) -> Tensor:
    """Draw a table of images on white, with captions above its columns and left of its rows.

    Args:
        cells: rows of images, uint8 (C, H, W), all of one size; None leaves a place empty.
        columns: caption of each column; "" for none.
        rows: caption of each row.

    Returns:
        uint8 (3, H', W').

    Raises:
        ValueError: the picture would be too large.
    """
    some = next(image for row in cells for image in row if image is not None)
    factor = max(1, -(-SMALLEST // min(some.shape[1:])))
    height, width = (side * factor for side in some.shape[1:])
    font = ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), _TEXT)

    def length(caption: str) -> int:
        return int(font.getlength(caption)) + 1

    lefts = [max(map(length, rows), default=0) + 3 * _GAP]
    for caption in columns:
        lefts.append(lefts[-1] + max(width, length(caption)) + _GAP)
    top = (_TEXT + 2 * _GAP) if any(columns) else _GAP
    size = (lefts[-1], top + len(cells) * (height + _GAP))
    check_size(*size)
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for caption, left, right in zip(columns, lefts[:-1], lefts[1:], strict=True):
        draw.text(((left + right - _GAP) / 2, _GAP), caption, "black", font, anchor="ma")
    for i, (caption, row) in enumerate(zip(rows, cells, strict=True)):
        above = top + i * (height + _GAP)
        draw.text((lefts[0] - 2 * _GAP, above + height / 2), caption, "black", font, anchor="rm")
        for image, left, right in zip(row, lefts[:-1], lefts[1:], strict=True):
            if image is not None:
                pixels = to_channels(image[None], 3)[0].repeat_interleave(factor, 1).repeat_interleave(factor, 2)
                place = Image.fromarray(pixels.permute(1, 2, 0).contiguous().cpu().numpy())
                picture.paste(place, ((left + right - _GAP - width) // 2, above))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)
