"""End a run when a signal asks for it: after the current batch, on all processes, with one exit code."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, ClassVar

import lightning as L
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.trainer.states import TrainerFn

from gan_lightning import private


class Stopped(SystemExit):
    """Raised in a run that was asked to stop. Its `code` is the exit code: 128 + the signal's number."""


class StopOnSignal(L.Callback):
    """On SIGTERM and Ctrl-C: finish the batch, report the run's state, and end the program by `Stopped`.

    An evaluation ends before its next batch. A second Ctrl-C ends the program at once. A signal to one process stops
    all processes. `LastCheckpoint` also saves, so that a resumed run goes on as if it had never stopped.

    Args:
        check_every: with several processes, the number of training batches between two checks, each of which is a
            message between processes. A single process checks after each batch.
    """

    signals: ClassVar[tuple[signal.Signals, ...]] = (signal.SIGTERM, signal.SIGINT)
    """The signals that are handled from the set-up of a run to its end."""

    def __init__(self, check_every: int = 20) -> None:
        if check_every < 1:
            raise ValueError(f"check_every counts batches from 1, not {check_every}")
        self.check_every = check_every
        self.goes_on = False  # whether another command follows: signals between the two are handled too
        self.received = 0  # number of the first signal
        self._before: dict[signal.Signals, Any] = {}  # the handlers before `setup`
        self._trainer: L.Trainer | None = None
        self._batches = 0  # of the training, in this process
        self._looks = 0  # of this evaluation or prediction
        self._most_looks = 0.0

    # ------------------------------------------------------------------ listening

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Replace Lightning's handler, which ends no evaluation and sends messages between processes from within."""
        super().setup(trainer, pl_module, stage)
        if self._before or threading.current_thread() is not threading.main_thread():
            return
        self._trainer, self.received = trainer, 0
        private.mute_signals(trainer)
        self._before = {each: signal.signal(each, self._on_signal) for each in self.signals}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received:
            assert self._trainer is not None
            if (launcher := self._trainer.strategy.launcher) is not None:
                launcher.kill(signal.SIGKILL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        self.received = self.received or number
        if number == signal.SIGINT and self._trainer is not None and self._trainer.is_global_zero:
            os.write(2, b"\nstopping after this batch; Ctrl-C again stops at once\n")  # print might be interrupted

    def listen_no_more(self) -> None:
        """Restore the previous handlers."""
        for each, handler in self._before.items():
            signal.signal(each, handler)
        self._before = {}
        if self._trainer is not None:
            private.unmute_signals(self._trainer)
            self._trainer = None

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Stop listening, unless another command follows in this run."""
        super().teardown(trainer, pl_module, stage)
        if not self.goes_on:
            self.listen_no_more()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Stop listening."""
        super().on_exception(trainer, pl_module, exception)
        self.listen_no_more()

    # ------------------------------------------------------------------ checking

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop if a signal came while the run was set up."""
        super().on_train_start(trainer, pl_module)
        self._look(trainer)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if a signal came, but not between the batches of one step, since checkpoints hold no gradients."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self._batches += 1
        if trainer.world_size > 1 and self._batches % self.check_every:
            return
        if not private.is_accumulating(trainer):
            self._look(trainer)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Agree on the number of checks in this evaluation, since some processes may have fewer batches."""
        super().on_validation_start(trainer, pl_module)
        batches = trainer.num_sanity_val_batches if trainer.sanity_checking else trainer.num_val_batches
        self._count_looks(trainer, sum(batches))

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Agree on the number of checks in this test."""
        super().on_test_start(trainer, pl_module)
        self._count_looks(trainer, sum(trainer.num_test_batches))

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Agree on the number of checks in this prediction."""
        super().on_predict_start(trainer, pl_module)
        self._count_looks(trainer, sum(trainer.num_predict_batches))

    def _count_looks(self, trainer: L.Trainer, batches: float) -> None:
        self._looks = 0
        self._most_looks = over_processes(trainer, [batches], "min")[0]

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Stop if a signal came."""
        self._looks += 1
        if self._looks <= self._most_looks:
            self._look(trainer)

    on_test_batch_start = on_predict_batch_start = on_validation_batch_start

    def _look(self, trainer: L.Trainer) -> None:
        number, save = over_processes(trainer, [self.received, self.is_save_due(trainer)], "max")
        if number:
            self.stop(trainer, signal.Signals(int(number)))
        if save:
            self.save(trainer)

    # ------------------------------------------------------------------ stopping

    def stop(self, trainer: L.Trainer, why: signal.Signals) -> None:
        """Save the run, if there is something to save, and end it. Call this on all processes.

        Raises:
            Stopped: always.
        """
        message = f"stopped by {why.name}"
        if trainer.state.fn == TrainerFn.FITTING:
            batches = getattr(trainer.lightning_module, "batches_seen", trainer.global_step)
            saved = self.save(trainer) if batches else None
            where = f" after batch {batches:,} (epoch {trainer.current_epoch + 1})" if batches else " before any batch"
            message += where + (
                f": {saved} is saved, and the same command with --ckpt_path last goes on from there"
                if saved is not None
                else ": nothing is saved" + ("" if batches else ", and the same command starts from the beginning")
            )
        if trainer.is_global_zero:
            print(f"\n{message}", file=sys.stderr, flush=True)
        environment = getattr(trainer.strategy, "cluster_environment", None)
        # Lightning kills its processes, and the first one too, when one of them ends with an error
        child = isinstance(environment, LightningEnvironment) and trainer.local_rank > 0
        raise Stopped(0 if child else self.exit_code(trainer, why))

    def exit_code(self, trainer: L.Trainer, why: signal.Signals) -> int:
        """Return the program's exit code, as a shell reports it for a program that a signal has ended."""
        return 128 + why

    def is_save_due(self, trainer: L.Trainer) -> bool:
        """Return whether to save, after this batch, a run that goes on."""
        return False

    def save(self, trainer: L.Trainer) -> str | None:
        """Save the run.

        Returns:
            The file's path, or None if nothing is saved.
        """
        return None


def over_processes(trainer: L.Trainer, values: list[Any], which: str) -> list[float]:
    """Return the largest (`which` = "max") or the smallest ("min") of each value over all processes."""
    if trainer.world_size == 1:
        return values
    device = trainer.strategy.root_device
    numbers = torch.tensor(values, dtype=torch.float32, device=device)
    return trainer.strategy.reduce(numbers, reduce_op=which).tolist()
