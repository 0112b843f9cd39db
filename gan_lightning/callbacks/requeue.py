"""A cluster job that is about to be stopped saves, asks to be queued again, and goes on where it was."""

import os
import signal
import subprocess
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.utilities import rank_zero_info


class SlurmRequeue(L.Callback):
    """On SLURM's warning signal: finish the batch, save `last.ckpt`, requeue the job, stop.

    Lightning's own handler saves in the middle of a step, between the two players' turns; this one waits for the end of
    it.
    The job is to ask for the signal by `#SBATCH --signal=USR1@300` and to start with `--ckpt_path last`.

    Args:
        check_every: batches between looks at whether any process has been warned (a look is a message between
            processes).
    """

    def __init__(self, check_every: int = 20) -> None:
        if check_every < 1:
            raise ValueError(f"check_every counts batches from 1, not {check_every}")
        self.check_every = check_every
        self.warned = False
        self._previous: Any = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Listen for the signal, which would end the process: from an evaluation before training on."""
        if self._previous is None:
            self._previous = signal.signal(signal.SIGUSR1, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.warned = True

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save and requeue, if any process was warned."""
        if (batch_idx + 1) % self.check_every or not trainer.strategy.reduce_boolean_decision(self.warned, all=False):
            return
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt")
        trainer.should_stop = True
        if not trainer.is_global_zero:
            return
        job = os.environ.get("SLURM_JOB_ID")
        if job is None:
            rank_zero_info("warned by SIGUSR1 outside a SLURM job: saved last.ckpt and stopped; nothing to requeue")
            return
        array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
        subprocess.run(["scontrol", "requeue", f"{array}_{task}" if array else job], check=True)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop listening."""
        signal.signal(signal.SIGUSR1, self._previous)
        self._previous = None
