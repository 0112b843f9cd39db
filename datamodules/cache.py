"""Folders of images, decoded once into a memory-mapped cache on disk.

A cache's name contains a fingerprint of its content, which is compared before the cache is used. All of the cache is
read the first time that this machine sees the file, and again whenever the file's size, times or inode have changed. A
result of "equal" is noted beside the cache, in a file that ends in .verified. So every change that goes through the
file system is found: a lost part, a zeroed page, a single bit. Errors of the disk itself, under an unchanged file, are
not found. A damaged cache is built again.
"""

import errno
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from tqdm import tqdm  # type: ignore[import-untyped]

from datamodules.decode import Decoder
from datamodules.storage import Pixels, digest
from gan_lightning.data.files import Page, reason, shown, write_whole

LAYOUT = 3  # of the cache; another number makes every older cache invalid
_CHUNK = 512  # most images that wait to be written
_HASHED = 1 << 24  # bytes of a cache that are compared at a time
_SHOWN = 5  # most bad files that an error names
_verified: dict[Path, list[int]] = {}  # by this process; the only note where nothing can be written beside a cache


def default_cache_dir() -> Path:
    """Return the folder in the environment variable GAN_LIGHTNING_CACHE, or else ~/.cache/gan_lightning."""
    return Path(os.environ.get("GAN_LIGHTNING_CACHE") or Path.home() / ".cache" / "gan_lightning")


def decode_cached(root: Path, images: Sequence[Path | Page], decoder: Decoder, cache_dir: Path | None = None) -> Pixels:
    """Return the images, in this order, memory-mapped; all cores decode them once, later calls read the cache.

    The cache depends on `root`, the files' paths in it, their sizes and modification times, the pages' numbers, and the
    decoder's settings. When one of these changes, the cache is built again. If two processes need the same cache, the
    second waits for the first. The cache gets its name only when it is complete. Old caches are never deleted; the user
    may empty the folder at any time.

    Args:
        root: the folder that contains the files.
        images: one or more image files, or pages of image files.
        decoder: turns an image into an array.
        cache_dir: where caches are kept; None means `default_cache_dir()`.

    Raises:
        ValueError: an image cannot be decoded; the message names the first ones and says how many there are.
        FileNotFoundError: a file is missing.
        OSError: the cache cannot be written.
    """
    cache_dir = default_cache_dir() if cache_dir is None else Path(cache_dir)
    chosen = [image if isinstance(image, Page) else Page(image) for image in images]
    key = _key(root, chosen, decoder)
    shape = (len(chosen), *decoder.shape)
    if (cached := _open(cache_dir, key, shape, decoder.dtype)) is not None:
        return cached  # without the lock, since a shared folder may be read-only
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(cache_dir / f"{key}.lock"):
            if (cached := _open(cache_dir, key, shape, decoder.dtype)) is not None:
                return cached
            path = _build(root, chosen, decoder, cache_dir, key)
    except OSError as error:
        raise OSError(
            f"the cache of {len(chosen)} images from {shown(root)}, {_size(shape, decoder.dtype) / 1e6:,.1f} MB, cannot"
            f" be written to {shown(cache_dir)} ({error}): make room there, or name another folder by cache_dir or the"
            " environment variable GAN_LIGHTNING_CACHE"
        ) from error
    return Pixels(_mapped(path, shape, decoder.dtype), _content(path, key))


def _key(root: Path, images: Sequence[Page], decoder: Decoder) -> str:
    entries = []
    for image in images:
        try:
            status = image.file.stat()
        except OSError as error:
            missing = "is a link that leads nowhere" if image.file.is_symlink() else "is missing"
            what = missing if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
            raise type(error)(f"{shown(image.file)} {what}: fix it, or take it out of {shown(root)}") from None
        entries.append((image.name(root), status.st_size, status.st_mtime_ns))
    # with the folder itself: parallel folders may hold other images with the same names, sizes and times
    return digest(LAYOUT, str(root.resolve()), decoder, entries)


