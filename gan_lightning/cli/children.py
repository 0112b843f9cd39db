"""Run trainings in processes of their own, one after another. Signals that stop this program stop them."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""The signals that are handed on: of users and batch systems, of a terminal that is closed, SLURM's warning."""

LOOKS = 2.0  # seconds between two questions to a child
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>
_ROOT = str(Path(__file__).parents[2])  # of the package, which need not be installed


def _end_with_parent() -> None:
    """On Linux: have the system send SIGTERM to this process when its parent is killed."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Children:
    """Run commands of this program one after another, until a signal asks to stop.

    A child is a process group of its own: a Ctrl-C reaches it once, from here. Where this process is killed, it stops.
    """

    def __init__(self) -> None:
        self.received = 0  # number of the first signal
        self._child: subprocess.Popen[bytes] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Children":
        if threading.current_thread() is threading.main_thread():
            listened = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]  # as nohup has it
            self._before = {each: signal.signal(each, self._hand_on) for each in listened}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _hand_on(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or number
        if self._child is not None:
            self._child.send_signal(number)

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        enough: Callable[[], bool] | None = None,
    ) -> int:
        """Run `gan-lightning` with these arguments, to its end.

        Args:
            arguments: of the command line, the command first.
            environment: variables beside those of this process.
            enough: asked now and then whether the child is to be stopped, as by SIGTERM. None = it is not.

        Returns:
            The exit code, as a shell reports it. Not 0 where a signal has come, save where the child says so itself
            after SLURM's warning: its job is queued again.
        """
        places = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
        self._child = subprocess.Popen(
            [sys.executable, "-m", "gan_lightning", *arguments],
            env={**os.environ, "PYTHONPATH": places, **(environment or {})},
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 (one call of the system, of a library that is loaded)
        )
        if self.received:  # while it was started
            self._child.send_signal(self.received)
        code = self._wait(self._child, enough)
        self._child = None
        if code == 0 and self.received not in (0, signal.SIGUSR1):
            return 128 + self.received
        return code if code >= 0 else 128 - code

    @staticmethod
    def _wait(child: subprocess.Popen[bytes], enough: Callable[[], bool] | None) -> int:
        while enough is not None:
            try:
                return child.wait(timeout=LOOKS)
            except subprocess.TimeoutExpired:
                if enough():
                    child.terminate()
                    break
        return child.wait()
