"""Image files: which files of a folder are images, what is in one, and how one is written.

Seven formats are read, and told by a file's content, whatever its suffix says: no other decoder ever sees a file.
"""

import os
import secrets
import stat
import struct
import unicodedata
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""The formats that are read, by Pillow's names; PPM stands for PBM, PGM, PNM and PFM too."""
_NETPBM = {".pbm", ".pfm", ".pgm", ".pnm", ".ppm"}
_JPEGS = {".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"}
SUFFIXES = {".apng", ".bmp", ".dib", ".gif", ".png", ".tif", ".tiff", ".webp"} | _JPEGS | _NETPBM
"""The files of a folder that count as images."""
MAX_PIXELS = 178_956_970
"""Pixels of an image at most, where the environment variable GAN_LIGHTNING_MAX_PIXELS gives no other number."""

_RAW = {".arw", ".cr2", ".cr3", ".dng", ".nef"}
_UNREAD = {".avif", ".exr", ".heic", ".heif", ".ico", ".j2k", ".jp2", ".jxl", ".psd", ".svg", ".tga", ".xcf"} | _RAW
_ARCHIVES = {".7z", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip"}
_KEPT_MODES = ("L", "LA", "RGB", "RGBA")
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

# a limit of our own stands in the place of this warning, which comes at half of it
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class Page(NamedTuple):
    """An image in a file: the only one, or a page of a TIFF file that has several."""

    file: Path
    number: int | None = None  # from 1; None = the file holds one image

    def name(self, folder: Path, suffix: bool = True) -> str:
        """Its name in `folder`: the relative path, with or without suffix; of a third page, "#3" follows."""
        path = self.file.relative_to(folder)
        number = "" if self.number is None else f"#{self.number}"
        return (path if suffix else path.with_suffix("")).as_posix() + number

    def __str__(self) -> str:
        return shown(self.file) + ("" if self.number is None else f", page {self.number}")


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
_SUBFILE_TYPE, _COPY_OR_MASK = 254, 0b101  # TIFF 6.0, page 36
_SHOWN = 5  # files that an error lists


def shown(path: Path | str) -> str:
    """A path as it can be printed on one line: bytes that are not UTF-8, and control characters, as escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def composed(name: str) -> str:
    """A name with its accents composed (Unicode's NFC), as names are compared: file systems keep either form."""
    return unicodedata.normalize("NFC", name)


# ---------------------------------------------------------------------- which files


def image_files(folder: Path) -> list[Path]:
    """All image files in `folder` and its sub-folders, in the order of their relative paths on any machine.

    A file counts by its suffix, one of `SUFFIXES`, and one without a suffix by its content; hidden files and what is in
    hidden folders do not count. Links are followed, and each file and each folder counts once: by its own name (of
    several hard links, by the first), or by the first symbolic link to it where it lies outside of `folder`.

    Raises:
        FileNotFoundError: if there is no such folder, or no image in it, or if what may have been a folder is a link
            that leads nowhere (a link to a missing image is told of when that is read).
        PermissionError: if a folder cannot be listed.
    """
    return sorted(places(folder).values(), key=lambda file: file.relative_to(folder).as_posix())


def places(folder: Path) -> dict[str, Path]:
    """The files of `image_files` by what names each of them from whatever folder it is found. Errors as there."""
    found: dict[str, Path] = {}
    for file, place in _walk(folder):
        found.setdefault(place, file)
    return found


def refuse_shared(one: Path, other: Path, mend: str) -> None:
    """Two folders hold no image in common, by whatever links; errors as of `image_files`, besides.

    Args:
        one: a folder.
        other: a folder.
        mend: what to do about it, for the error.

    Raises:
        ValueError: there is an image that both hold; it names the first.
    """
    here, there = places(one), places(other)
    if shared := sorted(here[place] for place in here.keys() & there.keys()):
        raise ValueError(
            f"{shown(one)} and {shown(other)} hold the same {len(shared)} images ({shown(shared[0])} is the first): "
            f"{mend}"
        )


def pages(folder: Path) -> list[Page]:
    """The images in the files of `image_files`, in that order: one of each file, or its pages. Errors as there."""
    return [page for file in image_files(folder) for page in pages_of(file)]


def pages_of(file: Path) -> list[Page]:
    """The images in a file: one, or the pages of a TIFF file that has several.

    A smaller copy of a page and a mask, as files with pyramids have them, are no pages. A file that cannot be read, or
    is an animation, counts as one image: it is told of when that is read.
    """
    if file.suffix.lower() not in (".tif", ".tiff"):
        return [Page(file)]
    try:
        status = file.stat()
        numbers = _page_numbers(file, status.st_size, status.st_mtime_ns)
    except Exception:  # Pillow raises a dozen kinds for damaged files
        return [Page(file)]
    return [Page(file)] if len(numbers) == 1 else [Page(file, number) for number in numbers]


def matched(a: Path, b: Path) -> tuple[list[Page], list[Page]]:
    """The images of two folders, matched by their relative paths without suffix, and by the numbers of their pages.

    Whether accents are composed in a name (Unicode's NFC or NFD) makes no difference. A file may have several partners,
    under links of their names; equal pairs count once.

    Raises:
        FileNotFoundError, PermissionError: as `image_files` does.
        ValueError: if any has no partner, or two files of a folder share a name.
    """
    named_a, named_b = _by_name(a), _by_name(b)
    lonely = [str(named_a[name][0]) for name in sorted(named_a.keys() - named_b.keys())]
    lonely += [str(named_b[name][0]) for name in sorted(named_b.keys() - named_a.keys())]
    if lonely:
        raise ValueError(
            f"{len(lonely)} images of {shown(a)} and {shown(b)} have no partner of the same name in the other folder"
            f" ({', '.join(lonely[:_SHOWN])}{', ...' if len(lonely) > _SHOWN else ''}): add the partners or remove "
            "these"
        )
    pairs: dict[tuple[str, str, int], tuple[str, int]] = {}
    for name, (_, place) in named_a.items():  # what is no link comes first
        pairs.setdefault((place, named_b[name][1], name[1]), name)
    names = sorted(pairs.values())
    return [named_a[name][0] for name in names], [named_b[name][0] for name in names]


def _by_name(folder: Path) -> dict[tuple[str, int], tuple[Page, str]]:
    """Images, and the places of their files, by composed name and page (0 = the only one)."""
    files: dict[str, Path] = {}
    named: dict[tuple[str, int], tuple[Page, str]] = {}
    for file, place in _walk(folder):
        name = composed(file.relative_to(folder).with_suffix("").as_posix())
        if name in files:
            raise ValueError(
                f"{shown(files[name])} and {shown(file)} share a name, so that pairs are ambiguous: remove or rename "
                "one"
            )
        files[name] = file
        named |= {(name, page.number or 0): (page, place) for page in pages_of(file)}
    return named


def _walk(folder: Path) -> list[tuple[Path, str]]:
    """Image files below a folder, each with the place where it really lies; what is no link comes first.

    Each folder is entered once: those that are no links before those that links lead to.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{shown(folder)} is not a folder: name one that holds images")
    files: list[tuple[Path, str]] = []
    links: list[tuple[Path, str]] = []
    entered: set[str] = set()
    linked: list[tuple[Path, str]] = []  # folders that links lead to
    here = [(folder, os.path.realpath(folder))]
    while here or linked:
        path, place = (here or linked).pop(0)
        if place in entered:
            continue
        entered.add(place)
        for entry in _entries(path):
            child = path / entry.name
            if entry.is_symlink() and child.is_dir():
                linked.append((child, os.path.realpath(child)))
            elif entry.is_symlink():
                links.append((child, _place(child, os.path.realpath(child))))
            elif entry.is_dir():
                here.append((child, os.path.join(place, entry.name)))
            else:
                files.append((child, _place(child, os.path.join(place, entry.name))))
    if lost := [link for link, _ in links if not link.suffix and not link.exists()]:
        raise FileNotFoundError(f"{shown(lost[0])} is a link that leads nowhere: mend or remove it")
    suffixes = {file.suffix.lower() for file, _ in files}
    for unread, mend in (_UNREAD, "convert them to .png"), (_ARCHIVES, "unpack them first"):
        if there := suffixes & unread:
            warnings.warn(
                f"files in {shown(folder)} are left out, for {', '.join(sorted(there))} is not read: {mend}",
                stacklevel=2,
            )
    images = [(file, place) for file, place in files + links if _counts(file)]
    if not images:
        raise FileNotFoundError(f"{shown(folder)} holds no images: put files such as .png, .jpg or .tif into it")
    return images


def _place(file: Path, path: str) -> str:
    """What names a file whatever its name: where it really lies; of one with several hard links, its number."""
    try:
        status = file.stat()
    except OSError:  # a link that leads nowhere, or what may not be seen: told of when it is read
        return path
    return path if status.st_nlink == 1 else f"{status.st_dev}:{status.st_ino}"


def _counts(file: Path) -> bool:
    """Whether a file counts as an image: by its suffix, or, where it has none, by its content."""
    if file.suffix:
        return file.suffix.lower() in SUFFIXES
    try:
        with _opened(file):
            return True
    except Exception:  # Pillow raises a dozen kinds for what is no image
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder and not hidden, by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except PermissionError as error:
        raise PermissionError(
            f"{shown(folder)} cannot be listed ({error.strerror}): allow it, or take it out of the images"
        ) from error


# ---------------------------------------------------------------------- what is in one


@contextmanager
def open_file(file: Path) -> Iterator[BinaryIO]:
    """A file, opened for reading; nothing else that a name may stand for is ever opened.

    Raises:
        FileNotFoundError: if it is not there.
        PermissionError: if it may not be read.
        ValueError: if it is a folder, a pipe, a socket or a device.
    """
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        missing = "it is a link that leads nowhere" if file.is_symlink() else "it is missing"
        raise FileNotFoundError(missing) from None
    if not stat.S_ISREG(mode):  # a pipe would be waited for until somebody writes into it
        raise ValueError(f"it is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file")
    with file.open("rb") as stream:
        yield stream


@contextmanager
def open_image(image: Path | Page) -> Iterator[Image.Image]:
    """The image in a file, as Pillow opens it: the header is read, and pixels are when they are wanted.

    Raises:
        FileNotFoundError, PermissionError, ValueError: as `open_file` does.
        ValueError: if it is of none of `FORMATS`, an animation, a TIFF file of several pages none of which is named, or
            has more pixels than `max_pixels`.
        Exception: whatever else Pillow raises for a damaged file; its kinds are many.
    """
    file, number = image if isinstance(image, Page) else (image, None)
    with _opened(file) as opened:
        if opened.format == "TIFF":
            numbers = _numbers(opened) if number is None else [number]
            if len(numbers) > 1:
                raise ValueError(f"it has {len(numbers)} pages: name one of them, or save each as a file")
            opened.seek(numbers[0] - 1)
        # an MPO file is a photograph, and after it a preview of it or another view
        elif opened.format != "MPO" and getattr(opened, "is_animated", False):
            raise ValueError(f"it is an animation of {opened.n_frames} frames: save those that you want as files")  # type: ignore[attr-defined]
        if not opened.width * opened.height:
            raise ValueError("it has no pixels")
        if opened.width * opened.height > max_pixels():
            raise _too_large(f"its {opened.width}x{opened.height}")
        yield opened


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    limit = max_pixels()
    if Image.MAX_IMAGE_PIXELS is not None:  # Pillow refuses twice as many, whatever is asked of us
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, -(-limit // 2))
    # by its stream, since Pillow would map a named file, and a map of a file that shrinks ends the process
    with open_file(file) as stream:
        try:
            image = Image.open(stream, formats=FORMATS)
        except UnidentifiedImageError:
            empty = not os.fstat(stream.fileno()).st_size
            known = ", ".join(FORMATS)
            raise ValueError("it is empty" if empty else f"its content is damaged, or none of {known}") from None
        except Image.DecompressionBombError:
            raise _too_large("its") from None
        with image:
            yield image


def max_pixels() -> int:
    """The pixels that an image may have: `MAX_PIXELS`, or what GAN_LIGHTNING_MAX_PIXELS says.

    Raises:
        ValueError: if that is no positive number.
    """
    given = os.environ.get("GAN_LIGHTNING_MAX_PIXELS") or str(MAX_PIXELS)
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(f"GAN_LIGHTNING_MAX_PIXELS={given}, which is no number of pixels: make it 1 or more")
    return int(given)


def _too_large(size: str) -> ValueError:
    return ValueError(
        f"{size} pixels are more than the {max_pixels():,} that are read: make it smaller, or set the environment "
        "variable GAN_LIGHTNING_MAX_PIXELS to more"
    )


@cache
def _page_numbers(file: Path, size: int, modified: int) -> list[int]:
    """Of a file, as long as its size and the time of its last change are these."""
    with _opened(file) as image:
        return _numbers(image) if image.format == "TIFF" else [1]


def _numbers(image: Any) -> list[int]:
    """The numbers, from 1, of the pages of a TIFF file that are neither a smaller copy nor a mask of another."""
    if not image.is_animated:
        return [1]
    numbers = []
    for number in range(1, image.n_frames + 1):
        image.seek(number - 1)
        if not image.tag_v2.get(_SUBFILE_TYPE, 0) & _COPY_OR_MASK:
            numbers.append(number)
    return numbers or [1]


def read_image(image: Path | Page) -> Tensor:
    """The image in a file at its own size: uint8 (C, H, W), or uint16 where it has 16 bits a channel.

    C is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA). Orientation noted by a camera (EXIF) is applied; palettes
    and other colour spaces become RGB; transparency of any kind becomes an alpha channel. 16 bits are kept of grey in
    any format, and of all kinds of PNG; others Pillow reads as 8-bit.

    Args:
        image: a file that holds one image, or a page of one that holds several.

    Raises:
        ValueError: if the file cannot be read (see `open_image`) or is damaged, or its pixels have no known range; it
            names the file.
    """
    try:
        with open_image(image) as opened:
            values = deep_values(opened, image)
            if values is None:
                ImageOps.exif_transpose(opened, in_place=True)
                values = np.array(shallow(opened))
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        raise _unreadable(image, error) from error
    return torch.from_numpy(values.reshape(*values.shape[:2], -1)).permute(2, 0, 1).contiguous()


def image_kind(image: Path | Page) -> ImageKind:
    """What the header of an image file says of the image that `read_image` reads.

    Raises:
        ValueError: if it is no image; it names the file. A damaged one may show when it is read only.
    """
    try:
        with open_image(image) as opened:
            deep = opened.mode[0] == "I" or _is_deep_colour(opened)
            return ImageKind(opened.height, opened.width, opened.has_transparency_data, deep)
    except Exception as error:
        raise _unreadable(image, error) from error


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
    write_pages([image], path)


def write_pages(images: Sequence[Tensor], path: Path) -> None:
    """Write a file of one image, or a TIFF file of several: see `write_image`, for each of them."""
    for image in images:
        channels, deep = image.shape[0], image.dtype == torch.uint16
        if not holds(path.suffix, channels, deep, max(image.shape[1:])):
            raise ValueError(
                f"{shown(path)} cannot hold an image of {channels} channels of {16 if deep else 8} bits and "
                f"{image.shape[1]}x{image.shape[2]} pixels: write a .png"
            )
    written = _WRITTEN[path.suffix.lower()]
    if len(images) > 1 and written is not _TIFF:
        raise ValueError(f"{shown(path)} cannot hold {len(images)} pages: write a .tif")
    values = [image.permute(1, 2, 0).contiguous().numpy() for image in images]
    if deep and channels > 1:
        write_whole(path, lambda part: part.write_bytes(_deep_png(values[0])))
        return
    first, *others = (Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[:, :, 0]) for pixels in values)
    more = {"save_all": True, "append_images": others} if others else {}
    write_whole(path, lambda part: first.save(part, format=written.name, **written.options, **more))


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


def deep_values(image: Image.Image, source: Path | Page) -> np.ndarray | None:
    """The uint16 values (H, W, C) of an image of more than 8 bits a channel, upright; None of one that has 8 at most.

    They are those of grey in any format, and of all kinds of PNG. A colour that stands for transparency becomes an
    alpha channel.

    Args:
        image: what `open_image` has opened, of which no pixels have been read.
        source: what it was opened from.

    Raises:
        ValueError: if the pixels have no known range.
    """
    if _is_deep_colour(image):
        values = _deep_colour(image, source)
    elif image.mode[0] in "IF":
        values = _deep_grey(ImageOps.exif_transpose(image))[:, :, None]
    else:
        return None
    if (clear := image.info.get("transparency")) is not None:
        opaque = (values != np.array(clear)).any(axis=2, keepdims=True)
        values = np.concatenate([values, opaque * np.uint16(65535)], axis=2)
    return values


def _is_deep_colour(image: Any) -> bool:
    """Whether it is a PNG file of 16 bits a channel, and not of grey alone: Pillow would cut it to 8."""
    return image.format == "PNG" and bool(image.tile) and str(image.tile[0][3]) in ("LA;16B", "RGB;16B", "RGBA;16B")


def _deep_colour(image: Image.Image, source: Path | Page) -> np.ndarray:
    """The uint16 values (H, W, C) of such a file, whose bytes Pillow hands out when it takes them for something else.

    Grey and alpha of two bytes each are as long as RGBA. Of RGB and RGBA, Pillow takes the high byte of what it is told
    the order of; told the other order, it takes the low one.
    """

    def read(opened: Any, mode: str) -> np.ndarray:
        codec, extents, offset, _ = opened.tile[0]
        opened.tile[0] = (codec, extents, offset, mode)
        return np.array(ImageOps.exif_transpose(opened)).astype(np.uint16)

    mode = str(image.tile[0][3])  # type: ignore[attr-defined]
    if mode == "LA;16B":
        both = read(image, "RGBA")
        high, low = both[:, :, ::2], both[:, :, 1::2]
    else:
        with open_image(source) as other:
            high, low = read(image, mode), read(other, mode[:-1] + "L")
    return high << 8 | low


def _unreadable(image: Path | Page, error: Exception) -> ValueError:
    name = str(image) if isinstance(image, Page) else shown(image)
    return ValueError(f"{name} cannot be read as an image ({reason(error)}): mend or remove it")


def reason(error: Exception) -> str:
    """Why a file cannot be read, without its name, which the system adds."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _deep_grey(image: Image.Image) -> np.ndarray:
    """Grey (H, W) of more than 8 bits, which Pillow holds as "I;16" or, 32 bits wide, as "I"."""
    values = np.asarray(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range, save it with 8 or 16 bits")
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its pixels need more than 16 bits, save it with 8 or 16 bits")
    return values.astype(np.uint16)


def shallow(image: Image.Image) -> Image.Image:
    """An image of 8 bits at most in that of the modes L, LA, RGB and RGBA which holds all of it."""
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in _KEPT_MODES else image.convert("RGB")


def write_whole(out: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file, which appears at `out` whole or not at all, in a folder that is made where missing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f".{secrets.token_hex(8)}.part")  # short: the name may be as long as names can be
    try:
        try:
            write(unfinished)
        except OSError as error:
            if error.errno is not None and error.filename is None:  # which only the opening of a file says
                error.filename = str(out)
            raise
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
