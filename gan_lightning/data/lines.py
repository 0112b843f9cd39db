"""Text files that grow by whole lines, whatever stops the program that writes them."""

import os
from collections.abc import Iterable
from pathlib import Path


def read(path: Path) -> str:
    """All of a file.

    Raises:
        ValueError: it is no text.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged ({error}): move it away, and a new one is begun") from error


def mend(path: Path) -> None:
    """Take away a last line that has no end, as a kill or a full disk in the middle of a write leaves behind."""
    if not path.is_file():
        return
    text = path.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.truncate(path, whole)


def append(path: Path, line: str) -> None:
    """Add a line, in one write; a torn one before it is taken away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mend(path)
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(f"{line}\n")


def replace(path: Path, lines: Iterable[str]) -> None:
    """Put these lines, each with its own end, in the place of all that are there: a kill leaves the old or the new."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
