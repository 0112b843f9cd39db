"""Image files: finding, reading and writing them.

Seven formats are read. The format is detected by the file's content, whatever its suffix, and no other decoder is ever
used.
"""

import json
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
"""The formats that are read, by Pillow's names; PPM includes PBM, PGM, PNM and PFM."""
_NETPBM = {".pbm", ".pfm", ".pgm", ".pnm", ".ppm"}
_JPEGS = {".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"}
SUFFIXES = {".apng", ".bmp", ".dib", ".gif", ".png", ".tif", ".tiff", ".webp"} | _JPEGS | _NETPBM
"""The suffixes of files that count as images."""
MAX_PIXELS = 178_956_970
"""The largest number of pixels of an image, unless the environment variable GAN_LIGHTNING_MAX_PIXELS gives another."""

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

# the limit in `max_pixels` replaces this warning, which comes at half of Pillow's limit
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class Page(NamedTuple):
    """An image in a file: the only one, or one page of a TIFF file that has several."""

    file: Path
    number: int | None = None  # from 1; None = the file holds one image

    def name(self, folder: Path, suffix: bool = True) -> str:
        """Return the image's name in `folder`: the relative path, with or without suffix; "#3" is added for page 3."""
        path = self.file.relative_to(folder)
        number = "" if self.number is None else f"#{self.number}"
        return (path if suffix else path.with_suffix("")).as_posix() + number

    def __str__(self) -> str:
        return shown(self.file) + ("" if self.number is None else f", page {self.number}")


class ImageKind(NamedTuple):
    """The properties of an image file that its header states."""

    height: int  # pixels, before the rotation that a camera may have recorded
    width: int
    alpha: bool  # the image has transparency of some kind
    deep: bool  # `read_image` returns 16 bits a channel


class _Format(NamedTuple):
    """The images that a file format can hold."""

    name: str  # as in Pillow
    channels: tuple[int, ...]  # numbers of channels of 8 bits
    deep_channels: tuple[int, ...]  # numbers of channels of 16 bits
    longest: int  # the longer side, in pixels
    options: Mapping[str, Any]


_PNG = _Format("PNG", (1, 2, 3, 4), (1, 2, 3, 4), 2**31 - 1, {})
_JPEG = _Format("JPEG", (1, 3), (), 65500, {"quality": 95, "subsampling": 0})
_TIFF = _Format("TIFF", (1, 2, 3, 4), (1,), 2**31 - 1, {})
_WEBP = _Format("WEBP", (3, 4), (), 16383, {"lossless": True, "exact": True})
_WRITTEN = {".png": _PNG, ".jpg": _JPEG, ".jpeg": _JPEG, ".tif": _TIFF, ".tiff": _TIFF, ".webp": _WEBP}
_SUBFILE_TYPE, _COPY_OR_MASK = 254, 0b101  # TIFF 6.0, page 36
_SHOWN = 5  # number of files that an error lists


