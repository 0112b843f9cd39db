"""Files of `torch.save`, checked before torch reads them: they must be whole, and hold nothing but data.

Such a file is a zip archive of one pickle and a record for each tensor. PyTorch before 1.6 wrote several pickles,
followed by the tensors. torch's own `weights_only` runs no code, but accepts files that fill the memory.
"""

import os
import pickletools
import re
import struct
import zipfile
from typing import IO, Any

import torch

LARGEST_PICKLE = 16 * 2**20  # bytes besides the tensors; CycleGAN has 200 KB
MOST_OPERATIONS = 4_000_000  # of that pickle, each of which makes at most one object
CHUNK = 2**22  # bytes that are read at a time

# the end of a zip archive: torch writes all three structures, and then the comment
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_LONGEST_COMMENT = 128
_ARCHIVE = b"PK\3\4"
_OLD = re.compile(rb"\x80.\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL)  # PyTorch's magic number, pickled
_OLD_PICKLES = 5  # the number, the version, the system, the object, and the names of its tensors

# names that torch.save writes for tensors and plain data; torch.load accepts more, but bytearray(n) fills n bytes
_NAMES = re.compile(
    r"collections OrderedDict|collections Counter|torch\._utils _rebuild_(tensor(_v[23])?|parameter)"
    r"|torch (\w+Storage|Size|device|float\w+|bfloat16|u?int\d+|bool|complex\w+)|torch\.storage (Unt|T)ypedStorage"
    r"|__builtin__ set|builtins set"
)


class ArchiveError(ValueError):
    """A file that torch must not read. The message begins with a verb, since callers put the file's name first."""


def damaged(reason: object) -> ArchiveError:
    """Return an error for a file whose content has changed since it was written."""
    return ArchiveError(f"is damaged ({reason})")


def comment_of(file: IO[bytes]) -> bytes:
    """Return the comment at the end of an archive; empty if there is none.

    torch and zipfile find an archive's directory in different ways. This function ensures that they find the same one.

    Raises:
        ArchiveError: the file is not an archive, has data behind its end, or does not end as torch ends archives.
    """
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise ArchiveError("is empty")
    file.seek(0)
    if file.read(len(_ARCHIVE)) != _ARCHIVE:
        raise ArchiveError("is not a checkpoint, nor any other file of PyTorch")
    tail_length = min(size, _END64.size + _LOCATOR.size + _END.size + _LONGEST_COMMENT)
    file.seek(-tail_length, os.SEEK_END)
    tail = file.read(tail_length)
    place = tail.rfind(b"PK\5\6")
    if place < 0 or len(tail) - place < _END.size:
        raise damaged("it does not end as such files do")
    *_, directory_size, start, comment_length = _END.unpack_from(tail, place)
    comment = tail[place + _END.size :]
    end = size - len(tail) + place  # end of the directory
    if tail[:place][-_LOCATOR.size :].startswith(b"PK\6\7"):
        *_, stated, _ = _LOCATOR.unpack_from(tail, place - _LOCATOR.size)
        end -= _LOCATOR.size + _END64.size
        file.seek(max(end, 0))
        signature, *_, directory_size, start = _END64.unpack(file.read(_END64.size))
        if signature != b"PK\6\6" or stated != end:
            raise damaged("it does not end as such files do")
    if len(comment) != comment_length or start + directory_size != end:
        raise damaged("it does not end as such files do")
    return comment


def verify_archive(file: IO[bytes], hashed: bool) -> None:
    """Check what torch would read from an archive, and that its records are whole.

    Args:
        file: an archive whose end `comment_of` has checked.
        hashed: all of the file was already compared with a hash.

    Raises:
        ArchiveError: the file must not be read.
    """
    size = file.seek(0, os.SEEK_END)
    try:
        archive = zipfile.ZipFile(file)
        records = archive.infolist()
        _verify_sizes(records, size)
        pickles = [record for record in records if record.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or len({record.filename for record in records}) != len(records):
            raise ArchiveError("is an archive of something else")
        for record in () if hashed else records:
            with archive.open(record) as content:
                while content.read(CHUNK):
                    pass  # zipfile compares the CRC-32 at the end
        if pickles[0].file_size > LARGEST_PICKLE:
            raise ArchiveError(
                f"holds {pickles[0].file_size:,} bytes besides its tensors, and such a file at most {LARGEST_PICKLE:,}"
            )
        _verify_pickle(archive.read(pickles[0]))
    except ArchiveError:
        raise
    except Exception as error:  # zipfile and pickletools raise many kinds of errors for damaged files
        raise damaged(error) from error


def verify(file: IO[bytes]) -> None:
    """Check a file that carries no hash of this library, of any version of PyTorch.

    Raises:
        ArchiveError: the file must not be read.
    """
    file.seek(0)
    if not _OLD.match(file.read(15)):
        comment_of(file)
        verify_archive(file, hashed=False)
        return
    file.seek(0)
    try:
        for _ in range(_OLD_PICKLES):
            _verify_pickle(file)
    except ArchiveError:
        raise
    except Exception as error:
        raise damaged(error) from error


def _verify_sizes(records: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse records that would take more memory than the file has bytes.

    Raises:
        ArchiveError: there is such a record.
    """
    total = 0
    for record in records:
        if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
            raise ArchiveError("holds compressed records, which PyTorch never writes and which may unpack to any size")
        total += record.file_size
        if record.header_offset < 0 or record.header_offset + record.file_size > size:
            raise damaged("a record lies beyond its end")
    if total > size:
        raise ArchiveError(f"claims to hold {total:,} bytes in a file of {size:,}")


def _verify_pickle(pickled: bytes | IO[bytes]) -> None:
    """Refuse a pickle that names anything but tensors and plain data, or that has too many objects.

    Raises:
        ArchiveError: the pickle does so.
    """
    allowed = {f"{each.__module__} {each.__qualname__}" for each in _allowed_by_the_program()}
    for operations, (operation, argument, _) in enumerate(pickletools.genops(pickled)):
        if operations > MOST_OPERATIONS:
            raise ArchiveError("holds more objects than any checkpoint needs")
        if operation.name == "GLOBAL" and not _NAMES.fullmatch(str(argument)) and argument not in allowed:
            raise ArchiveError(
                f"asks for {str(argument).replace(' ', '.')!r}, which is neither data nor a tensor: it was not loaded, "
                "because it may run code"
            )


def _allowed_by_the_program() -> list[Any]:
    """Return the classes that the user of this program has declared safe to load."""
    return [each for each in torch.serialization.get_safe_globals() if not isinstance(each, tuple)]
