"""Pictures of a model that translates images, for several visitors at a time."""

import math
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from torch import Tensor

from gan_lightning.data.files import image_kind, read_image
from gan_lightning.inference import Choice, Translator
from gan_lightning.inference.stored import ImageTranslation

MOST_PIXELS = 16_000_000
"""Pixels that an image may have before and after its translation."""


class Pair(NamedTuple):
    """An image and its translation, uint8 or uint16 (C, H, W)."""

    before: Tensor
    after: Tensor


class Retouch:
    """Translates images by one model. Visitors share it: it keeps nothing of theirs, and works for one at a time.

    Args:
        translator: the model's translator.

    Raises:
        ValueError: its networks take or make no images.
    """

    def __init__(self, translator: Translator) -> None:
        self.directions = translator.directions
        self.has_noise = translator.policy.dropout or translator.style_dim > 0
        self.options = translator.options
        self._translations = {
            (way, to): ImageTranslation(translator, way, choice=Choice(to=to))
            for way in self.directions
            for to in (None, *self.options)
        }
        self._lock = Lock()

    def translate(self, image: Tensor, direction: str | None = None, seed: int = 0, to: str | None = None) -> Pair:
        """Translate an image uint8 or uint16 (C, H, W) of any size.

        Args:
            image: the image.
            direction: one of the directions. None = the first.
            seed: seed of the model's noise or style, if it has any.
            to: one of the `options`, for a model with targets. None = the first.

        Raises:
            ValueError: there is no such direction or target, or the image is too large.
        """
        way = direction or self.directions[0]
        if way not in self.directions:
            raise ValueError(f"there is no direction {way!r}: choose {' or '.join(self.directions)}")
        if to is not None and to not in self.options:
            raise ValueError(f"there is no target {to!r}: choose {' or '.join(self.options) or 'none'}")
        translation = self._translations[way, to]
        _check_size(*(length * translation.scale for length in image.shape[1:]))
        with self._lock:
            return Pair(image, translation(image, seed))


def read_upload(file: Path) -> Tensor:
    """Read a visitor's file, which may hold anything, uint8 or uint16 (C, H, W). Only its pixels are kept.

    Raises:
        ValueError: it is no image, or too large. The error does not name the file.
    """
    try:
        kind = image_kind(file)
        _check_size(kind.height, kind.width)
        return read_image(file)
    except ValueError as error:
        raise ValueError(str(error).replace(str(file), "the file")) from error


def _check_size(height: int, width: int) -> None:
    if height * width > MOST_PIXELS:
        side = math.isqrt(MOST_PIXELS)
        raise ValueError(
            f"an image of {width:,}x{height:,} pixels is too large for this page: make it smaller than "
            f"{side:,}x{side:,}"
        )
