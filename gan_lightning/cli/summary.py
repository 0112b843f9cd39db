"""The last lines of a run: its best score, where its files are, and the next commands to type."""

import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch import callbacks
from lightning.pytorch.trainer.states import TrainerFn

from gan_lightning.callbacks import Evaluation, LastCheckpoint, Stopped
from gan_lightning.callbacks.progress import Pace, in_words, rounded
from gan_lightning.cli.commands import PROGRAM
from gan_lightning.cli.run_folder import RunFolder
from gan_lightning.recording import unrecorded
from gan_lightning.run_files import CONFIG, METRICS, REPORTS
from gan_lightning.training.generative import TRUSTED, GenerativeModule


class Summary(Pace):
    """Print the state of a run: in full at its end, in short after a signal has stopped it."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Print the state of a stopped run, and the command that resumes it."""
        super().on_exception(trainer, pl_module, exception)
        folder = RunFolder(Path(trainer.default_root_dir))
        if isinstance(exception, Stopped) and trainer.state.fn == TrainerFn.FITTING and folder.checkpoint().exists():
            self.tell(trainer, pl_module, ended=False)

    def tell(self, trainer: L.Trainer, pl_module: L.LightningModule, ended: bool = True) -> None:
        """Print the summary, unless this is a trial run (`fast_dev_run`).

        Args:
            trainer: the run's.
            pl_module: its model.
            ended: whether the run has come to its end.
        """
        assert isinstance(pl_module, GenerativeModule)
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        self._pause()
        images, seconds = self.images(pl_module), self.seconds
        before = f", of which {images:,} now" if images != pl_module.images_seen else ""
        speed = f", {rounded(images / seconds)} images/s" if seconds else ""
        print(
            f"\n{'trained' if ended else 'stopped after training'} on {pl_module.images_seen:,} images{before} in "
            f"{in_words(time.monotonic() - self._began)}{speed}"
        )
        found = [*_checkpoints(trainer), *_files(Path(trainer.default_root_dir), ended)]
        for what, where in found:
            print(f"  {what:9} {where}")
        commands = [*(_next_commands if ended else _go_on)(trainer, pl_module)]
        if commands:
            print("next:" if ended else "to go on:", *(f"  {PROGRAM} {command}" for command in commands), sep="\n")


def _checkpoints(trainer: L.Trainer) -> Iterator[tuple[str, str]]:
    for each in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(each, callbacks.ModelCheckpoint) and each.monitor and Path(each.best_model_path).is_file():
            assert each.best_model_score is not None
            yield "best", f"{each.monitor} {float(each.best_model_score):.4g}, {_shown(each.best_model_path)}"
    for each in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(each, LastCheckpoint) and Path(each.last_model_path).is_file():
            yield "last", _shown(each.last_model_path)


def _files(folder: Path, ended: bool) -> Iterator[tuple[str, str]]:
    pictures = sorted(folder.glob("samples/images-*.png"))
    if pictures:
        yield "pictures", f"{folder / 'samples'}, the newest {pictures[-1].name}"
    numbers = [name for name in (METRICS, REPORTS) if (folder / name).is_file()]
    if ended and numbers:
        yield "numbers", " and ".join(str(folder / name) for name in numbers)


def _shown(path: str) -> str:
    """Return a path as a user would type it: relative, if it is below the working directory."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _go_on(trainer: L.Trainer, pl_module: GenerativeModule) -> Iterator[str]:
    if Path(trainer.default_root_dir, CONFIG).is_file():
        yield f"fit --config {shlex.quote(trainer.default_root_dir)} --ckpt_path last"


def _next_commands(trainer: L.Trainer, pl_module: GenerativeModule) -> Iterator[str]:
    """Yield the commands that work for this run: an evaluation needs reference images, a curve needs evaluations."""
    run = RunFolder(Path(trainer.default_root_dir))
    folder = shlex.quote(str(run.path))
    name = next((name for name in ("best", "last") if run.checkpoint(name).is_file()), None)
    evaluates = any(isinstance(each, Evaluation) for each in trainer.callbacks)  # type: ignore[attr-defined]
    if name and evaluates and trainer.limit_val_batches and (run.path / CONFIG).is_file():
        yield f"validate --config {folder} --ckpt_path {name}"
    if name and pl_module.translator is not None and not [*unrecorded(dict(pl_module.hparams))]:
        known = tuple(f"{package}." for package in TRUSTED)
        own = {path.rpartition(".")[0] for path in _class_paths(pl_module.hparams) if not path.startswith(known)}
        trusted = "".join(f" --trusted+ {package}" for package in sorted(own))
        yield f"translate {shlex.quote(str(run.checkpoint(name)))} FOLDER{trusted}"
    if (run.path / REPORTS).is_file():
        yield f"plot curves {folder} curves.png"


def _class_paths(description: Any) -> Iterator[str]:
    """Return the classes that a checkpoint of a model names."""
    if isinstance(description, Mapping):
        for key, value in description.items():
            if key in ("class_path", "_class_path") and isinstance(value, str):
                yield value
            else:
                yield from _class_paths(value)
    elif isinstance(description, list | tuple):
        for item in description:
            yield from _class_paths(item)
