"""Signals to a run: their handlers over time, and the messages, files and errors of a run that is asked to stop."""

import os
import signal
from pathlib import Path
from typing import Any

import lightning as L
import pytest

from gan_lightning.callbacks import LastCheckpoint, StopOnSignal, Stopped
from models.test_dcgan import dcgan
from models.test_vae import vae, vae_batch
from tiny import Batches, data_for
from toys import ToyData, ToyGAN, trainer

HANDLERS = (signal.SIGTERM, signal.SIGINT)


class Send(L.Callback):
    """Sends this process a signal in a hook."""

    def __init__(self, number: int, hook: str, batch: int) -> None:
        self.number, self.batch = number, batch
        setattr(self, hook, self._send)

    def _send(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        if pl_module.batches_seen == self.batch:
            os.kill(os.getpid(), self.number)


@pytest.fixture(autouse=True)
def _handlers_are_put_back() -> Any:
    before = [signal.getsignal(number) for number in HANDLERS]
    yield
    assert [signal.getsignal(number) for number in HANDLERS] == before


@pytest.mark.parametrize(
    ("number", "hook", "batch", "seen", "said"),
    [
        (signal.SIGTERM, "on_fit_start", 0, 0, "stopped by SIGTERM before any batch: nothing is saved, and the same"),
        (signal.SIGTERM, "on_train_batch_start", 2, 3, "stopped by SIGTERM after batch 3 (epoch 1): "),
        (signal.SIGINT, "on_train_batch_end", 4, 4, "stopped by SIGINT after batch 4 (epoch 1): "),
        (signal.SIGINT, "on_validation_start", 4, 4, "stopped by SIGINT after batch 4 (epoch 1): "),
    ],
)
def test_a_run_ends_after_its_batch_and_says_where_it_stands(
    number: int, hook: str, batch: int, seen: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ToyGAN()
    callbacks = [Send(number, hook, batch), LastCheckpoint(dirpath=tmp_path)]
    with pytest.raises(Stopped) as stopped:
        trainer(tmp_path, enable_checkpointing=True, max_epochs=2, callbacks=callbacks).fit(model, ToyData(batches=4))
    assert stopped.value.code == 128 + number
    assert model.batches_seen == seen
    path = tmp_path / "last.ckpt"
    assert path.exists() == bool(seen)
    output = capsys.readouterr().err
    assert said in output
    if seen:
        assert f"{path} is saved, and the same command with --ckpt_path last goes on from there" in output


def test_parts_of_one_step_are_not_torn_apart(tmp_path: Path) -> None:
    model = vae()
    callbacks = [Send(signal.SIGTERM, "on_train_batch_start", 2), LastCheckpoint(dirpath=tmp_path)]
    settings: dict[str, Any] = {"accumulate_grad_batches": 2, "enable_checkpointing": True, "limit_val_batches": 0}
    with pytest.raises(Stopped):
        trainer(tmp_path, callbacks=callbacks, max_epochs=1, **settings).fit(model, Batches([vae_batch()] * 8))
    assert model.batches_seen == 4


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_an_evaluation_ends_before_its_next_batch(command: str, tmp_path: Path) -> None:
    seen = []

    class Count(L.Callback):
        def on_validation_batch_end(self, *_: Any) -> None:
            seen.append(1)
            os.kill(os.getpid(), signal.SIGTERM)

        on_test_batch_end = on_predict_batch_end = on_validation_batch_end

    model = dcgan()
    with pytest.raises(Stopped) as stopped:
        getattr(trainer(tmp_path, callbacks=[Count(), StopOnSignal()]), command)(model, data_for(model, batches=4))
    assert stopped.value.code == 128 + signal.SIGTERM
    assert len(seen) == 1


def test_nobody_is_asked_more_often_than_each_interval() -> None:
    with pytest.raises(ValueError, match="check_every counts batches from 1, not 0"):
        StopOnSignal(check_every=0)
    for minutes in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="every_minutes"):
            LastCheckpoint(every_minutes=minutes)
