"""The common part of the data sets from torchvision: obtaining their files, and resizing in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

_CHUNK = 4096  # images that are resized at a time: resampling needs them as floats


def obtain(create: Callable[..., Any], download: bool, folder: Path, files: str) -> Any:
    """Return a torchvision data set from the files in `folder`, which are downloaded there if necessary.

    Args:
        create: makes the data set, given `download`.
        download: download the files that are missing.
        folder: where torchvision looks for the files.
        files: names of the files, for the message.

    Raises:
        FileNotFoundError: the files are missing or damaged and cannot be downloaded; the message names files and place.
    """
    # Any exception: for damaged files torchvision raises those of its parsers (RuntimeError, UnpicklingError). For
    # downloads it raises those of the network, a checksum, a quota or a package that is not installed (gdown).
    try:
        return create(download=False)
    except Exception as error:
        reason = error
    if download:
        try:
            return create(download=True)
        except Exception as error:
            reason = error
    outcome = "and could not be downloaded" if download else "and download is off"
    raise FileNotFoundError(
        f"the data set's files are missing or damaged in {folder} {outcome} ({' '.join(str(reason).split())}):"
        f" put {files} there"
    ) from reason


def resized(images: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Return uint8 images (N, C, H, W), unchanged or brought to `size` by antialiased bicubic resampling."""
    if images.shape[-2:] == size:
        return images.numpy()
    chunks = [F.resize(part, list(size), InterpolationMode.BICUBIC, antialias=True) for part in images.split(_CHUNK)]
    return torch.cat(chunks).numpy()


def padded(images: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Return digits, uint8 (N, 28, 28), as (N, 1, *size), resampled unless the size is 28 or 32.

    28 keeps the images unchanged, and 32 adds two black pixels on each side. Padding changes no stroke; networks that
    halve the size four times need 32.
    """
    images = images.unsqueeze(1)
    return F.pad(images, [2, 2]).numpy() if size == (32, 32) else resized(images, size)
