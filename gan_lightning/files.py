"""Image files: which files of a folder are images, and what is in one."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

_KEPT_MODES = ("L", "LA", "RGB", "RGBA")


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


def read_image(path: Path) -> Tensor:
    """The image in a file at its own size: uint8 (C, H, W), or uint16 (1, H, W) where it is grey of 16 bits.

    C is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA). Orientation noted by a camera (EXIF) is applied; palettes
    and other colour spaces become RGB; transparency of any kind becomes an alpha channel. Pillow reads 16-bit colour as
    8-bit. Of an animation it is the first frame.

    Raises:
        ValueError: if the file is no image or damaged, or its pixels have no known range; it names the file.
    """
    try:
        with Image.open(path) as image:
            ImageOps.exif_transpose(image, in_place=True)
            values = _deep(image) if image.mode[0] in "IF" else np.array(_shallow(image))
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        raise ValueError(f"{path} cannot be read as an image ({error}): mend or remove it") from error
    return torch.from_numpy(values.reshape(*values.shape[:2], -1)).permute(2, 0, 1).contiguous()


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
