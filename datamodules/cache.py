"""Folders of images, decoded once into a memory-mapped cache on disk."""

import errno
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm import tqdm  # type: ignore[import-untyped]

from datamodules.decode import Decoder
from datamodules.storage import Pixels, digest

LAYOUT = 1  # of the cache; another number makes every older cache stale
_CHUNK = 512  # images that wait for being written, at most
_SHOWN = 5  # bad files that an error names


def default_cache_dir() -> Path:
    """The folder that the environment variable GAN_LIGHTNING_CACHE names, or else ~/.cache/gan_lightning."""
    return Path(os.environ.get("GAN_LIGHTNING_CACHE") or Path.home() / ".cache" / "gan_lightning")


def decode_cached(root: Path, files: Sequence[Path], decoder: Decoder, cache_dir: Path | None = None) -> Pixels:
    """The images of `files`, in this order, memory-mapped: decoded by all cores the first time, read from disk later.

    The cache belongs to `root`, the files' paths in it, their sizes and modification times, and the decoder's settings;
    when any of these changes, it is built anew. Of two processes that need the same, the second waits for the first. It
    appears under its name only when it is complete. Old caches are never deleted: the folder may be emptied at will.

    Args:
        root: the folder that the files lie in.
        files: at least one image file.
        decoder: what turns a file into an array.
        cache_dir: where caches are kept; None means `default_cache_dir()`.

    Raises:
        ValueError: if any file cannot be decoded; it names the first ones and says how many there are.
        FileNotFoundError: if a file is not there.
        OSError: if the cache cannot be written.
    """
    cache_dir = default_cache_dir() if cache_dir is None else Path(cache_dir)
    key = _key(root, files, decoder)
    if (cached := _open(cache_dir, key)) is not None:
        return cached  # without the lock: a folder that is shared read-only serves too
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(cache_dir / f"{key}.lock"):
            if (cached := _open(cache_dir, key)) is not None:
                return cached
            return _build(root, files, decoder, cache_dir, key)
    except OSError as error:
        raise OSError(
            f"the cache of {len(files)} images from {root}, {_size(files, decoder) / 1e6:,.1f} MB, cannot be written to"
            f" {cache_dir} ({error}): make room there, or name another folder by cache_dir or the environment"
            " variable GAN_LIGHTNING_CACHE"
        ) from error


def _key(root: Path, files: Sequence[Path], decoder: Decoder) -> str:
    entries = []
    for file in files:
        try:
            status = file.stat()
        except FileNotFoundError:
            raise FileNotFoundError(f"{file} is missing: put it back, or take it off the list of {root}") from None
        entries.append((file.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns))
    # with the folder itself: parallel folders may hold other images of equal names, sizes and times
    return digest(LAYOUT, str(root.resolve()), decoder, entries)


def _size(files: Sequence[Path], decoder: Decoder) -> int:
    """Bytes of all arrays."""
    return len(files) * math.prod(decoder.shape) * decoder.dtype.itemsize


def _open(cache_dir: Path, key: str) -> Pixels | None:
    """The finished cache, whose file name carries its content's fingerprint; None if it is not there or damaged."""
    for path in cache_dir.glob(f"{key}-*.npy"):
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        except ValueError:  # shorter than its header says: the disk lost a part of it
            continue
        return Pixels(values, path.stem.removeprefix(f"{key}-"))
    return None


def _build(root: Path, files: Sequence[Path], decoder: Decoder, cache_dir: Path, key: str) -> Pixels:
    if shutil.disk_usage(cache_dir).free < _size(files, decoder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    part = cache_dir / f"{key}.part"  # one of a killed process is written over: the lock is ours
    shape = (len(files), *decoder.shape)
    try:
        with part.open("wb") as out:
            # written as a stream, not through a memory map: on a full disk that would end in a bus error
            header = {"descr": decoder.dtype.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            name = blake2b(repr(header).encode(), digest_size=16)
            for values in _decoded(root, files, decoder):
                out.write(values.data)
                name.update(values.data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, cache_dir / f"{key}-{name.hexdigest()}.npy")
    finally:
        part.unlink(missing_ok=True)
    cached = _open(cache_dir, key)
    assert cached is not None
    return cached


def _decoded(root: Path, files: Sequence[Path], decoder: Decoder) -> Iterator[np.ndarray]:
    """The arrays of all files, in order. A bad file does not end it, but an error follows that tells of all of them."""

    def decode(file: Path) -> np.ndarray | str:
        try:
            return np.ascontiguousarray(decoder(file))
        except Exception as error:  # Pillow raises a dozen kinds for damaged files
            return f"{file} ({error})"

    bad = []
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,  # Pillow decodes and resamples outside of Python's lock
        tqdm(total=len(files), desc=f"decoding {root}", unit="image", disable=None) as bar,
    ):
        for start in range(0, len(files), _CHUNK):
            for result in pool.map(decode, files[start : start + _CHUNK]):
                bar.update()
                if isinstance(result, str):
                    bad.append(result)
                elif not bad:
                    yield result
    if bad:
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise ValueError(
            f"{len(bad)} of {len(files)} images cannot be decoded, mend or remove them: {'; '.join(bad[:_SHOWN])}{more}"
        )
