"""A run's folder. It belongs to one run, and to one process at a time, and records how the run was started.

`run.json` has every start of the run; `config.yaml` is what the newest was started with, and `config-1.yaml`,
`config-2.yaml`, ... are the earlier ones, the first first. While a process trains in the folder it holds a lock on
`run.lock`, which the operating system takes back when the process ends, for any reason. On a network file system that
holds for as far as its server shares locks.
"""

import json
import os
import platform
import re
import shlex
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from gan_lightning.data.files import write_whole
from gan_lightning.run_files import CONFIG, METRICS, RECORD, REPORTS

_LOGS = (METRICS, REPORTS)
_SIGNS = (RECORD, CONFIG, METRICS)  # of a run, beside its checkpoints
_PACKAGES = ("gan_lightning", "torchvision", "lightning")
LIMITS = ("max_epochs", "max_steps", "max_time")
_UNITS = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16", "amx_int8")


class RunFolder:
    """The folder of a run.

    Args:
        path: the folder; it is made when it is claimed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._earlier: dict[str, bytes] = {}  # what forgetting a start puts back
        self._names: set[str] = set()  # files that were there when the folder was claimed

    def checkpoint(self, name: str = "last") -> Path:
        """Return the path of the run's checkpoint with this name."""
        return self.path / "checkpoints" / f"{name}.ckpt"

    def signs(self) -> list[str]:
        """Return the names of the files that show that a run was here."""
        found = [name for name in _SIGNS if (self.path / name).exists()]
        return found + [f"checkpoints/{file.name}" for file in sorted(self.path.glob("checkpoints/*.ckpt"))]

    @contextmanager
    def claimed(self, resumed: str | None) -> Iterator[None]:
        """Hold the folder within this context, and add the start to its record.

        Args:
            resumed: the checkpoint that the run goes on from: a path, or "last" for the run's own, which may be missing
                where an earlier start came to none; then the run starts anew. None = a new run.

        Raises:
            FileExistsError: the folder holds another run, which this one would mix with.
            BlockingIOError: another process trains in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / "run.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BlockingIOError(
                f"{self.path} is in use by a run that {self._holder()}: wait until it ends or stop it, or give this "
                "run a folder of its own by --trainer.default_root_dir"
            ) from None
        except (NotImplementedError, OSError) as error:
            if isinstance(error, PermissionError):
                raise
            warnings.warn(
                f"the file system of {self.path} has no locks ({error}): a second run in it would not be noticed",
                stacklevel=2,
            )
        try:
            self._refuse_others(resumed)
            self._names = {file.name for file in self.path.iterdir()}
            self._earlier = {name: (self.path / name).read_bytes() for name in (RECORD, CONFIG) if name in self._names}
            if resumed == "last" and not self.checkpoint().exists():
                for name in _LOGS:  # of a start that came to no checkpoint
                    (self.path / name).unlink(missing_ok=True)
            self._add_start()
            yield
        finally:
            lock.release()

    def _refuse_others(self, resumed: str | None) -> None:
        signs = self.signs()
        if not signs or resumed == "last":
            return
        elsewhere = "give the new run a folder of its own by --trainer.default_root_dir, or delete the old one"
        if resumed is not None:
            if not Path(resumed).resolve().is_relative_to(self.path.resolve()):
                raise FileExistsError(
                    f"{self.path} holds a run ({signs[-1]}), and the checkpoint {resumed} is not in it: {elsewhere}"
                )
        elif self.checkpoint().exists():
            raise FileExistsError(
                f"{self.path} already holds a run ({self.checkpoint()}): continue it with --ckpt_path last, {elsewhere}"
            )
        else:
            raise FileExistsError(
                f"{self.path} already holds a run that came to no last checkpoint ({', '.join(signs)}): start it again "
                f"with --ckpt_path last, {elsewhere}"
            )

    # ------------------------------------------------------------------ the record

    def _starts(self) -> list[dict[str, Any]]:
        try:
            starts = json.loads((self.path / RECORD).read_text(encoding="utf-8"))["starts"]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return [start for start in starts if isinstance(start, dict)] if isinstance(starts, list) else []

    def _write(self, starts: list[dict[str, Any]]) -> None:
        text = json.dumps({"starts": starts}, indent=1) + "\n"
        write_whole(self.path / RECORD, lambda path: path.write_text(text, encoding="utf-8"))

    def _holder(self) -> str:
        """Return words that follow "a run that" and name the process that holds the folder."""
        last = (self._starts() or [{}])[-1]
        if not {"pid", "host", "started"} <= last.keys():
            return "has just started"
        return f"process {last['pid']} on {last['host']} started at {last['started']}"

    def _add_start(self) -> None:
        packages = {name: version(name.replace("_", "-")) for name in _PACKAGES}
        start = {
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "command": shlex.join(sys.argv),
            "folder": str(Path.cwd()),
            "versions": {"python": platform.python_version(), "torch": torch.__version__} | packages,
        }
        self._write([*self._starts(), start])

    def note(self, **facts: Any) -> None:
        """Add facts to the record of the newest start."""
        *earlier, newest = self._starts() or [{}]
        self._write([*earlier, newest | facts])

    def changed(self, **facts: Any) -> list[str]:
        """Return in words which of these facts differ from those of the start before the newest, if it noted them."""
        before = [{}, *self._starts()[:-1]][-1]
        return [
            f"{name} {_plain(value)} instead of {_plain(before[name])}"
            for name, value in facts.items()
            if before.get(name, value) != value
        ]

    # ------------------------------------------------------------------ the config

    def save_config(self, text: str) -> None:
        """Write the config of the newest start. The one before it, if it differs, is kept under a name of its own."""
        path = self.path / CONFIG
        if path.exists():
            if path.read_text(encoding="utf-8") == text:
                return
            numbers = [int(match[1]) for file in self.path.iterdir() if (match := _NUMBERED.fullmatch(file.name))]
            path.rename(self.path / f"config-{max(numbers, default=0) + 1}.yaml")
        write_whole(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))

    def forget(self) -> None:
        """Remove the files of a start that ended before its first batch, and put earlier ones back.

        The same command may then start again, and a run that it was to resume is unchanged.
        """
        numbered = {file.name for file in self.path.iterdir() if _NUMBERED.fullmatch(file.name)}
        for name in {*_SIGNS, *_LOGS, *numbered} - self._names:
            (self.path / name).unlink(missing_ok=True)
        for name, content in self._earlier.items():
            write_whole(self.path / name, partial(Path.write_bytes, data=content))


def limits_of(trainer: Any) -> dict[str, Any]:
    """Return the limits of a run's length in the trainer's settings, which the record of a finished run holds."""
    return {name: None if trainer.get(name) is None else str(trainer[name]) for name in LIMITS}


def describe_device(device: torch.device) -> dict[str, Any]:
    """Return the name of a device; for a CPU also the vector and matrix units that torch knows, and torch's threads."""
    if device.type == "cuda":
        return {"device": torch.cuda.get_device_name(device)}
    known = torch.cpu.get_capabilities()
    facts = {"device": str(device), "cpu": _cpu_name() or known.get("cpu_name", platform.machine())}
    return facts | {
        "units": [name for name in _UNITS if known.get(name)],
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def _plain(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


_NUMBERED = re.compile(r"config-(\d+)\.yaml")


def _cpu_name() -> str | None:
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return match[1] if match else None
