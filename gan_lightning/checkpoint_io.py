"""Checkpoint files: written whole or not at all, and read as data, whatever is in the file.

A checkpoint is the zip archive that `torch.save` writes. The archive's comment, which other readers pass over, states
the version of the format and a BLAKE2b hash of all that stands before it, so that one flipped bit is found. A file
without that comment, such as `torch.save` itself writes, is checked by the archive's own CRC-32 of each record.
"""

import hashlib
import os
import pickle
import pickletools
import re
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

import torch
from lightning.fabric.utilities.cloud_io import get_filesystem
from lightning.pytorch.plugins.io import TorchCheckpointIO

from gan_lightning.checkpoint_content import CheckpointError, checked

__all__ = ["FORMAT_VERSION", "AtomicCheckpointIO", "CheckpointError", "read_checkpoint"]

FORMAT_VERSION = 1
LARGEST_PICKLE = 16 * 2**20  # bytes of a checkpoint that are no tensors: 200 KB for CycleGAN
MOST_OPERATIONS = 4_000_000  # of that pickle, each of which makes an object at most

_COMMENT = re.compile(rb"gan_lightning checkpoint (\d{1,4}) blake2b:([0-9a-f]{64})")
_LONGEST_COMMENT = len("gan_lightning checkpoint 1234 blake2b:") + 64
# how a zip archive ends: torch writes all three, and then the comment
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_CHUNK = 2**22  # bytes that are read at a time

