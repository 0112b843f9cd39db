"""A cluster job that is about to be stopped saves, asks to be queued again, and goes on where it was."""

import os
import signal
import subprocess
import sys
from typing import ClassVar

import lightning as L

from gan_lightning.callbacks.checkpoints import LastCheckpoint


class SlurmRequeue(LastCheckpoint):
    """On SLURM's warning signal, SIGUSR1: finish the batch, save `last.ckpt`, requeue the job, stop.

    Lightning's own handler saves in the middle of a step, between the two players' turns; this one waits for the end of
    it.
    The job is to ask for the signal by `#SBATCH --signal=USR1@300` and to start with `--ckpt_path last`. It takes the
    place of the command line's `LastCheckpoint`, and its arguments are the same.
    """

    signals: ClassVar[tuple[signal.Signals, ...]] = (*LastCheckpoint.signals, signal.SIGUSR1)

    def exit_code(self, trainer: L.Trainer, why: signal.Signals) -> int:
        """The exit code: 0 after the warning, once the job is queued again."""
        if why != signal.SIGUSR1:
            return super().exit_code(trainer, why)
        return 0 if not trainer.is_global_zero or self._requeue() else super().exit_code(trainer, why)

    @staticmethod
    def _requeue() -> bool:
        """Requeue the job, if there is one. False = SLURM refused."""
        job = os.environ.get("SLURM_JOB_ID")
        if job is None:
            print("this is no SLURM job: there is nothing to requeue", file=sys.stderr)
            return True
        array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
        try:
            subprocess.run(["scontrol", "requeue", f"{array}_{task}" if array else job], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"the job could not be queued again ({error}): submit it anew", file=sys.stderr)
            return False
        return True
