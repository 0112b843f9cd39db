"""What the data sets that torchvision offers have in common: where files come from, and resizing in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

_CHUNK = 4096  # images resized at a time: resampling needs them as floats


def obtain(create: Callable[..., Any], download: bool, folder: Path, files: str) -> Any:
    """A torchvision data set whose files are in `folder`, or are put there now.

    Args:
        create: makes the data set, given `download`.
        download: fetch what is missing.
        folder: where torchvision looks for the files.
        files: what the user is to put there where nothing can be fetched.

    Raises:
        FileNotFoundError: if the files are missing or damaged and cannot be fetched; it says which ones go where.
    """
    # Any exception: of damaged files torchvision raises what its parsers meet (RuntimeError, UnpicklingError), and of
    # downloads what the network, a checksum, a quota or a package that is not installed (gdown) gives rise to.
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
    """uint8 images (N, C, H, W), as they are or brought to `size` by antialiased bicubic resampling."""
    if images.shape[-2:] == size:
        return images.numpy()
    chunks = [F.resize(part, list(size), InterpolationMode.BICUBIC, antialias=True) for part in images.split(_CHUNK)]
    return torch.cat(chunks).numpy()


def padded(images: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Digits, uint8 (N, 28, 28), as (N, 1, *size): 28 as they are, 32 with two black pixels around, else resampled.

    Padding keeps every stroke as it was; 32 is the size that networks of four halvings need.
    """
    images = images.unsqueeze(1)
    return F.pad(images, [2, 2]).numpy() if size == (32, 32) else resized(images, size)