def _size(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Bytes of an array of this shape and type."""
    return math.prod(shape) * dtype.itemsize


# ---------------------------------------------------------------------- reading a cache


def _open(cache_dir: Path, key: str, shape: tuple[int, ...], dtype: np.dtype) -> Pixels | None:
    """Return the finished cache, if it is there and its content fits the fingerprint in its name."""
    for path in cache_dir.glob(f"{key}-*.npy"):
        try:
            values = _mapped(path, shape, dtype)
            if _is_verified(path) or _verify(path, values, _content(path, key)):
                return Pixels(values, _content(path, key))
        except (OSError, ValueError, EOFError):  # no file, no array, another array, or not all of it
            continue
    return None


def _content(path: Path, key: str) -> str:
    """Return the fingerprint of the content, which is part of a cache's name."""
    return path.stem.removeprefix(f"{key}-")


def _mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Map the array in a file.

    Raises:
        OSError: the file cannot be read.
        ValueError, EOFError: the file holds another array, or only a part of it.
    """
    values = np.lib.format.open_memmap(path, mode="r").view(np.ndarray)
    if values.shape != shape or values.dtype != dtype or not values.flags.c_contiguous:
        raise ValueError(f"{path} holds another array")
    return values


def _is_verified(path: Path) -> bool:
    """Whether the file has not changed since its content was last compared."""
    state = _state(path)
    if _verified.get(path) == state:
        return True
    try:
        return json.loads(_note(path).read_bytes()) == state
    except (OSError, ValueError):
        return False


def _verify(path: Path, values: np.ndarray, content: str) -> bool:
    """Compare all of a cache with its fingerprint, and note it if they are equal."""
    state = _state(path)
    found = _fingerprint(values.shape, values.dtype)
    # read, not mapped: on a failing disk, a map would end the process
    with (
        path.open("rb") as file,
        tqdm(total=values.nbytes, desc=f"verifying {path.name}", unit="B", unit_scale=True, disable=None) as bar,
    ):
        file.seek(-values.nbytes, os.SEEK_END)
        while part := file.read(_HASHED):
            found.update(part)
            bar.update(len(part))
    if found.hexdigest() != content:
        return False
    _remember(path, state)
    return True


def _remember(path: Path, state: list[int]) -> None:
    _verified[path] = state
    try:
        write_whole(_note(path), lambda part: part.write_text(json.dumps(state)))
    except OSError:  # a shared folder where nothing may be written: the next process compares again
        return


def _state(path: Path) -> list[int]:
    """Return the size, times and inode of a file; every change of its content changes one of them."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _note(path: Path) -> Path:
    return path.with_suffix(".verified")


def _fingerprint(shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """Return a hash that has begun with the header."""
    return blake2b(repr(_header(shape, dtype)).encode(), digest_size=16)


def _header(shape: tuple[int, ...], dtype: np.dtype) -> dict[str, Any]:
    return {"descr": dtype.str, "fortran_order": False, "shape": shape}


# ---------------------------------------------------------------------- building a cache


def _build(root: Path, images: Sequence[Page], decoder: Decoder, cache_dir: Path, key: str) -> Path:
    shape = (len(images), *decoder.shape)
    if shutil.disk_usage(cache_dir).free < _size(shape, decoder.dtype):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for damaged in cache_dir.glob(f"{key}-*.npy"):
        if damaged.is_dir():
            raise IsADirectoryError(f"{damaged} is a folder and must be a file: remove it")
        damaged.unlink()
    part = cache_dir / f"{key}.part"  # that of a killed process is overwritten, since we hold the lock
    try:
        with part.open("wb") as out:
            # written as a stream, not through a memory map, which would end the process with a bus error on a full disk
            np.lib.format.write_array_header_1_0(out, _header(shape, decoder.dtype))
            name = _fingerprint(shape, decoder.dtype)
            for values in _decoded(root, images, decoder):
                out.write(values.data)
                name.update(values.data)
            out.flush()
            os.fsync(out.fileno())
        path = cache_dir / f"{key}-{name.hexdigest()}.npy"
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    _remember(path, _state(path))
    return path


def _decoded(root: Path, images: Sequence[Page], decoder: Decoder) -> Iterator[np.ndarray]:
    """Yield all arrays, in order; after a bad image, decode the rest and then raise an error about all bad ones."""

    def decode(image: Page) -> np.ndarray | str:
        try:
            return np.ascontiguousarray(decoder(image))
        except Exception as error:  # Pillow raises many kinds for damaged files
            return f"{image} ({reason(error)})"

    bad = []
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,  # Pillow decodes and resamples outside of Python's lock
        tqdm(total=len(images), desc=f"decoding {shown(root)}", unit="image", disable=None) as bar,
    ):
        for start in range(0, len(images), _CHUNK):
            for result in pool.map(decode, images[start : start + _CHUNK]):
                bar.update()
                if isinstance(result, str):
                    bad.append(result)
                elif not bad:
                    yield result
    if bad:
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise ValueError(
            f"{len(bad)} of {len(images)} images cannot be decoded, fix or remove them: {'; '.join(bad[:_SHOWN])}{more}"
        )
