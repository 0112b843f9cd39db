"""The last lines of a run, whose commands are typed as they are printed."""

import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from callbacks.test_stopping import Send
from cli.test_training import SMALL
from gan_lightning import __main__ as program
from gan_lightning.callbacks import LastCheckpoint, Stopped
from gan_lightning.cli import training
from gan_lightning.cli.summary import Summary
from toys import ToyData, ToyGAN, trainer


def summary(out: str, begins: str) -> list[str]:
    lines = out.splitlines()
    (start,) = (number for number, line in enumerate(lines) if line.startswith(begins))
    return lines[start:]


def typed(command: str) -> None:
    name, *arguments = shlex.split(command)
    assert name == "gan-lightning"
    assert program.main(arguments) == 0


def test_a_run_ends_with_its_best_its_files_and_commands_that_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--trainer.default_root_dir=my runs/one", "--trainer.max_epochs=2", "--trainer.enable_progress_bar=false"]
    cli = training.main(["fit", *SMALL, *flags])
    assert cli is not None
    first, *files, head, validate, curves = summary(capsys.readouterr().out, "trained on ")
    assert first.startswith("trained on 768 images in ")
    best = float(cli.trainer.checkpoint_callback.best_model_score)
    assert files == [
        f"  best      val/fid {best:.4g}, my runs/one/checkpoints/best.ckpt",
        "  last      my runs/one/checkpoints/last.ckpt",
        "  pictures  my runs/one/samples, the newest images-000000768.png",
        "  numbers   my runs/one/metrics.csv and my runs/one/evaluations.jsonl",
    ]
    assert (head, validate.split()[1], curves.split()[1]) == ("next:", "validate", "plot")
    for command in (validate, curves):
        typed(command)
    assert Path("curves.png").is_file()
    (fid,) = re.findall(r"^  fid +(\S+)$", capsys.readouterr().out, re.MULTILINE)
    assert float(fid) == pytest.approx(best, rel=1e-4)

    training.main(["fit", *SMALL, *flags, "--ckpt_path=last", "--trainer.max_epochs=3"])
    first, *_ = summary(capsys.readouterr().out, "trained on ")
    assert first.startswith("trained on 1,152 images, of which 384 now in ")


@pytest.mark.parametrize(
    ("flags", "commands"),
    [
        (["--trainer.limit_val_batches=0"], []),
        (["--trainer.logger=false", "--evaluation.recipe=null"], []),
        (["--trainer.fast_dev_run=true"], None),
    ],
)
def test_only_commands_that_work_are_printed(
    flags: list[str], commands: list[str] | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training.main(["fit", *SMALL, f"--trainer.default_root_dir={tmp_path}", "--trainer.max_epochs=1", *flags])
    out = capsys.readouterr().out
    if commands is None:
        assert "trained on " not in out
    else:
        lines = summary(out, "trained on ")
        assert [line for line in lines if line.startswith("  gan-lightning")] == commands
        assert "next:" not in lines


@pytest.mark.parametrize("model", [ToyGAN])
def test_a_stopped_run_says_how_to_go_on(model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").touch()
    keeper = LastCheckpoint(dirpath=tmp_path / "checkpoints")
    callbacks = [Send(signal.SIGTERM, "on_train_batch_start", 2), keeper, Summary()]
    with pytest.raises(Stopped):
        trainer(tmp_path, callbacks=callbacks, enable_checkpointing=True).fit(model(), ToyData())
    first, last, head, command = summary(capsys.readouterr().out, "stopped after ")
    assert first.startswith("stopped after training on 24 images in ")
    assert last == f"  last      {tmp_path}/checkpoints/last.ckpt"
    assert (head, command) == ("to go on:", f"  gan-lightning fit --config {tmp_path} --ckpt_path last")
