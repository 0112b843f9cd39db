"""How far a run is: images learnt from, images a second, and the time left."""

import math
import sys
import time
from collections import deque
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Timer, TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm
from lightning.pytorch.trainer.states import TrainerFn

from gan_lightning.data.batches import batch_length
from gan_lightning.training.generative import GenerativeModule

WINDOW = 10  # refreshes that the speed is measured over, since it changes with a model that grows
SLOW = 5  # seconds without a refresh that call for one
SOONEST, RAREST = 10, 600  # seconds between two lines in a log file
_UNITS = {"d": 86400, "h": 3600, "min": 60, "s": 1}


def in_words(seconds: float) -> str:
    """Return a time in its two largest units: `1 min 12 s`, `3 h`."""
    left = max(0, round(seconds))
    if left >= 3600:
        left = round(left / 60) * 60
    counts = {}
    for unit, length in _UNITS.items():
        counts[unit], left = divmod(left, length)
    first = next((i for i, count in enumerate(counts.values()) if count), len(counts) - 1)
    named = [f"{count} {unit}" for unit, count in [*counts.items()][first : first + 2] if count]
    return " ".join(named) or "0 s"


def rounded(number: float) -> str:
    """Return a positive number with at least three digits: `1,830`, `7.32`."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


class Pace(L.Callback):
    """Measure the speed of training in this process, without evaluations. Callbacks that report it derive from this."""

    def __init__(self) -> None:
        super().__init__()
        self._trained = 0.0  # seconds, up to the last pause
        self._since: float | None = None  # on the clock; None = not training now
        self._from = 0  # images that the run had seen before this process
        self._evaluated_at = 0  # images seen at the last evaluation, or when training began
        self._between = 0  # images between two evaluations; 0 = not known yet
        self._evaluation = 0.0  # seconds that the last one took
        self._evaluation_began = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of training, without those of evaluations."""
        return self._trained + (0 if self._since is None else time.monotonic() - self._since)

    def images(self, pl_module: GenerativeModule) -> int:
        """Images learnt from in these seconds, over all processes of the run."""
        return pl_module.images_seen - self._from

    def _pause(self) -> None:
        self._trained, self._since = self.seconds, None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        assert isinstance(pl_module, GenerativeModule)
        self._from = self._evaluated_at = pl_module.images_seen
        self._trained, self._since = 0.0, time.monotonic()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock for an evaluation."""
        super().on_validation_start(trainer, pl_module)
        self._pause()
        self._evaluation_began = time.monotonic()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock again, and note the time that the evaluation took."""
        assert isinstance(pl_module, GenerativeModule)
        now = time.monotonic()
        self._evaluation = now - self._evaluation_began
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._between = pl_module.images_seen - self._evaluated_at
            self._evaluated_at, self._since = pl_module.images_seen, now
        super().on_validation_end(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock."""
        self._pause()
        super().on_train_end(trainer, pl_module)

    def seconds_of_evaluations(self, pl_module: GenerativeModule, images: float) -> float:
        """Return the seconds that the evaluations of the next images will take, at the frequency of the last two.

        It is 0 before the second evaluation.
        """
        if not self._between:
            return 0
        since = pl_module.images_seen - self._evaluated_at
        return (since + images) // self._between * self._evaluation


class Bar(Pace, TQDMProgressBar):
    """A progress bar that says images seen, images a second and the time left of the whole run, not of the epoch.

    `epoch 3/30 [51%] 24,576 images, 1,830 images/s, 1 min 12 s left, val/fid 12.3`. The images are those of all
    processes, from the start of the run; the speed is that of this start's last batches, without evaluations; the time
    left includes them. It is unknown for a run that ends by neither epochs, batches nor time.

    Where the output is no terminal (a log file, a pipe) there is no bar, but a line now and then: after 10 seconds,
    then the rarer the longer the run has lasted, at most 10 minutes apart; and after each evaluation.

    Args:
        refresh_rate: batches between two looks, fewer where they take long. 0 = no bar, and no lines.
    """

    def __init__(self, refresh_rate: int = 1) -> None:
        Pace.__init__(self)
        TQDMProgressBar.__init__(self, refresh_rate)
        self._live = sys.stdout.isatty() or "ipykernel" in sys.modules  # a notebook shows bars, and is no terminal
        self._marks: deque[tuple[float, int]] = deque(maxlen=WINDOW + 1)  # seconds and images at the last refreshes
        self._last = (0, 0, 0)  # epoch and number of the last batch, and its images over all processes
        self._shown = self._began = self._next_line = 0.0  # on the clock, and seconds after that
        self._last_line = ""  # the last line

    @property
    def is_disabled(self) -> bool:
        """Whether no bar is drawn."""
        return not (self.is_enabled and self._live)

    # ------------------------------------------------------------------ the training

    def init_train_tqdm(self) -> Tqdm:
        """Return a bar with all text behind it. The end of a line that is too long is cut off."""
        settings = {"disable": self.is_disabled, "dynamic_ncols": True, "file": sys.stdout}
        return Tqdm(desc="training", bar_format="|{bar:10}| {desc}", **settings)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin the bar."""
        super().on_train_start(trainer, pl_module)
        self._marks.clear()
        self._marks.append((0.0, 0))
        self._last, self._shown = (0, 0, 0), time.monotonic()
        self._begin_lines()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin the epoch, whose length may be another than that of the one before."""
        total = self.total_train_batches
        self.train_progress_bar.total = None if math.isinf(total) else total
        self.train_progress_bar.n = 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar, each `refresh_rate` batches."""
        self._last = (trainer.current_epoch, batch_idx + 1, batch_length(batch) * trainer.world_size)
        if self._is_due(batch_idx + 1, self.total_train_batches):
            assert isinstance(pl_module, GenerativeModule)
            self._marks.append((self.seconds, self.images(pl_module)))
            self._show(trainer, pl_module)

    def _show(self, trainer: L.Trainer, pl_module: L.LightningModule, tell: bool = False) -> None:
        """Show the state of the training, with the newest scores.

        Args:
            trainer: the run's.
            pl_module: its model.
            tell: write it as a line where there is no terminal, whenever the last one was.
        """
        assert isinstance(pl_module, GenerativeModule)
        if not self.is_enabled or not self._last[1]:
            return
        self._shown = time.monotonic()
        scores = self.get_metrics(trainer, pl_module)
        ordered = sorted(scores.items(), key=lambda item: not item[0].startswith("val/"))  # a narrow line cuts the rest
        text = ", ".join([self._state(trainer, pl_module), *(f"{name} {value}" for name, value in ordered)])
        if self._live:
            self.train_progress_bar.n = self._last[1]
            self.train_progress_bar.set_description_str(text)
        else:
            self._tell(text, tell)

    def _state(self, trainer: L.Trainer, pl_module: GenerativeModule) -> str:
        epoch, done, _ = self._last
        endless = trainer.max_epochs in (None, -1)
        if endless and trainer.max_steps != -1:
            steps = trainer.max_steps * trainer.accumulate_grad_batches
            place = f"batch {pl_module.batches_seen:,}/{steps:,} [{pl_module.batches_seen / steps:.0%}]"
        else:
            each = trainer.num_training_batches
            share = "" if math.isinf(each) else f" [{done / each:.0%}]"
            place = f"epoch {epoch + 1}{'' if endless else f'/{trainer.max_epochs}'}{share}"
        (before, images_before), (now, images) = self._marks[0], self._marks[-1]
        speed = (images - images_before) / (now - before) if now > before else 0.0
        left = self._images_left(trainer, pl_module)
        seconds = math.inf
        if speed and not math.isinf(left):
            seconds = left / speed + self.seconds_of_evaluations(pl_module, left)
        for timer in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(timer, Timer) and (remaining := timer.time_remaining()) is not None:
                seconds = min(seconds, remaining)
        text = f"{place} {pl_module.images_seen:,} images, {rounded(speed)} images/s"
        return text if math.isinf(seconds) or not left else f"{text}, {in_words(seconds)} left"

    def _images_left(self, trainer: L.Trainer, pl_module: GenerativeModule) -> float:
        """Images until the run ends by its epochs or batches; infinite where it has no such end."""
        if pl_module.growth is not None:
            return max(0, pl_module.length("image", trainer) - pl_module.images_seen)
        epoch, done, size = self._last
        epochs = steps = math.inf
        if trainer.max_epochs not in (None, -1):
            epochs = (trainer.max_epochs - epoch) * trainer.num_training_batches - done
        if trainer.max_steps != -1:
            steps = (trainer.max_steps - trainer.global_step) * trainer.accumulate_grad_batches
        return max(0, min(epochs, steps)) * size

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the bar as the epoch's last batch has it."""

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show how the training ended."""
        self._show(trainer, pl_module, tell=True)
        super().on_train_end(trainer, pl_module)

    # ------------------------------------------------------------------ evaluations and predictions

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin the bar of an evaluation."""
        super().on_validation_start(trainer, pl_module)
        if trainer.state.fn != TrainerFn.FITTING:
            self._begin_lines()

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Move the bar by each batch, as those of an evaluation are large."""
        if self.is_enabled:
            bar = self.test_progress_bar if trainer.testing else self.val_progress_bar
            self._move(bar, "evaluating", batch_idx + 1)

    on_test_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """End the bar of an evaluation; show the scores behind the training's."""
        super().on_validation_end(trainer, pl_module)
        if trainer.state.fn == TrainerFn.FITTING:
            self._show(trainer, pl_module, tell=True)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin the bar of an evaluation."""
        super().on_test_start(trainer, pl_module)
        self._begin_lines()

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin the bar of a prediction."""
        super().on_predict_start(trainer, pl_module)
        self._begin_lines()

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Move the bar, each `refresh_rate` batches."""
        if self._is_due(batch_idx + 1, self.predict_progress_bar.total):
            self._move(self.predict_progress_bar, "predicting", batch_idx + 1)

    def _is_due(self, done: int, total: float | None) -> bool:
        if not self.is_enabled:
            return False
        return done % self.refresh_rate == 0 or done == total or time.monotonic() - self._shown > SLOW

    def _move(self, bar: Any, doing: str, done: int) -> None:
        bar.n, self._shown = done, time.monotonic()
        bar.refresh()
        if not self._live:
            self._tell(f"{doing}: batch {done:,}" + (f" of {bar.total:,}" if bar.total else ""))

    # ------------------------------------------------------------------ lines

    def _begin_lines(self) -> None:
        self._began, self._next_line = time.monotonic(), SOONEST

    def _tell(self, text: str, now: bool = False) -> None:
        """Write a line, if it is time for one, or `now`; none twice in a row."""
        passed = time.monotonic() - self._began
        if text != self._last_line and (now or passed >= self._next_line):
            self._last_line, self._next_line = text, passed + min(RAREST, max(SOONEST, passed / 10))
            print(text, flush=True)

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Round the scores that are shown behind the bar; leave out a logger's number of the run."""
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        return {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in shown.items()}