def shown(path: Path | str) -> str:
    """Return a path for printing on one line: bytes that are not UTF-8, and control characters, become escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def composed(name: str) -> str:
    """Return a name with its accents composed (Unicode's NFC), for comparison: file systems keep either form."""
    return unicodedata.normalize("NFC", name)


# ---------------------------------------------------------------------- finding files


def image_files(folder: Path) -> list[Path]:
    """Return all image files in `folder` and its sub-folders, in the order of their relative paths on any machine.

    A file counts by its suffix, one of `SUFFIXES`, and a file without a suffix counts by its content. Hidden files and
    the content of hidden folders do not count. Links are followed, and each file and each folder counts once: by its
    own name (the first of several hard links), or, if it lies outside of `folder`, by the first symbolic link to it.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it, or a link without a suffix, which may have been a
            folder, leads nowhere. (A link to a missing image raises an error when it is read.)
        PermissionError: a folder cannot be listed.
    """
    return sorted(places(folder).values(), key=lambda file: file.relative_to(folder).as_posix())


def places(folder: Path) -> dict[str, Path]:
    """Return the files of `image_files` by an identity that does not depend on the folder. Errors as there."""
    found: dict[str, Path] = {}
    for file, place in _walk(folder):
        found.setdefault(place, file)
    return found


def refuse_shared(one: Path, other: Path, advice: str) -> None:
    """Check that two folders have no image in common, not even by links. Errors as in `image_files`, and one more.

    Args:
        one: a folder.
        other: a folder.
        advice: the end of the error's sentence, which says what to do.

    Raises:
        ValueError: both folders hold the same image. The error names the first.
    """
    here, there = places(one), places(other)
    if shared := sorted(here[place] for place in here.keys() & there.keys()):
        raise ValueError(
            f"{shown(one)} and {shown(other)} hold the same {len(shared)} images ({shown(shared[0])} is the first): "
            f"{advice}"
        )


def pages(folder: Path) -> list[Page]:
    """Return the images in the files of `image_files`, in that order: one per file, or its pages. Errors as there."""
    return [page for file in image_files(folder) for page in pages_of(file)]


def pages_of(file: Path) -> list[Page]:
    """Return the images in a file: one, or the pages of a TIFF file that has several.

    A smaller copy of a page and a mask, as in files with pyramids, are not pages. A file that cannot be read, or is an
    animation, counts as one image and raises its error when it is read.
    """
    if file.suffix.lower() not in (".tif", ".tiff"):
        return [Page(file)]
    try:
        status = file.stat()
        numbers = _page_numbers(file, status.st_size, status.st_mtime_ns)
    except Exception:  # Pillow raises many kinds of errors for damaged files
        return [Page(file)]
    return [Page(file)] if len(numbers) == 1 else [Page(file, number) for number in numbers]


def matched(a: Path, b: Path) -> tuple[list[Page], list[Page]]:
    """Return the images of two folders, matched by their relative paths without suffix, and by their page numbers.

    Accents may be composed or not in a name (Unicode's NFC or NFD). A file may have several partners if links give it
    several names; equal pairs count once.

    Raises:
        FileNotFoundError, PermissionError: as in `image_files`.
        ValueError: an image has no partner, or two files of a folder share a name.
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
    for name, (_, place) in named_a.items():  # files come before links
        pairs.setdefault((place, named_b[name][1], name[1]), name)
    names = sorted(pairs.values())
    return [named_a[name][0] for name in names], [named_b[name][0] for name in names]


def _by_name(folder: Path) -> dict[tuple[str, int], tuple[Page, str]]:
    """Return the images, with their files' identities, by composed name and page (0 = the only one)."""
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
    """Return the image files below a folder, each with its identity; files come before links.

    Each folder is entered once, and folders come before links to folders.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{shown(folder)} is not a folder: name one that holds images")
    files: list[tuple[Path, str]] = []
    links: list[tuple[Path, str]] = []
    entered: set[str] = set()
    linked: list[tuple[Path, str]] = []  # targets of links to folders
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
        raise FileNotFoundError(f"{shown(lost[0])} is a link that leads nowhere: fix or remove it")
    suffixes = {file.suffix.lower() for file, _ in files}
    for unread, advice in (_UNREAD, "convert them to .png"), (_ARCHIVES, "unpack them first"):
        if there := suffixes & unread:
            warnings.warn(
                f"files in {shown(folder)} are left out, since {', '.join(sorted(there))} is not read: {advice}",
                stacklevel=2,
            )
    images = [(file, place) for file, place in files + links if _counts(file)]
    if not images:
        raise FileNotFoundError(f"{shown(folder)} holds no images: put files such as .png, .jpg or .tif into it")
    return images


def _place(file: Path, path: str) -> str:
    """Return a file's identity, which all its names share: its real path, or, with several hard links, its inode."""
    try:
        status = file.stat()
    except OSError:  # a link that leads nowhere, or a file without permission: reading it raises the error
        return path
    return path if status.st_nlink == 1 else f"{status.st_dev}:{status.st_ino}"


def _counts(file: Path) -> bool:
    """Return whether a file counts as an image: by its suffix, or, without one, by its content."""
    if file.suffix:
        return file.suffix.lower() in SUFFIXES
    try:
        with _opened(file):
            return True
    except Exception:  # Pillow raises many kinds of errors for other files
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder that are not hidden, by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except PermissionError as error:
        raise PermissionError(
            f"{shown(folder)} cannot be listed ({error.strerror}): allow it, or take it out of the images"
        ) from error


# ---------------------------------------------------------------------- reading files


@contextmanager
def open_file(file: Path) -> Iterator[BinaryIO]:
    """Open a file for reading. Only a regular file is ever opened.

    Raises:
        FileNotFoundError: it is not there.
        PermissionError: it may not be read.
        ValueError: it is a folder, a pipe, a socket or a device.
    """
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        missing = "it is a link that leads nowhere" if file.is_symlink() else "it is missing"
        raise FileNotFoundError(missing) from None
    if not stat.S_ISREG(mode):  # opening a pipe would wait for a writer
        raise ValueError(f"it is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file")
    with file.open("rb") as stream:
        yield stream


@contextmanager
def open_image(image: Path | Page) -> Iterator[Image.Image]:
    """Open the image in a file with Pillow, which reads the header now and the pixels later.

    Raises:
        FileNotFoundError, PermissionError, ValueError: as in `open_file`.
        ValueError: the file has none of `FORMATS`, is an animation, is a TIFF file of several pages without a page
            number, or has more pixels than `max_pixels`.
        Exception: many other kinds, which Pillow raises for damaged files.
    """
    file, number = image if isinstance(image, Page) else (image, None)
    with _opened(file) as opened:
        if opened.format == "TIFF":
            numbers = _numbers(opened) if number is None else [number]
            if len(numbers) > 1:
                raise ValueError(f"it has {len(numbers)} pages: name one of them, or save each as a file")
            opened.seek(numbers[0] - 1)
        # an MPO file is a photograph, followed by a preview of it or another view
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
    if Image.MAX_IMAGE_PIXELS is not None:  # Pillow itself refuses more than twice this number
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, -(-limit // 2))
    # open the stream: Pillow would map a named file, and a mapped file that shrinks kills the process
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
    """Return the largest number of pixels of an image: GAN_LIGHTNING_MAX_PIXELS if it is set, else `MAX_PIXELS`.

    Raises:
        ValueError: the variable is not a positive integer.
    """
    given = os.environ.get("GAN_LIGHTNING_MAX_PIXELS") or str(MAX_PIXELS)
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(f"GAN_LIGHTNING_MAX_PIXELS={given}, which is not a number of pixels: make it 1 or more")
    return int(given)


def _too_large(size: str) -> ValueError:
    return ValueError(
        f"{size} pixels are more than the {max_pixels():,} that are read: make it smaller, or set the environment "
        "variable GAN_LIGHTNING_MAX_PIXELS to more"
    )


@cache
def _page_numbers(file: Path, size: int, modified: int) -> list[int]:
    """Return the page numbers of a file, from the cache while its size and its time of change stay equal."""
    with _opened(file) as image:
        return _numbers(image) if image.format == "TIFF" else [1]


def _numbers(image: Any) -> list[int]:
    """Return the numbers, from 1, of the pages of a TIFF file that are not a smaller copy or a mask of another."""
    if not image.is_animated:
        return [1]
    numbers = []
    for number in range(1, image.n_frames + 1):
        image.seek(number - 1)
        if not image.tag_v2.get(_SUBFILE_TYPE, 0) & _COPY_OR_MASK:
            numbers.append(number)
    return numbers or [1]


def read_image(image: Path | Page) -> Tensor:
    """Read the image in a file at its own size: uint8 (C, H, W), or uint16 if it has 16 bits a channel.

    C is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA). The orientation that a camera recorded (EXIF) is applied.
    Palettes and other colour spaces become RGB. Transparency of any kind becomes an alpha channel. 16 bits are kept for
    grey in any format, and for all kinds of PNG; Pillow reads the others as 8-bit.

    Args:
        image: a file that holds one image, or a page of a file that holds several.

    Raises:
        ValueError: the file cannot be read (see `open_image`) or is damaged, or its pixels have no known range. The
            error names the file.
    """
    try:
        with open_image(image) as opened:
            values = deep_values(opened, image)
            if values is None:
                ImageOps.exif_transpose(opened, in_place=True)
                values = np.array(shallow(opened))
    except Exception as error:  # Pillow raises many kinds of errors for damaged files
        raise _unreadable(image, error) from error
    return torch.from_numpy(values.reshape(*values.shape[:2], -1)).permute(2, 0, 1).contiguous()


def image_kind(image: Path | Page) -> ImageKind:
    """Read the header of an image file and return the properties of the image that `read_image` would read.

    Raises:
        ValueError: the file is not an image. The error names it. Damage may show only when the pixels are read.
    """
    try:
        with open_image(image) as opened:
            deep = opened.mode[0] == "I" or _is_deep_colour(opened)
            return ImageKind(opened.height, opened.width, opened.has_transparency_data, deep)
    except Exception as error:
        raise _unreadable(image, error) from error


def holds(suffix: str, channels: int, deep: bool, longest: int) -> bool:
    """Return whether `write_image` can write such an image to a file with this suffix, without loss except for JPEG.

    Args:
        suffix: the suffix with its dot, in upper or lower case.
        channels: 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA).
        deep: 16 bits a channel, not 8.
        longest: the longer side, in pixels.
    """
    known = _WRITTEN.get(suffix.lower())
    return (
        known is not None and channels in (known.deep_channels if deep else known.channels) and longest <= known.longest
    )


def write_image(image: Tensor, path: Path) -> None:
    """Write an image in the format of its suffix, whole or not at all. A missing folder is created.

    JPEG is written with quality 95 and without colour subsampling, WebP without loss.

    Args:
        image: uint8 or uint16 (C, H, W), C as in `holds`.
        path: the file.

    Raises:
        ValueError: a file with this suffix cannot hold the image.
    """
    write_pages([image], path)


def write_pages(images: Sequence[Tensor], path: Path) -> None:
    """Write a file of one image, or a TIFF file of several, each as in `write_image`."""
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
    """Encode uint16 (H, W, 2 to 4) as a PNG file (W3C's specification, section 5), which Pillow cannot write."""
    height, width, channels = values.shape
    colour_type = {2: 4, 3: 2, 4: 6}[channels]
    rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (1, 0)))  # each row begins with its filter: 0 = none
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
    """Return the uint16 values (H, W, C) of an image of more than 8 bits a channel, upright; None for other images.

    Such images are grey in any format, and all kinds of PNG. A colour that stands for transparency becomes an alpha
    channel.

    Args:
        image: the result of `open_image`, before any pixels have been read.
        source: the file or page that it was opened from.

    Raises:
        ValueError: the pixels have no known range.
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
    """Return whether this is a PNG file of 16 bits a channel with colour or alpha, which Pillow would cut to 8 bits."""
    return image.format == "PNG" and bool(image.tile) and str(image.tile[0][3]) in ("LA;16B", "RGB;16B", "RGBA;16B")


def _deep_colour(image: Image.Image, source: Path | Page) -> np.ndarray:
    """Return the uint16 values (H, W, C) of such a file. Pillow returns all bytes only if given another pixel format.

    Grey and alpha of two bytes each have the length of RGBA. For RGB and RGBA, Pillow keeps the high byte in the byte
    order that it is given; with the other byte order, it keeps the low one.
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
    return ValueError(f"{name} cannot be read as an image ({reason(error)}): fix or remove it")


