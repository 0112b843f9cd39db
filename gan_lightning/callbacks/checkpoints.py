"""Checkpoints of a run: the newest and the best. They stay known when the run's folder is moved."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch import callbacks
from torch import Tensor

from gan_lightning.callbacks.evaluation import Evaluation
from gan_lightning.callbacks.stopping import StopOnSignal
from gan_lightning.metrics.directions import good_direction
from gan_lightning.private import SavesWhatIsMeasured, saving_intervals

LAST = "last"


class ModelCheckpoint(SavesWhatIsMeasured, callbacks.ModelCheckpoint):
    """A ModelCheckpoint that records file names, not paths, in checkpoints.

    A run's folder can therefore be moved, and its best checkpoint stays the best. The callback restores only plain
    files in its own folder whose names follow its own pattern, so it never removes any other file. Two of these
    callbacks may monitor the same metric if their file names differ.

    The best checkpoint of a growing model is the best at the newest size, since scores of smaller images do not compare
    with it.

    Args:
        dirpath: folder of the checkpoints. None = `checkpoints` under the run's folder.
        filename: name of the file without its ending, in Lightning's format.
        monitor: name of the metric that the best checkpoints have the best values of. None = the newest ones are kept.
        mode: "min" or "max", the better direction of the metric. None = that of its name
            (`gan_lightning.metrics.directions`).
        others: the arguments of Lightning's ModelCheckpoint.

    Raises:
        ValueError: `mode` is None, and the name of the metric does not tell the better direction.
    """

    _level = 0  # of a growing model, at which the kept checkpoints were measured

    def __init__(
        self,
        dirpath: str | Path | None = None,
        filename: str | None = None,
        monitor: str | None = None,
        mode: Literal["min", "max"] | None = None,
        **others: Any,
    ) -> None:
        if mode is None and monitor is not None:
            mode = good_direction(monitor)
            if mode is None:
                raise ValueError(
                    f"it is not known whether low or high values of {monitor} are good: check the name, or set the "
                    "mode of the ModelCheckpoint that monitors it to min or max (--best.mode for best.ckpt)"
                )
        super().__init__(dirpath=dirpath, filename=filename, monitor=monitor, mode=mode or "min", **others)

    @property
    def state_key(self) -> str:
        """The key of this callback's state in a checkpoint. It differs from that of other ModelCheckpoints."""
        settings = {name: getattr(self, name) for name in ("filename", "monitor", "mode", "save_top_k")}
        return f"{type(self).__qualname__}{settings | saving_intervals(self)}"

    def state_dict(self) -> dict[str, Any]:
        """Return the file names of the best checkpoints with their scores, and that of the last checkpoint."""
        return {
            "best": {Path(path).name: float(score) for path, score in self.best_k_models.items()},
            "newest": Path(self.best_model_path).name,
            "last": Path(self.last_model_path).name,
            "current_score": None if self.current_score is None else float(self.current_score),
            "level": self._level,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the file names that still exist."""
        named = state_dict.get("best", state_dict.get("best_k_models"))
        scores = {
            path: float(score)
            for name, score in (named if isinstance(named, dict) else {}).items()
            if _is_number(score) and (path := self._own_file(name, self._pattern()))
        }
        better = sorted(scores, key=lambda path: scores[path], reverse=self.mode == "max")
        if self.save_top_k > -1:
            better = better[: self.save_top_k]
        self.best_k_models = {path: _exact(scores[path]) for path in better}
        if better:
            self.best_model_path, self.kth_best_model_path = better[0], better[-1]
            self.best_model_score, self.kth_value = self.best_k_models[better[0]], self.best_k_models[better[-1]]
        elif self.monitor is None:
            newest = state_dict.get("newest", state_dict.get("best_model_path"))
            self.best_model_path = self._own_file(newest, self._pattern()) or ""
        last = state_dict.get("last", state_dict.get("last_model_path"))
        self.last_model_path = self._own_file(last, re.escape(self.CHECKPOINT_NAME_LAST)) or ""
        level = state_dict.get("level")
        self._level = level if isinstance(level, int) else 0
        current: Any = state_dict.get("current_score")
        self.current_score = _exact(current) if _is_number(current) else None

    def check_monitor_top_k(self, trainer: L.Trainer, current: Tensor | None = None) -> bool:
        """Return whether the weights are to be kept: at a new size of a growing model, rather than any before."""
        growth = getattr(trainer.lightning_module, "growth", None)
        level = 0 if growth is None else growth.level(trainer.lightning_module.images_seen)
        if level > self._level and self.best_k_models:
            worst = _exact("inf" if self.mode == "min" else "-inf")
            self.best_k_models = dict.fromkeys(self.best_k_models, worst)
            self.best_model_score = self.kth_value = worst
        self._level = level
        return super().check_monitor_top_k(trainer, current)

    def is_measured(self, trainer: L.Trainer, metrics: Mapping[str, Tensor]) -> bool:
        """Return False where the evaluation left the monitored metric out, and True otherwise.

        A metric that is missing for another reason counts as measured, so that Lightning reports the error.
        """
        return self.monitor is None or self.monitor in metrics or not self._is_left_out(trainer)

    def _is_left_out(self, trainer: L.Trainer) -> bool:
        evaluations = [each for each in trainer.callbacks if isinstance(each, Evaluation)]  # type: ignore[attr-defined]
        return any(each.left_out for each in evaluations)

    def _pattern(self) -> str:
        """Return a regular expression for the file names of this callback, without their endings."""
        template = self.filename or "{epoch}-{step}"
        return ".+".join(re.escape(part) for part in re.split(r"\{.*?\}", template))

    def _own_file(self, name: Any, pattern: str) -> str | None:
        """Return the path of a file that this callback may have written, or None if there is no such file."""
        if not isinstance(name, str) or self.dirpath is None:
            return None
        name = re.split(r"[/\\]", name)[-1]  # earlier versions kept whole paths
        path = Path(self.dirpath, name)
        fits = re.fullmatch(rf"{pattern}(-v\d+)?{re.escape(self.FILE_EXTENSION)}", name, re.DOTALL)
        return str(path) if fits and path.is_file() and not path.is_symlink() else None


class LastCheckpoint(StopOnSignal, ModelCheckpoint):
    """Keep `last.ckpt`, from which `--ckpt_path last` resumes exactly. The command line adds it to every run.

    The file is written after each epoch, every few minutes, and when the run is asked to stop (SIGTERM, Ctrl-C), after
    the current batch. A run that is stopped loses nothing, and a run that is killed loses a few minutes.

    Args:
        every_minutes: the time between saves within an epoch, in minutes. 0 or None = save after epochs only.
        check_every: with several processes, the number of training batches between two checks. A check asks all
            processes whether one of them was asked to stop, and whether a save is due.
        dirpath: the folder. None = Lightning's default, `checkpoints` under the logger's folder.
    """

    def __init__(
        self, every_minutes: float | None = 10, check_every: int = 20, dirpath: str | Path | None = None
    ) -> None:
        StopOnSignal.__init__(self, check_every)
        callbacks.ModelCheckpoint.__init__(
            self, dirpath, LAST, save_top_k=0, enable_version_counter=False, save_on_train_epoch_end=True
        )
        if every_minutes is not None and not 0 <= every_minutes < float("inf"):
            raise ValueError(f"every_minutes={every_minutes}: make it 0 or more, 0 for saving after epochs only")
        self.every_minutes = every_minutes
        self._saved = 0.0  # time of the last save, on the monotonic clock

    @property
    def state_key(self) -> str:
        """The class's name, since a run has one such callback."""
        return type(self).__qualname__

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state, since the file's name is always the same."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Ignore the state, which is empty."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._saved = time.monotonic()
        super().on_train_start(trainer, pl_module)

    def is_save_due(self, trainer: L.Trainer) -> bool:
        """Return whether `every_minutes` have passed on the clock of the first process."""
        minutes = (time.monotonic() - self._saved) / 60
        return (
            bool(self.every_minutes and minutes >= self.every_minutes) and trainer.training and trainer.is_global_zero
        )

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save `last.ckpt`."""
        self.save(trainer)

    def save(self, trainer: L.Trainer) -> str | None:
        """Write `last.ckpt`, unless this is a trial run (`fast_dev_run`)."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return None
        assert self.dirpath is not None
        path = str(Path(self.dirpath, f"{LAST}{self.FILE_EXTENSION}"))
        trainer.save_checkpoint(path, weights_only=False)  # all that a resume needs
        self.best_model_path = self.last_model_path = path
        self._saved = time.monotonic()
        return path


def _exact(score: Any) -> Tensor:
    """Return a score as a float64 tensor, since metrics may be float64."""
    return torch.tensor(float(score), dtype=torch.float64)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)
