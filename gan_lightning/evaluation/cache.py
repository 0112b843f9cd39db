"""Features of real images on disk, shared by all runs that measure against the same images with the same extractor."""

import contextlib
import hashlib
import os
import secrets
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from gan_lightning.metrics import FeatureExtractor, Features

CACHE_VARIABLE = "GAN_LIGHTNING_CACHE"
CACHE_VERSION = 3  # of the files and of what goes into their names


class FeatureCache:
    """Named sets of features in a folder, 4 bytes a number: 0.4 GB for 50,000 images with Inception.

    A name is a digest of everything that the features depend on. A file is moved to its name only when it is complete:
    several processes may write the same file, and a killed process leaves no damaged one. A file that cannot be read,
    or whose content has changed, counts as absent. The folder may be emptied at any time.

    Args:
        folder: the folder. None = the environment variable GAN_LIGHTNING_CACHE, else ~/.cache/gan_lightning.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = Path(folder or os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache/gan_lightning")

    def path(self, name: str) -> Path:
        """Return the path of the features of that name."""
        return self.folder / f"{name}.safetensors"

    def load(self, name: str, extractor: FeatureExtractor) -> Features | None:
        """Return the features of that name, or None if the file is absent or damaged."""
        try:
            tensors = load(self.path(name).read_bytes())  # in one read: another process may replace the file
            if not torch.equal(tensors.pop("blake2b"), _hash(tensors)):
                return None
            features = Features(**tensors)
        except Exception:  # any error of a damaged file: the features are computed again
            return None
        right = features.pooled.shape[1:] == (extractor.num_features,) and features.pooled.isfinite().all()
        return features if right else None

    def save(self, name: str, parts: Sequence[Features]) -> None:
        """Save features of one set, given in parts, under that name; if that fails, warn and go on."""
        tensors = {
            field: torch.cat(values)
            for field in Features._fields
            if (values := [value for part in parts if (value := getattr(part, field)) is not None])
        }
        unfinished = self.folder / f"{name}.{secrets.token_hex(4)}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(tensors | {"blake2b": _hash(tensors)}, unfinished)
            unfinished.replace(self.path(name))
        except (OSError, SafetensorError) as error:
            warnings.warn(
                f"features of real images could not be kept in {self.folder} for later runs: {error}", stacklevel=2
            )
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink()


def _hash(tensors: Mapping[str, Tensor]) -> Tensor:
    """Return a digest of names, shapes, types and numbers, uint8 (16,)."""
    content = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        content.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\0".encode())
        content.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return torch.tensor(list(content.digest()), dtype=torch.uint8)
