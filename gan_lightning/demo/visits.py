"""The files of visitors, who may send anything."""

import hashlib
import math
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

_VISIT = "visit-"
_SENDING = 60  # seconds in which an upload is used


class Visits:
    """Visitors who are here, and their files, which are deleted when they leave.

    Args:
        place: folder of all files; Gradio's own.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._uploads: dict[Path, set[Path]] = {}  # of each visitor, by the visitor's own folder
        self._own: frozenset[Path] = frozenset()
        self._lock = Lock()

    def open(self) -> None:
        """Keep the files that are there now, which are the page's own."""
        self._own = frozenset(self._files())

    def folder(self, session: str | None) -> Path:
        """Return the folder of a visitor. The browser chooses the name of a session, which may be anything."""
        return self.place / f"{_VISIT}{hashlib.sha256((session or '').encode()).hexdigest()}"

    def note(self, session: str | None, *uploads: Path) -> None:
        """Remember a visitor, and files that the visitor has sent."""
        with self._lock:
            self._uploads.setdefault(self.folder(session), set()).update(uploads)

    def end(self, session: str | None) -> None:
        """Delete the files of a visitor, and uploads that nobody uses: browsers send more than the page asks for."""
        folder = self.folder(session)
        shutil.rmtree(folder, ignore_errors=True)
        with self._lock:
            uploads = self._uploads.pop(folder, set())
            kept = self._own.union(*self._uploads.values())  # equal files of two visitors are one
            recent = time.time() - _SENDING if self._uploads else math.inf
        for file in self._files():
            with suppress(FileNotFoundError):  # deleted at the same time
                if file not in kept and (file in uploads or file.stat().st_mtime < recent):
                    file.unlink()

    def _files(self) -> list[Path]:
        """Return the files in the folder of all, but those in folders of visitors."""
        return [
            file
            for entry in self.place.iterdir()
            if not entry.name.startswith(_VISIT)
            for file in entry.rglob("*")
            if file.is_file()
        ]


def files_of(drawn: Mapping[str, Any]) -> list[Path]:
    """Return the files of a drawing, as the page's editor sends it: its background, its layers and all together."""
    parts = [drawn.get("background"), drawn.get("composite"), *(drawn.get("layers") or [])]
    return [Path(part["path"]) for part in parts if part]
