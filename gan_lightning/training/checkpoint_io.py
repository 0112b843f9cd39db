"""Checkpoint files: written whole or not at all, and read as data, whatever their content.

A checkpoint is the zip archive that `torch.save` writes. The archive's comment, which other readers ignore, states the
version of the format and a hash of everything before it, so that one flipped bit is detected. A file without that
comment, such as `torch.save` itself writes, is checked by the archive's own CRC-32 of each record.
"""

import hashlib
import os
import pickle
import re
import struct
from pathlib import Path
from typing import IO, Any

import torch
from lightning.fabric.utilities.cloud_io import get_filesystem
from lightning.pytorch.plugins.io import TorchCheckpointIO

from gan_lightning import archives
from gan_lightning.training.checkpoint_content import CheckpointError, checked_content

__all__ = ["FORMAT_VERSION", "AtomicCheckpointIO", "CheckpointError", "read_checkpoint"]

FORMAT_VERSION = 2
_COMMENT = re.compile(rb"gan_lightning checkpoint (\d{1,4}) (\w+):([0-9a-f]{64})")
_HASHES = {1: b"blake2b", 2: b"sha256"}  # by version of the format


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and then renames it: a kill or a full disk leaves the old one unchanged.

    Lightning's own class writes to the system's temporary folder and moves the file, which across file systems is a
    copy that can stop half-way. It still writes to object stores ("s3://..."). Every checkpoint is read by
    `read_checkpoint`; only files are removed, never folders.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write `checkpoint` to `path`.

        Raises:
            OSError: it could not be written; the file at `path` is unchanged.
        """
        if _is_remote(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f"{place.name}.part")
        try:
            with part.open("wb") as file:
                _write(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(place)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError of its writer
            reason = error if isinstance(error, OSError) else "not to its end, as on a full disk"
            raise OSError(
                f"no checkpoint could be written to {place} ({reason}): make room there; the previous one is unchanged"
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint by `read_checkpoint`, even if `weights_only` is False: a checkpoint never runs code."""
        return read_checkpoint(path, map_location)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint file, if it is there."""
        if _is_remote(path):
            files = get_filesystem(path)
            if files.isfile(path):
                files.rm_file(path)
        elif Path(path).is_file():
            Path(path).unlink(missing_ok=True)


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint that a run has written, as plain data and tensors.

    No code from the file is run. All of it is checked before it is returned, see
    `gan_lightning.training.checkpoint_content`. Memory is bounded by a few times the file's size, and time is linear in
    it.

    Args:
        path: the file; also an address that fsspec opens ("s3://...").
        map_location: the device of the tensors, as in `torch.load`. None = the device that they were saved from.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: it may not be read.
        CheckpointError: it is not a checkpoint, is damaged or of a newer version, or holds values that no run writes.
    """
    with _open(path) as file:
        try:
            _verify(file)
            file.seek(0)
            content = torch.load(file, map_location=map_location, weights_only=True)
            return checked_content(content, None if _is_remote(path) else Path(path).absolute().parent)
        except CheckpointError as error:
            raise CheckpointError(f"{path} {error}") from error.__cause__
        except archives.ArchiveError as error:
            raise CheckpointError(
                f"{path} {error}: give one that `gan-lightning fit` wrote, another of the run, or a new copy"
            ) from error.__cause__
        except MemoryError:
            raise
        except Exception as error:  # torch.load raises many kinds of errors for forged files
            raise CheckpointError(
                f"{path} cannot be read as a checkpoint ({_first_line(error)}): give one that `gan-lightning fit` wrote"
            ) from error


# ---------------------------------------------------------------------- the file


def _is_remote(path: Any) -> bool:
    return "://" in str(path)


def _open(path: str | Path) -> IO[bytes]:
    if _is_remote(path):
        files = get_filesystem(path)
        if not files.exists(path):
            raise FileNotFoundError(f"there is no checkpoint {path}: name another")
        return files.open(path, "rb")
    place = Path(path)
    if place.is_dir():
        inside = place / "checkpoints" if (place / "checkpoints").is_dir() else place  # a run's folder
        raise CheckpointError(f"{path} is a folder, not a checkpoint: name a file, such as {inside / 'last.ckpt'}")
    if not place.exists():
        raise FileNotFoundError(f"there is no checkpoint {path}: train first, or name another")
    if not place.is_file():
        raise CheckpointError(f"{path} is not a regular file: name a checkpoint that `gan-lightning fit` wrote")
    try:
        return place.open("rb")
    except PermissionError as error:
        raise PermissionError(f"the checkpoint {path} may not be read: change its permissions ({error})") from error


class _HashedWriter:
    """A file that hashes everything written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = _hash(FORMAT_VERSION)
        self.flush = file.flush

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return self._file.write(data)


def _write(checkpoint: dict[str, Any], file: IO[bytes]) -> None:
    writer = _HashedWriter(file)
    torch.save(checkpoint, writer)  # type: ignore[arg-type]
    stated = FORMAT_VERSION, _HASHES[FORMAT_VERSION], writer.hash.hexdigest().encode()
    comment = b"gan_lightning checkpoint %d %s:%s" % stated
    file.seek(-2, os.SEEK_END)  # the length of the archive's comment, which torch leaves at 0
    file.write(struct.pack("<H", len(comment)) + comment)


def _verify(file: IO[bytes]) -> None:
    """Check that a file is whole, and what torch would read from it, before it does.

    Raises:
        ArchiveError: the file must not be read.
        CheckpointError: the file is of a newer version; the message has no subject yet.
    """
    comment = archives.comment_of(file)
    if comment:
        _verify_hash(file, comment)
    archives.verify_archive(file, hashed=bool(comment))


def _verify_hash(file: IO[bytes], comment: bytes) -> None:
    """Compare the hash in the archive's comment with that of the file before it.

    Raises:
        ArchiveError: they differ, or the comment was never written by this library.
        CheckpointError: a newer version has written it.
    """
    stated = _COMMENT.fullmatch(comment)
    version = int(stated[1]) if stated else 0
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"is a checkpoint of format {version}, and this version of gan_lightning reads formats up to "
            f"{FORMAT_VERSION}: install a newer one"
        )
    if stated is None or _HASHES.get(version) != stated[2]:
        raise archives.damaged("the data behind its end are unknown")
    found = _hash(version)
    left = file.seek(0, os.SEEK_END) - len(comment) - 2
    file.seek(0)
    while left and (chunk := file.read(min(left, archives.CHUNK))):
        found.update(chunk)
        left -= len(chunk)
    found.update(b"\0\0")  # the length of the comment before it was written
    if found.hexdigest().encode() != stated[3]:
        raise archives.damaged("its content does not match its hash")


def _hash(version: int) -> Any:
    """Return the hash function of a format. SHA-256 is twice as fast as BLAKE2b on CPUs with units for it."""
    return hashlib.sha256() if version > 1 else hashlib.blake2b(digest_size=32)


def _first_line(error: BaseException) -> str:
    name = type(error).__name__
    text = "weights_only refuses it" if isinstance(error, pickle.UnpicklingError) else str(error).strip()
    return f"{name}: {text.splitlines()[0][:200]}" if text else name
