"""Folders of images, decoded once into a memory-mapped cache on disk.

A cache's name carries a fingerprint of its content, which is compared before the cache is used: all of it is read the
first time that this machine sees the file, and again whenever the file's size, times or inode have changed since. What
was found right is noted beside it, in a file that ends in .verified. So no change that goes through the file system
stays unseen, be it a lost part, a zeroed page or a single bit; what a disk loses by itself under an unchanged file is
the disk's business. A damaged cache is built anew.
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

LAYOUT = 3  # of the cache; another number makes every older cache stale
_CHUNK = 512  # images that wait for being written, at most
_HASHED = 1 << 24  # bytes of a cache that are compared at a time
_SHOWN = 5  # bad files that an error names
_verified: dict[Path, list[int]] = {}  # by this process; where nothing may be written beside a cache, this alone


def default_cache_dir() -> Path:
    """The folder that the environment variable GAN_LIGHTNING_CACHE names, or else ~/.cache/gan_lightning."""
    return Path(os.environ.get("GAN_LIGHTNING_CACHE") or Path.home() / ".cache" / "gan_lightning")


def decode_cached(root: Path, images: Sequence[Path | Page], decoder: Decoder, cache_dir: Path | None = None) -> Pixels:
    """The images, in this order, memory-mapped: decoded by all cores the first time, read from disk later.

    The cache belongs to `root`, the files' paths in it, their sizes and modification times, the pages' numbers, and the
    decoder's settings; when any of these changes, it is built anew. Of two processes that need the same, the second
    waits for the first. It appears under its name only when it is complete. Old caches are never deleted: the folder
    may be emptied at will.

    Args:
        root: the folder that the files lie in.
        images: at least one image file, or page of one.
        decoder: what turns an image into an array.
        cache_dir: where caches are kept; None means `default_cache_dir()`.

    Raises:
        ValueError: if any image cannot be decoded; it names the first ones and says how many there are.
        FileNotFoundError: if a file is not there.
        OSError: if the cache cannot be written.
    """
    cache_dir = default_cache_dir() if cache_dir is None else Path(cache_dir)
    chosen = [image if isinstance(image, Page) else Page(image) for image in images]
    key = _key(root, chosen, decoder)
    shape = (len(chosen), *decoder.shape)
    if (cached := _open(cache_dir, key, shape, decoder.dtype)) is not None:
        return cached  # without the lock: a folder that is shared read-only serves too
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
            raise type(error)(f"{shown(image.file)} {what}: mend it, or take it out of {shown(root)}") from None
        entries.append((image.name(root), status.st_size, status.st_mtime_ns))
    # with the folder itself: parallel folders may hold other images of equal names, sizes and times
    return digest(LAYOUT, str(root.resolve()), decoder, entries)


def _size(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Bytes of all arrays."""
    return math.prod(shape) * dtype.itemsize


# ---------------------------------------------------------------------- looking at one


def _open(cache_dir: Path, key: str, shape: tuple[int, ...], dtype: np.dtype) -> Pixels | None:
    """The finished cache, if it is there and its content is what its name promises."""
    for path in cache_dir.glob(f"{key}-*.npy"):
        try:
            values = _mapped(path, shape, dtype)
            if _is_verified(path) or _verify(path, values, _content(path, key)):
                return Pixels(values, _content(path, key))
        except (OSError, ValueError, EOFError):  # no file, no array, another array, or not all of it
            continue
    return None


def _content(path: Path, key: str) -> str:
    """The fingerprint of the content that a cache's name promises."""
    return path.stem.removeprefix(f"{key}-")


def _mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The array in a file.

    Raises:
        OSError: it cannot be read.
        ValueError, EOFError: it holds no such array, or not all of it.
    """
    values = np.lib.format.open_memmap(path, mode="r").view(np.ndarray)
    if values.shape != shape or values.dtype != dtype or not values.flags.c_contiguous:
        raise ValueError(f"{path} holds another array")
    return values


def _is_verified(path: Path) -> bool:
    """Whether the file is as it was when its content was compared last."""
    state = _state(path)
    if _verified.get(path) == state:
        return True
    try:
        return json.loads(_note(path).read_bytes()) == state
    except (OSError, ValueError):
        return False


def _verify(path: Path, values: np.ndarray, content: str) -> bool:
    """Compare all of a cache with its fingerprint; take a note of it that is right."""
    state = _state(path)
    found = _fingerprint(values.shape, values.dtype)
    # read, not through the map: of a failing disk, a map would end the process
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
    """What no change of a file's content leaves alone."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _note(path: Path) -> Path:
    return path.with_suffix(".verified")


def _fingerprint(shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """A hash that has begun with the header."""
    return blake2b(repr(_header(shape, dtype)).encode(), digest_size=16)


def _header(shape: tuple[int, ...], dtype: np.dtype) -> dict[str, Any]:
    return {"descr": dtype.str, "fortran_order": False, "shape": shape}


# ---------------------------------------------------------------------- making one


def _build(root: Path, images: Sequence[Page], decoder: Decoder, cache_dir: Path, key: str) -> Path:
    shape = (len(images), *decoder.shape)
    if shutil.disk_usage(cache_dir).free < _size(shape, decoder.dtype):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for damaged in cache_dir.glob(f"{key}-*.npy"):
        if damaged.is_dir():
            raise IsADirectoryError(f"{damaged} is a folder, where a file is to be: remove it")
        damaged.unlink()
    part = cache_dir / f"{key}.part"  # one of a killed process is written over: the lock is ours
    try:
        with part.open("wb") as out:
            # written as a stream, not through a memory map: on a full disk that would end in a bus error
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
    """All arrays, in order. A bad image does not end it, but an error follows that tells of all of them."""

    def decode(image: Page) -> np.ndarray | str:
        try:
            return np.ascontiguousarray(decoder(image))
        except Exception as error:  # Pillow raises a dozen kinds for damaged files
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
            f"{len(bad)} of {len(images)} images cannot be decoded, mend or remove them:"
            f" {'; '.join(bad[:_SHOWN])}{more}"
        )
