"""The position of a run in Lightning's loops: recorded in checkpoints, and restored after a resume.

Lightning counts four stages of each batch and epoch, and infers from the counts which hook wrote a checkpoint. It
treats an epoch that was left early as finished. If a run was stopped at an epoch's last batch, it loses the
evaluation, or trains a batch too many. Here a checkpoint states directly how many epochs are over and how many batches
of the next are done.
"""

import itertools
from typing import Any, NotRequired, TypedDict

import lightning as L
from lightning.pytorch.utilities import CombinedLoader

from gan_lightning import private


class Standing(TypedDict):
    """The position of a run."""

    epoch: int
    """Number of epochs that are over."""
    batch: int
    """Number of batches of the next epoch that are done; if all are, the end of the epoch is still to come."""
    logged: int
    """Number of steps that loggers will have counted when the last of these batches is over."""
    due: bool
    """Whether an evaluation that belongs to the last batch is still to come, or was left unfinished."""
    length: NotRequired[int]
    """Number of batches in the next epoch, for a run whose epochs differ in length."""


def allow_epochs_of_any_length(trainer: L.Trainer) -> None:
    """Ask the training loader for its length at the start of each epoch; Lightning asks only once."""
    trainer.reload_dataloaders_every_n_epochs = 1  # type: ignore[attr-defined]


def evaluate_after_this_batch(trainer: L.Trainer, batches: int, due: bool) -> None:
    """Set whether an evaluation follows a batch, which is number `batches` of the run, counted from 1."""
    trainer.check_val_every_n_epoch = None
    trainer.val_check_batch = batches if due else batches + 1  # an evaluation follows each multiple of this number


def standing(trainer: L.Trainer, evaluated: bool) -> Standing:
    """Return the run's present position, in any hook between the end of one training step and the start of the next.

    Args:
        trainer: the run's trainer.
        evaluated: whether the model has been evaluated since its last training step.
    """
    fit, loop = trainer.fit_loop, trainer.fit_loop.epoch_loop
    epochs: Any
    batches: Any
    epochs, batches = fit.epoch_progress.current, loop.batch_progress.current
    over = epochs.processed
    done = batches.processed if epochs.started == epochs.ready else 0  # the counts of an epoch last until the next one
    if epochs.processed == epochs.ready:
        complete = loop.batch_progress.is_last_batch or done >= trainer.num_training_batches
        over, done = (over, 0) if complete or not done else (over - 1, done)  # an epoch that was left early will go on
    within = batches.completed < batches.processed or trainer.validating  # the last batch is not over yet
    where: Standing = {
        "epoch": over,
        "batch": done,
        "logged": private.logged_steps(trainer) + (within and not private.is_accumulating(trainer)),
        "due": within and not evaluated and private.is_evaluation_due(trainer),
    }
    if trainer.reload_dataloaders_every_n_epochs:  # type: ignore[attr-defined]
        where["length"] = int(trainer.num_training_batches)
    return where


def put_back(loops: dict[str, Any], where: Standing) -> None:
    """Change the state of Lightning's loops in a checkpoint, `loops`, so that they continue from `where`."""
    fit = loops["fit_loop"]
    begun = where["epoch"] + (where["batch"] > 0)
    counts = {"ready": begun, "started": begun, "processed": where["epoch"], "completed": where["epoch"]}
    total = fit["epoch_loop.batch_progress"]["total"]["processed"]
    fit["epoch_progress"] = {"total": counts, "current": dict(counts)}
    fit["epoch_loop.batch_progress"] = _batches(total, where["batch"])
    fit["epoch_loop.val_loop.batch_progress"] = _batches(0, 0)
    fit["epoch_loop.state_dict"] = private.logged_steps_state(where["logged"])


def _batches(total: int, current: int) -> dict[str, Any]:
    total_counts, counts = (
        dict.fromkeys(("ready", "started", "processed", "completed"), count) for count in (total, current)
    )
    return {"total": total_counts, "current": counts, "is_last_batch": False}


def go_on(trainer: L.Trainer, where: Standing, evaluated: bool) -> bool:
    """Let the loops of a resumed run continue from its position; called in `on_train_start`.

    Args:
        trainer: the run's trainer.
        where: the run's position.
        evaluated: whether the evaluation that may belong to the last batch has been finished.

    Returns:
        Whether that evaluation comes next.
    """
    loop = trainer.fit_loop.epoch_loop
    counts: Any = loop.batch_progress.current
    done = counts.processed
    private.restore_loaders(trainer)
    if not done:
        loop.restarting = False  # a new epoch begins
        return False
    if trainer.reload_dataloaders_every_n_epochs and "length" in where:  # type: ignore[attr-defined]
        # between two epochs, the loader has reported the length of its next one
        length = trainer.fit_loop.max_batches = where["length"]
        private.set_epoch_length(trainer, length)
        if trainer.check_val_every_n_epoch is not None and isinstance(trainer.val_check_interval, float):
            trainer.val_check_batch = max(1, int(length * trainer.val_check_interval))
    last = loop.batch_progress.is_last_batch = done >= trainer.num_training_batches
    due = private.is_evaluation_due(trainer)
    if due:  # the loop returns to the end of the last batch, may evaluate, and counts the step
        private.set_logged_steps(trainer, private.logged_steps(trainer) - (not private.is_accumulating(trainer)))
    elif last:
        private.end_data(trainer)  # no batch is left: continue with the end of the epoch
    if due and not evaluated:
        private.begin_with_evaluation(trainer)
        return True
    return False


def first_reference_batch(trainer: L.Trainer) -> Any:
    """Return the first batch of an evaluation of this fit, on the device, or None if there is none.

    Call this within the training, on all processes.
    """
    if not trainer.enable_validation:
        return None
    trainer.validating = True  # so that data are cut as in an evaluation
    try:
        trainer.fit_loop.epoch_loop.val_loop.setup_data()
        for batch in itertools.chain.from_iterable(CombinedLoader(trainer.val_dataloaders).flattened):
            return trainer.strategy.batch_to_device(batch)
        return None
    finally:
        trainer.training = True


def row_to_log(trainer: L.Trainer) -> tuple[int, dict[str, float]] | None:
    """Return the step and the values that Lightning is about to log for the ending batch, or None."""
    batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    at_end = trainer.training and batches.completed < batches.processed
    if not at_end or not trainer.loggers or not private.is_logging_due(trainer) or private.is_accumulating(trainer):
        return None
    values = {name: float(value) for name, value in private.metrics_to_log(trainer).items()}
    step = int(values.pop("step", private.logged_steps(trainer)))
    return (step, values | {"epoch": trainer.current_epoch}) if values else None