def reason(error: Exception) -> str:
    """Return why a file cannot be read, without the file's name, which the system adds."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _deep_grey(image: Image.Image) -> np.ndarray:
    """Return grey values (H, W) of more than 8 bits, which Pillow holds as "I;16" or, with 32 bits, as "I"."""
    values = np.asarray(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range, save it with 8 or 16 bits")
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its pixels need more than 16 bits, save it with 8 or 16 bits")
    return values.astype(np.uint16)


def shallow(image: Image.Image) -> Image.Image:
    """Convert an image of at most 8 bits to the one of the modes L, LA, RGB and RGBA that holds all of it."""
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in _KEPT_MODES else image.convert("RGB")


def write_whole(out: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file, which appears at `out` whole or not at all. A missing folder is created."""
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(
        f".{secrets.token_hex(8)}.part"
    )  # a short name, since `out` may have the longest possible
    try:
        try:
            write(unfinished)
        except OSError as error:
            if error.errno is not None and error.filename is None:  # only the opening of a file sets it
                error.filename = str(out)
            raise
        unfinished.replace(out)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def unlike(place: Path, record: str, content: bytes | None, settings: Mapping[str, Any]) -> str | None:
    """Return why files must not be added to those in a place, which may have been made in another way.

    Args:
        place: a folder or an archive that is not empty.
        record: name of the file in it that says how its files were made.
        content: of that file, JSON. None = it is missing.
        settings: the way in which files are to be added.

    Returns:
        A sentence without its full stop. None = all settings are the same.
    """
    if content is None:
        return (
            f"{shown(place)} is not empty, and has no {record} that says how its files were made: give a new or an "
            "empty place"
        )
    try:
        then = json.loads(content)
    except (ValueError, RecursionError):
        then = None
    if not isinstance(then, dict):
        return (
            f"{shown(place / record)} is damaged, and the settings of {shown(place)} are unknown: give a new or an "
            "empty place"
        )
    changed = [name for name, value in settings.items() if then.get(name) != value]
    if not changed:
        return None
    return (
        f"{shown(place)} holds images made with other settings ({', '.join(changed)}; see {record} there): go on with "
        "the same, or give a new or an empty place"
    )
