"""The progress of a run as it is told: images, images a second, and the time left of the whole run."""

import io
import os
import sys
from pathlib import Path
from typing import Any

import lightning as L
import pytest

from datamodules import Digits
from gan_lightning.callbacks import Bar
from gan_lightning.callbacks.progress import in_words, rounded
from gan_lightning.data.growth import Growth
from growing import GROWTH, GrowingGAN
from models.test_vae import vae, vae_batch
from tiny import Batches
from toys import ToyData, ToyGAN, trainer

BATCH, EVALUATION = 10.0, 3.0  # seconds of a training batch, and of each batch of an evaluation


class Clock(L.Callback):
    """Time passes with batches alone."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr("gan_lightning.callbacks.progress.time.monotonic", lambda: self.now)

    def on_train_batch_start(self, *_: Any) -> None:
        self.now += BATCH

    def on_validation_batch_start(self, *_: Any) -> None:
        self.now += EVALUATION


@pytest.mark.parametrize(
    ("settings", "second", "last"),
    [
        # 4 batches of 8 images an epoch, each followed by an evaluation of 12 seconds
        (
            {"max_epochs": 2},
            "epoch 1/2 [50%] 16 images, 0.8 images/s, 1 min left",
            "epoch 2/2 [100%] 64 images, 0.8 images/s",
        ),
        (
            {"max_epochs": 2, "accumulate": 2},
            "epoch 1/2 [50%] 16 images, 0.8 images/s, 1 min left",
            "epoch 2/2 [100%] 64 images, 0.8 images/s",
        ),
        (
            {"max_steps": 6},
            "batch 2/6 [33%] 16 images, 0.8 images/s, 40 s left",
            "batch 6/6 [100%] 48 images, 0.8 images/s",
        ),
        (
            {"max_epochs": -1, "stop": 5},
            "epoch 1 [50%] 16 images, 0.8 images/s",
            "epoch 2 [25%] 40 images, 0.8 images/s",
        ),
        (
            {"max_epochs": -1, "stop": 3, "max_time": {"hours": 2}},
            "epoch 1 [50%] 16 images, 0.8 images/s, 2 h left",
            "epoch 1 [75%] 24 images, 0.8 images/s, 1 h 59 min left",
        ),
        (
            {"max_epochs": 3, "resumed": 1},  # from the first epoch on; its first evaluation is not known
            "epoch 2/3 [50%] 48 images, 0.8 images/s, 1 min left",
            "epoch 3/3 [100%] 96 images, 0.8 images/s",
        ),
        ({"max_epochs": 2, "enable_progress_bar": False}, None, None),
    ],
)
def test_what_is_told_of_a_run(
    settings: dict[str, Any], second: str, last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    settings = {"enable_progress_bar": True, **settings}
    parts, stop, resumed = (settings.pop(name, None) for name in ("accumulate", "stop", "resumed"))
    path = tmp_path / "last.ckpt"
    if resumed:
        before = trainer(tmp_path, max_epochs=resumed)
        before.fit(ToyGAN(), ToyData())
        before.save_checkpoint(path)
    model = ToyGAN(**{"accumulate": parts} if parts else {})

    class Stop(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            trainer.should_stop = model.batches_seen == stop

    callbacks = [Clock(monkeypatch), Stop(), *([Bar()] if settings["enable_progress_bar"] else [])]
    capsys.readouterr()
    trainer(tmp_path, callbacks=callbacks, **settings).fit(model, ToyData(), ckpt_path=path if resumed else None)
    lines = [line for line in capsys.readouterr().out.splitlines() if " images/s" in line]
    lines = [line.partition(", loss/")[0] for line in lines]
    if second is None:
        assert not lines
    else:
        assert (lines[1], lines[-1]) == (second, last)


def test_evaluations_count_for_the_time_left_and_not_for_the_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    callbacks = [Clock(monkeypatch), Bar()]
    trainer(tmp_path, callbacks=callbacks, enable_progress_bar=True, max_epochs=3).fit(ToyGAN(), ToyData())
    lines = [line.partition(", loss/")[0] for line in capsys.readouterr().out.splitlines() if " images/s" in line]
    # of the two epochs left, each takes 40 seconds and an evaluation of 12
    assert "epoch 1/3 [100%] 32 images, 0.8 images/s, 1 min 44 s left" in lines
    assert "epoch 2/3 [25%] 40 images, 0.8 images/s, 1 min 34 s left" in lines


def test_the_time_left_of_a_model_that_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    model = GrowingGAN(Growth(**GROWTH))
    digits = Digits(image_size=16, batch_size=8)
    settings = {"max_steps": 12, "limit_val_batches": 0, "log_every_n_steps": 100}
    callbacks = [Clock(monkeypatch), Bar()]
    trainer(tmp_path, callbacks=callbacks, enable_progress_bar=True, **settings).fit(model, digits)
    lines = [line for line in capsys.readouterr().out.splitlines() if " images/s" in line]
    whole = model.images_seen
    # the first batch has 6 images, and takes 10 seconds: the others, of fewer images, are thought to be as fast
    assert lines[0] == f"batch 1/12 [8%] 6 images, 0.6 images/s, {in_words((whole - 6) / 0.6)} left"
    assert lines[-1].startswith(f"batch 12/12 [100%] {whole} images, ")


def test_batches_whose_gradients_are_accumulated_count_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    settings = {"max_steps": 3, "accumulate_grad_batches": 2, "limit_val_batches": 0, "enable_progress_bar": True}
    data = Batches([vae_batch() for _ in range(4)])
    trainer(tmp_path, callbacks=[Clock(monkeypatch), Bar()], **settings).fit(vae(), data)
    lines = [line.partition(" left")[0] for line in capsys.readouterr().out.splitlines() if " images/s" in line]
    size = len(vae_batch().images)
    assert lines[1] == f"batch 2/6 [33%] {2 * size} images, {rounded(size / BATCH)} images/s, 40 s"
    assert lines[-1].startswith(f"batch 6/6 [100%] {6 * size} images")


def test_a_terminal_gets_a_bar_and_a_log_file_a_line_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = {}
    for live in (True, False):
        out = io.StringIO()
        out.isatty, out.fileno = lambda live=live: live, lambda: 1  # type: ignore[misc]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr("os.get_terminal_size", lambda _: os.terminal_size((60, 20)))
            settings = {"callbacks": [Bar(), Clock(patch)], "enable_progress_bar": True, "max_epochs": 30}
            trainer(tmp_path, limit_val_batches=0, **settings).fit(ToyGAN(), ToyData())
        written[live] = out.getvalue()
    bars = written[True].rstrip("\n").split("\r")
    assert len(bars) > 120
    assert bars[-1].startswith("|##########| epoch 30/30 [100%] 960 images, 0.8")
    assert max(map(len, bars)) <= 60
    lines = written[False].splitlines()
    assert "\r" not in written[False]
    assert len(lines) < 40  # of 120 batches in 20 minutes
    assert lines[0].startswith("epoch 1/30 [25%] 8 images")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.4, "0 s"), (59.6, "1 min"), (72, "1 min 12 s"), (3600, "1 h"), (7170, "2 h"), (90061, "1 d 1 h")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_speeds_have_three_digits() -> None:
    assert [rounded(each) for each in (0.05, 7.316, 73.16, 1830.4)] == ["0.05", "7.32", "73.2", "1,830"]
