"""Translation of stored images of any size, depth and number of channels."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_lightning.data.images import as_channels, as_uint8, cover, fit_image, to_float, to_uint8, to_uint16
from gan_lightning.inference import Choice, Translator
from gan_lightning.inference.statistics import SharedStatistics
from gan_lightning.inference.tiles import reflected, round_up, tile_starts, tile_weights
from gan_lightning.inference.translation import UntranslatableImageError

TILE = 512
MEASURED = 16  # largest number of tiles that an image's statistics are taken from


class ImageTranslation:
    """A translation in one direction, as a function of stored images of any size.

    docs/prediction.md describes the handling of size, depth, channels, transparency and noise.

    Args:
        translator: a model's translator. Its network states as int attributes its channels (`in_channels`), a number of
            which both sides of its images must be multiples (`multiple`) and the smallest side (`minimum`). It may also
            state the ratio of the sides of a translation to those of its source (`scale`; absent = 1), the number of
            `classes` of the maps that it makes, which cannot be blended (absent = it makes images), and that it
            translates no parts of images (`whole`; absent = False).
        direction: one of the translator's `directions`. None = the first, or the only one.
        tile: side of a tile in pixels. An image with a longer side is translated in tiles of this side, rounded up to a
            size that the network accepts.
        overlap: smallest number of pixels that neighbouring tiles share; at most half a tile. None = a quarter.
        choice: the user's choice among the translations of an image; see `as_example` for its example. None = the
            translator's default. The code of the choice is the same for all tiles of an image.

    Raises:
        ValueError: the network, the direction, the choice or the sizes do not fit.
    """

    def __init__(
        self,
        translator: Translator,
        direction: str | None = None,
        tile: int = TILE,
        overlap: int | None = None,
        choice: Choice | None = None,
    ) -> None:
        self.translator = translator
        self.direction = direction or translator.directions[0]
        self.network = translator.network(direction)
        translator.check(choice, direction)
        self.choice = choice

        self.in_channels, self.multiple, self.minimum = (
            _stated(self.network, name) for name in ("in_channels", "multiple", "minimum")
        )
        self.scale: int = getattr(self.network, "scale", 1)
        self.blend = not getattr(self.network, "classes", 0)
        if self.in_channels not in (1, 3, 4):
            raise _no_image(f"takes {self.in_channels}", self.network)
        self.tile = round_up(max(tile, self.minimum), self.multiple)
        self.overlap = self.tile // 4 if overlap is None else overlap
        if not 0 <= self.overlap <= self.tile // 2:
            raise ValueError(f"tiles of {self.tile} pixels cannot overlap by {overlap}: choose 0 to {self.tile // 2}")

    @cached_property
    def out_channels(self) -> int:
        """The number of channels that the network makes, found by a trial."""
        side = round_up(self.minimum, self.multiple)
        grey = torch.zeros(1, self.in_channels, side, side)
        output = self._translate(grey, 0, self._code(grey, 0))
        if output.shape[2:] != (side * self.scale, side * self.scale):
            raise ValueError(
                f"{type(self.network).__name__} makes an image of {output.shape[2]}x{output.shape[3]} from one of "
                f"{side}x{side}, but states that its scale is {self.scale}: set its attribute `scale`"
            )
        if output.shape[1] not in (1, 3, 4):
            raise _no_image(f"makes {output.shape[1]}", self.network)
        return output.shape[1]

    def channels_of(self, alpha: bool) -> int:
        """Return the number of channels of a translation, for an image with or without an alpha channel."""
        return self.out_channels + (1 if alpha and self.out_channels < 4 else 0)

    def __call__(self, image: Tensor, seed: int = 0) -> Tensor:
        """Translate one image.

        Args:
            image: uint8 or uint16 (C, H, W) of 1 to 4 channels (grey, grey + alpha, RGB, RGBA), as from `read_image`.
            seed: seed of the model's noise, if it has any: the same seed gives the same image.

        Returns:
            (C', scale · H, scale · W) of the same dtype, on the CPU.

        Raises:
            UntranslatableImageError: the image holds values that mean nothing to the network; or it needs tiles, and
                the network translates only whole images.
        """
        image = self.translator.read(image, self.direction)
        channels = self.channels_of(alpha=image.shape[0] in (2, 4))
        height, width = image.shape[1:]
        if max(height, width) > self.tile and getattr(self.network, "whole", False):
            raise UntranslatableImageError(
                f"its {width}x{height} pixels need tiles of {self.tile}, but {type(self.network).__name__} changes a "
                f"region of whole images: set --tile to {max(height, width)}, or give a smaller image"
            )
        sides = [self.tile if length > self.tile else self._padded(length) for length in (height, width)]
        rows, columns = (
            tile_starts(length, side, self.overlap, self.multiple)
            for length, side in zip((height, width), sides, strict=True)
        )
        starts = [(top, left) for top in rows for left in columns]
        code = self._code(self._overview(image), seed) if self.translator.has_choice else None
        statistics = nullcontext() if len(starts) == 1 else self._measure(image, starts, sides, seed, code)
        down, across = (
            tile_weights([self.scale * start for start in s], self.scale * side, self.scale * self.overlap, self.blend)
            for s, side in zip((rows, columns), sides, strict=True)
        )

        result = torch.empty(channels, self.scale * height, self.scale * width, dtype=image.dtype)
        # floats for one row of tiles only: pixels outside of the next row are finished
        band = torch.zeros(channels, self.scale * sides[0], self.scale * (columns[-1] + sides[1]))
        for i, top in enumerate(rows):
            for j, left in enumerate(columns):
                part = _cut(image, top, left, sides)
                with statistics:
                    translated = self._translate(self._as_taken(part), seed, code)[0].cpu()
                if channels > self.out_channels:
                    translated = torch.cat([translated, self._alpha(part)])
                place = slice(self.scale * left, self.scale * (left + sides[1]))
                band[:, :, place] += translated * down[i][:, None] * across[j]
            bottom = rows[i + 1] if i + 1 < len(rows) else height
            finished = self.scale * (bottom - top)
            rounded = (to_uint8 if image.dtype == torch.uint8 else to_uint16)(band[:, :finished])
            result[:, self.scale * top : self.scale * bottom] = rounded[:, :, : self.scale * width]
            band = torch.cat([band[:, finished:], torch.zeros_like(band[:, :finished])], dim=1)
        return result

    def _padded(self, length: int) -> int:
        return round_up(max(length, self.minimum), self.multiple)

    def _overview(self, image: Tensor) -> Tensor:
        """Return a stored image as float32 (1, in_channels, H, W) that the network takes; a large one is reduced."""
        longest = max(image.shape[1:])
        if longest > self.tile:
            sides = [max(1, length * self.tile // longest) for length in image.shape[1:]]
            image = cover(as_channels(as_uint8(image)[None], self.in_channels)[0], sides)
        return self._as_taken(_cut(image, 0, 0, [self._padded(length) for length in image.shape[1:]]))

    def _measure(
        self, image: Tensor, starts: list[tuple[int, int]], sides: list[int], seed: int, code: Tensor | None = None
    ) -> SharedStatistics:
        """Measure the statistics for all tiles of an image on a sample of them."""
        statistics = SharedStatistics()
        order = torch.randperm(len(starts), generator=torch.Generator().manual_seed(0)).tolist()
        for i in order[:MEASURED]:
            top, left = starts[i]
            part = _cut(image, top, left, sides)
            with statistics:
                self._translate(self._as_taken(part), seed, code)
            if not len(statistics):  # a network without such layers
                break
        statistics.fix()
        return statistics

    def _as_taken(self, part: Tensor) -> Tensor:
        """Convert a stored part of an image (C, H, W) to float32 (1, in_channels, H, W) in [-1, 1]."""
        return to_float(as_channels(part[None], self.in_channels))

    def _alpha(self, part: Tensor) -> Tensor:
        """Convert the last channel of a stored part (C, H, W) to float32 (1, scale · H, scale · W)."""
        alpha = to_float(part[None, -1:])
        if self.scale > 1:
            alpha = interpolate(alpha, scale_factor=self.scale, mode="bicubic", antialias=True)
        return alpha[0]

    def _code(self, image: Tensor, seed: int) -> Tensor | None:
        """Return the code of the choice for an image float (1, C, H, W), with noise of this seed."""
        device = self._device(image)
        with _seeded(seed, device):
            return self.translator.code_of(image.to(device), self.choice, self.direction)

    def _translate(self, images: Tensor, seed: int, code: Tensor | None) -> Tensor:
        """Call the translator with noise of this seed."""
        device = self._device(images)
        with _seeded(seed, device):
            return self.translator.apply(images.to(device), code, self.direction)

    def _device(self, images: Tensor) -> torch.device:
        return next(self.network.parameters(), images).device


def translate_image(
    translator: Translator,
    image: Tensor,
    direction: str | None = None,
    tile: int = TILE,
    overlap: int | None = None,
    seed: int = 0,
    choice: Choice | None = None,
) -> Tensor:
    """Translate one stored image of any size: see `ImageTranslation` and its `__call__`."""
    return ImageTranslation(translator, direction, tile, overlap, choice)(image, seed)


def as_example(image: Tensor, network: nn.Module) -> Tensor:
    """Convert a stored image to an example, as the `encode_style` of a network takes it.

    Args:
        image: uint8 or uint16 (C, H, W) of 1 to 4 channels, of any size.
        network: it states `in_channels`, `multiple` and `minimum`, and may state `example_channels` and `example_size`
            (see `StyleTranslator`).

    Returns:
        float32 (1, C', H', W') in [-1, 1]: of the network's size, with the image scaled until it covers it; or of the
        nearest smaller size that the network takes, its longer side at most `TILE`.

    Raises:
        ValueError: the network does not state its sizes.
    """
    in_channels, multiple, minimum = (_stated(network, name) for name in ("in_channels", "multiple", "minimum"))
    channels: int = getattr(network, "example_channels", in_channels)
    size: Sequence[int] | None = getattr(network, "example_size", None)
    if size is None:
        ratio = min(1.0, TILE / max(image.shape[1:]))
        least = round_up(minimum, multiple)
        size = [max(least, round(ratio * length) // multiple * multiple) for length in image.shape[1:]]
    return to_float(fit_image(image, (channels, *size))[None])


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from this seed within the context; then restore the random state."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _no_image(channels: str, network: nn.Module) -> ValueError:
    return ValueError(
        f"the network {type(network).__name__} {channels} channels, but image files have 1 (grey), 3 (RGB) or 4 "
        "(RGBA): call `Translator.translate` with tensors"
    )


def _stated(network: nn.Module, name: str) -> int:
    stated = getattr(network, name, None)
    if not isinstance(stated, int):
        raise ValueError(
            f"the network {type(network).__name__} does not state its {name}: give it an int attribute of this name, "
            "see gan_lightning.prediction.ImageTranslation"
        )
    return stated


def _cut(image: Tensor, top: int, left: int, sides: list[int]) -> Tensor:
    """Return the part (C, *sides) of an image (C, H, W) from that position on, with reflection beyond the image."""
    (height, width), (down, across) = image.shape[1:], sides
    return image[:, reflected(top, down, height)][:, :, reflected(left, across, width)]
