"""Text files that grow by whole lines, even if the program that writes them is killed."""

import os
from collections.abc import Iterable
from pathlib import Path


def read(path: Path) -> str:
    """Return the content of a text file.

    Raises:
        ValueError: the file is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged ({error}): move it away, and a new file is begun") from error


def drop_unfinished(path: Path) -> None:
    """Remove a last line that has no end, which a kill or a full disk in the middle of a write leaves."""
    if not path.is_file():
        return
    text = path.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.truncate(path, whole)


def append(path: Path, line: str) -> None:
    """Append a line in one write, after an unfinished last line is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drop_unfinished(path)
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(f"{line}\n")


def replace(path: Path, lines: Iterable[str]) -> None:
    """Replace all lines of a file by these, each with its own end. After a kill, the file is the old or the new one."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
