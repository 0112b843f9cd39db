"""What the runs of test_signals.py are given on the command line."""

import os
from typing import Any

import lightning as L


class SignalAt(L.Callback):
    """Sends a signal to this process, or to all of its group.

    Args:
        number: the signal.
        batch: how many training batches the run has seen when it is sent.
        hook: the hook of Lightning in which it is sent.
        times: how often in a row.
        rank: the process that sends it.
        group: send it to all processes of the group, as a terminal does.
    """

    def __init__(self, number: int, batch: int, hook: str, times: int = 1, rank: int = 0, group: bool = False) -> None:
        self.number, self.batch, self.times, self.rank, self.group = number, batch, times, rank, group
        setattr(self, hook, self._send)

    def _send(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        if pl_module.batches_seen == self.batch and trainer.global_rank == self.rank:
            self.batch = -1
            for _ in range(self.times):
                (os.killpg if self.group else os.kill)(os.getpgid(0) if self.group else os.getpid(), self.number)
