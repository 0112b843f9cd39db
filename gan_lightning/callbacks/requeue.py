"""Save and requeue a SLURM job that is about to be stopped, so that it goes on where it was."""

import os
import signal
import subprocess
import sys
from typing import ClassVar

import lightning as L

from gan_lightning.callbacks.checkpoints import LastCheckpoint


class SlurmRequeue(LastCheckpoint):
    """On SLURM's warning signal, SIGUSR1: finish the batch, save `last.ckpt`, requeue the job, stop.

    Lightning's own handler saves in the middle of a step, between the two players' turns. This callback waits for the
    end of the step. The job must request the signal by `#SBATCH --signal=USR1@300` and start with `--ckpt_path last`.
    The callback replaces the command line's `LastCheckpoint` and takes the same arguments.
    """

    signals: ClassVar[tuple[signal.Signals, ...]] = (*LastCheckpoint.signals, signal.SIGUSR1)

    def exit_code(self, trainer: L.Trainer, why: signal.Signals) -> int:
        """Return 0 after SIGUSR1 if the job is queued again, and the usual exit code otherwise."""
        if why != signal.SIGUSR1:
            return super().exit_code(trainer, why)
        return 0 if not trainer.is_global_zero or self._requeue() else super().exit_code(trainer, why)

    @staticmethod
    def _requeue() -> bool:
        """Requeue the job, if there is one. Return False if SLURM refused."""
        job = os.environ.get("SLURM_JOB_ID")
        if job is None:
            print("this is not a SLURM job: there is nothing to requeue", file=sys.stderr)
            return True
        array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
        try:
            subprocess.run(["scontrol", "requeue", f"{array}_{task}" if array else job], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"the job could not be queued again ({error}): submit it again", file=sys.stderr)
            return False
        return True
