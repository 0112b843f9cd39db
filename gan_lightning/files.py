"""Image files: which files of a folder are images, what is in one, and how one is written."""

import os
import secrets
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

_KEPT_MODES = ("L", "LA", "RGB", "RGBA")


class ImageKind(NamedTuple):
    """What the header of an image file says."""

    height: int  # pixels, before any rotation that a camera noted
    width: int
    alpha: bool  # it has transparency of some kind
    deep: bool  # `read_image` reads 16 bits a channel


class _Format(NamedTuple):
    """What a file format can hold."""

    name: str  # Pillow's
    channels: tuple[int, ...]  # counts of 8 bits each
    deep_channels: tuple[int, ...]  # counts of 16 bits each
    longest: int  # side, pixels
    options: Mapping[str, Any]


_PNG = _Format("PNG", (1, 2, 3, 4), (1, 2, 3, 4), 2**31 - 1, {})
_JPEG = _Format("JPEG", (1, 3), (), 65500, {"quality": 95, "subsampling": 0})
_TIFF = _Format("TIFF", (1, 2, 3, 4), (1,), 2**31 - 1, {})
_WEBP = _Format("WEBP", (3, 4), (), 16383, {"lossless": True, "exact": True})
_WRITTEN = {".png": _PNG, ".jpg": _JPEG, ".jpeg": _JPEG, ".tif": _TIFF, ".tiff": _TIFF, ".webp": _WEBP}
_SHOWN = 5  # files that an error lists