# What torch.save writes of tensors and plain data. Of what torch.load takes besides, bytearray(n) fills n bytes
_NAMES = re.compile(
    r"collections OrderedDict|collections Counter|torch\._utils _rebuild_(tensor_v[23]|parameter)"
    r"|torch (\w+Storage|Size|device|float\w+|bfloat16|u?int\d+|bool|complex\w+)|torch\.storage (Unt|T)ypedStorage"
    r"|__builtin__ set|builtins set"
)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and then renames it: a kill or a full disk leaves the one before as it was.

    Lightning's own writes to the system's temporary folder and moves the file, which across file systems is a copy that
    can stop half-way. Writing to object stores ("s3://...") is left to it. Every checkpoint is read by
    `read_checkpoint`; only files are removed, never folders.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write `checkpoint` to `path`.

        Raises:
            OSError: it could not be written; what was at `path` is as before.
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
            raise OSError(
                f"no checkpoint could be written to {place} ({error}): make room there; the one before is as it was"
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        """What `read_checkpoint` returns, whatever `weights_only` says: a checkpoint never runs code."""
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
    """The contents of a checkpoint that a run has written, as plain data and tensors.

    Runs no code that the file brings along. All of it is checked before it is returned, see
    `gan_lightning.checkpoint_content`. Memory is bounded by a few times the file's size, and time is linear in it.

    Args:
        path: the file; also an address that fsspec opens ("s3://...").
        map_location: the device of the tensors, as `torch.load` takes it. None: the one that they were saved from.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: it may not be read.
        CheckpointError: it is no checkpoint, damaged, of a newer version, or holds what no run writes.
    """
    with _open(path) as file:
        try:
            _verify(file)
            file.seek(0)
            content = torch.load(file, map_location=map_location, weights_only=True)
            return checked(content, None if _is_remote(path) else Path(path).absolute().parent)
        except CheckpointError as error:
            raise CheckpointError(f"{path} {error}") from error.__cause__
        except MemoryError:
            raise
        except Exception as error:  # torch.load raises a dozen kinds for a file that somebody has made up
            raise CheckpointError(
                f"{path} cannot be read as a checkpoint ({_first_line(error)}): give one that `train.py fit` wrote"
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
        raise CheckpointError(f"{path} is no regular file: name a checkpoint that `train.py fit` wrote")
    try:
        return place.open("rb")
    except PermissionError as error:
        raise PermissionError(f"the checkpoint {path} may not be read: give yourself the right to ({error})") from error


class _HashedWriter:
    """A file that hashes what is written to it, from its start on."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.blake2b(digest_size=32)
        self.flush = file.flush

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return self._file.write(data)


def _write(checkpoint: dict[str, Any], file: IO[bytes]) -> None:
    writer = _HashedWriter(file)
    torch.save(checkpoint, writer)  # type: ignore[arg-type]
    comment = b"gan_lightning checkpoint %d blake2b:%s" % (FORMAT_VERSION, writer.hash.hexdigest().encode())
    file.seek(-2, os.SEEK_END)  # the length of the archive's comment, which torch leaves at 0
    file.write(struct.pack("<H", len(comment)) + comment)


def _verify(file: IO[bytes]) -> None:
    """Find out whether a file is whole, and what torch would read of it, before it does.

    Raises:
        CheckpointError: it is none that may be read; the sentence has no subject yet.
    """
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise CheckpointError("is empty: give another checkpoint, the run's last one or an earlier one")
    file.seek(0)
    if file.read(4) != b"PK\3\4":
        raise CheckpointError("is no checkpoint: give one that `train.py fit` wrote")
    comment = _comment(file, size)
    if comment:
        _verify_hash(file, size, comment)
    try:
        archive = zipfile.ZipFile(file)
        records = archive.infolist()
        _verify_sizes(records, size)
        pickles = [record for record in records if record.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or len({record.filename for record in records}) != len(records):
            raise CheckpointError("is an archive of something else: give a checkpoint that `train.py fit` wrote")
        for record in records if not comment else ():
            with archive.open(record) as content:
                while content.read(_CHUNK):
                    pass  # zipfile compares the CRC-32 at the end
        _verify_pickle(archive, pickles[0])
    except CheckpointError:
        raise
    except Exception as error:  # zipfile and pickletools raise many kinds for what is not as it should be
        raise _damaged(error) from error


def _comment(file: IO[bytes], size: int) -> bytes:
    """The archive's comment; empty where there is none.

    torch and zipfile find an archive's directory in different ways: here it is made sure that they find the same one.

    Raises:
        CheckpointError: the archive does not end where the file does, or in another way than torch ends it.
    """
    tail_length = min(size, _END64.size + _LOCATOR.size + _END.size + _LONGEST_COMMENT)
    file.seek(-tail_length, os.SEEK_END)
    tail = file.read(tail_length)
    place = tail.rfind(b"PK\5\6")
    if place < 0 or len(tail) - place < _END.size:
        raise _damaged("it does not end as a checkpoint does")
    *_, directory_size, start, comment_length = _END.unpack_from(tail, place)
    comment = tail[place + _END.size :]
    end = size - len(tail) + place  # of the directory
    if tail[:place][-_LOCATOR.size :].startswith(b"PK\6\7"):
        *_, stated, _ = _LOCATOR.unpack_from(tail, place - _LOCATOR.size)
        end -= _LOCATOR.size + _END64.size
        file.seek(max(end, 0))
        signature, *_, directory_size, start = _END64.unpack(file.read(_END64.size))
        if signature != b"PK\6\6" or stated != end:
            raise _damaged("it does not end as a checkpoint does")
    if len(comment) != comment_length or start + directory_size != end:
        raise _damaged("it does not end as a checkpoint does")
    return comment


def _verify_hash(file: IO[bytes], size: int, comment: bytes) -> None:
    """Compare the hash in the archive's comment with that of the file before it.

    Raises:
        CheckpointError: they differ, or the comment is none that was ever written.
    """
    stated = _COMMENT.fullmatch(comment)
    if stated is None or int(stated[1]) < 1:
        raise _damaged("what stands behind its end is unknown")
    if int(stated[1]) > FORMAT_VERSION:
        raise CheckpointError(
            f"is a checkpoint of format {int(stated[1])}, and this version of gan_lightning reads formats up to "
            f"{FORMAT_VERSION}: install a newer one"
        )
    found = hashlib.blake2b(digest_size=32)
    file.seek(0)
    left = size - len(comment) - 2
    while left and (chunk := file.read(min(left, _CHUNK))):
        found.update(chunk)
        left -= len(chunk)
    found.update(b"\0\0")  # the length of the comment, as it was before there was one
    if found.hexdigest().encode() != stated[2]:
        raise _damaged("its content is not what its hash says")


def _verify_sizes(records: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse records that would take more memory than the file has bytes.

    Raises:
        CheckpointError: there is one.
    """
    total = 0
    for record in records:
        if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
            raise CheckpointError(
                "holds compressed records, which no checkpoint does and which may unpack to any size: give one that "
                "`train.py fit` wrote"
            )
        total += record.file_size
        if record.header_offset < 0 or record.header_offset + record.file_size > size:
            raise _damaged("a record lies beyond its end")
    if total > size:
        raise CheckpointError(
            f"claims to hold {total:,} bytes in a file of {size:,}: give a checkpoint that `train.py fit` wrote"
        )


def _verify_pickle(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> None:
    """Refuse a pickle that names anything but tensors and plain data, or is of no size that a checkpoint has.

    Raises:
        CheckpointError: it does.
    """
    if record.file_size > LARGEST_PICKLE:
        raise CheckpointError(
            f"holds {record.file_size:,} bytes besides its tensors, and a checkpoint at most {LARGEST_PICKLE:,}: give "
            "one that `train.py fit` wrote"
        )
    allowed = {f"{each.__module__} {each.__qualname__}" for each in _allowed_by_the_program()}
    for operations, (operation, argument, _) in enumerate(pickletools.genops(archive.read(record))):
        if operations > MOST_OPERATIONS:
            raise CheckpointError("holds more objects than any checkpoint: give one that `train.py fit` wrote")
        if operation.name == "GLOBAL" and not _NAMES.fullmatch(str(argument)) and argument not in allowed:
            raise CheckpointError(
                f"asks for {str(argument).replace(' ', '.')!r}, which is neither data nor a tensor: it was not loaded, "
                "for it may run code; give a checkpoint that `train.py fit` wrote"
            )


def _allowed_by_the_program() -> list[Any]:
    """The classes that whoever runs this program has declared safe to load."""
    return [each for each in torch.serialization.get_safe_globals() if not isinstance(each, tuple)]


def _damaged(reason: object) -> CheckpointError:
    return CheckpointError(f"is damaged ({reason}): give another checkpoint, or copy it anew")


def _first_line(error: BaseException) -> str:
    name = type(error).__name__
    text = "weights_only refuses it" if isinstance(error, pickle.UnpicklingError) else str(error).strip()
    return f"{name}: {text.splitlines()[0][:200]}" if text else name