def image_files(folder: Path) -> list[Path]:
    """All image files in `folder` and its sub-folders, in the order of their relative paths on any machine.

    A file counts by its suffix, any that Pillow can open; hidden files and what is in hidden folders do not count.

    Raises:
        FileNotFoundError: if there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: name one that holds images")
    Image.init()
    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(place, name)
            for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes
        ]
    if not found:
        raise FileNotFoundError(f"{folder} holds no images: put files such as .png, .jpg or .tif into it")
    return sorted(found, key=lambda file: file.relative_to(folder).as_posix())


def matched(a: Path, b: Path) -> tuple[list[Path], list[Path]]:
    """The image files of two folders, matched by their relative paths without suffix.

    Raises:
        FileNotFoundError: if there is no such folder, or no image in it.
        ValueError: if any has no partner, or two files of a folder share a name.
    """
    named_a, named_b = _by_name(a), _by_name(b)
    lonely = [str(named_a[name]) for name in sorted(named_a.keys() - named_b.keys())]
    lonely += [str(named_b[name]) for name in sorted(named_b.keys() - named_a.keys())]
    if lonely:
        raise ValueError(
            f"{len(lonely)} images of {a} and {b} have no partner of the same name in the other folder"
            f" ({', '.join(lonely[:_SHOWN])}{', ...' if len(lonely) > _SHOWN else ''}): add the partners or remove "
            "these"
        )
    names = sorted(named_a)
    return [named_a[name] for name in names], [named_b[name] for name in names]


def _by_name(folder: Path) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for file in image_files(folder):
        name = file.relative_to(folder).with_suffix("").as_posix()
        if name in named:
            raise ValueError(
                f"{named[name]} and {file} share a name, so that pairs are ambiguous: remove or rename one"
            )
        named[name] = file
    return named


def read_image(path: Path) -> Tensor:
    """The image in a file at its own size: uint8 (C, H, W), or uint16 where it has 16 bits a channel.

    C is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA). Orientation noted by a camera (EXIF) is applied; palettes
    and other colour spaces become RGB; transparency of any kind becomes an alpha channel. 16 bits are kept of grey in
    any format, and of RGB and RGBA in PNG; others Pillow reads as 8-bit. Of an animation it is the first frame.

    Raises:
        ValueError: if the file is no image or damaged, or its pixels have no known range; it names the file.
    """
    try:
        with Image.open(path) as image:
            if _is_deep_colour(image):
                values = _deep_colour(path)
            else:
                ImageOps.exif_transpose(image, in_place=True)
                values = _deep(image) if image.mode[0] in "IF" else np.array(_shallow(image))
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        raise _unreadable(path, error) from error
    return torch.from_numpy(values.reshape(*values.shape[:2], -1)).permute(2, 0, 1).contiguous()


def image_kind(path: Path) -> ImageKind:
    """What the header of an image file says of the image that `read_image` reads.

    Raises:
        ValueError: if it is no image; it names the file. A damaged one may show when it is read only.
    """
    try:
        with Image.open(path) as image:
            deep = image.mode[0] == "I" or _is_deep_colour(image)
            return ImageKind(image.height, image.width, image.has_transparency_data, deep)
    except Exception as error:
        raise _unreadable(path, error) from error


def holds(suffix: str, channels: int, deep: bool, longest: int) -> bool:
    """Whether `write_image` can write such an image into a file with this suffix, and loses nothing but to JPEG.

    Args:
        suffix: with its dot, in any case.
        channels: 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA).
        deep: 16 bits a channel, not 8.
        longest: the longer side, in pixels.
    """
    known = _WRITTEN.get(suffix.lower())
    return (
        known is not None and channels in (known.deep_channels if deep else known.channels) and longest <= known.longest
    )


def write_image(image: Tensor, path: Path) -> None:
    """Write an image as its suffix says; the file appears whole or not at all, in a folder that is made where missing.

    JPEG is written with quality 95 and colours at full size, WebP without loss.

    Args:
        image: uint8 or uint16 (C, H, W), C as in `holds`.
        path: the file.

    Raises:
        ValueError: a file with this suffix cannot hold it.
    """
    channels, deep = image.shape[0], image.dtype == torch.uint16
    if not holds(path.suffix, channels, deep, max(image.shape[1:])):
        raise ValueError(
            f"{path} cannot hold an image of {channels} channels of {16 if deep else 8} bits and "
            f"{image.shape[1]}x{image.shape[2]} pixels: write a .png"
        )
    values = image.permute(1, 2, 0).contiguous().numpy()
    if deep and channels > 1:
        write_whole(path, lambda part: part.write_bytes(_deep_png(values)))
        return
    picture = Image.fromarray(values if channels > 1 else values[:, :, 0])
    written = _WRITTEN[path.suffix.lower()]
    write_whole(path, lambda part: picture.save(part, format=written.name, **written.options))


def _deep_png(values: np.ndarray) -> bytes:
    """A PNG file (W3C's specification, section 5) of uint16 (H, W, 2 to 4), which Pillow does not write."""
    height, width, channels = values.shape
    colour_type = {2: 4, 3: 2, 4: 6}[channels]
    rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (1, 0)))  # each with the filter before it: 0 = none
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0),
        b"IDAT": zlib.compress(rows.tobytes()),
        b"IEND": b"",
    }
    file = b"\x89PNG\r\n\x1a\n"
    for name, content in chunks.items():
        file += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return file


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether it is a PNG file of RGB or RGBA with 16 bits a channel, which Pillow would cut to 8."""
    return (
        image.format == "PNG"
        and str(image.tile[0][3]) in ("RGB;16B", "RGBA;16B")  # type: ignore[attr-defined]
        and "transparency" not in image.info
    )


def _deep_colour(path: Path) -> np.ndarray:
    """The uint16 values (H, W, C) of such a file. Pillow gives one byte of each two: here the high ones, then the low.

    It takes the high byte of what it is told the order of; told the other order, it takes the low one.
    """
    halves = []
    for order in ("B", "L"):
        with Image.open(path) as image:
            tiles: list[Any] = image.tile
            codec, extents, offset, mode = tiles[0]
            tiles[0] = (codec, extents, offset, mode[:-1] + order)
            ImageOps.exif_transpose(image, in_place=True)
            halves.append(np.array(image).astype(np.uint16))
    high, low = halves
    return high << 8 | low


def _unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} cannot be read as an image ({error}): mend or remove it")


def _deep(image: Image.Image) -> np.ndarray:
    """Grey (H, W) of more than 8 bits, which Pillow holds as "I;16" or, 32 bits wide, as "I"."""
    values = np.asarray(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range, save it with 8 or 16 bits")
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its pixels need more than 16 bits, save it with 8 or 16 bits")
    return values.astype(np.uint16)


def _shallow(image: Image.Image) -> Image.Image:
    """The image in the one of `_KEPT_MODES` that holds all of it."""
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in _KEPT_MODES else image.convert("RGB")


def write_whole(out: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file, which appears at `out` whole or not at all, in a folder that is made where missing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f"{out.name}.{secrets.token_hex(4)}.part")
    try:
        write(unfinished)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
