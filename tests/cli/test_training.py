"""The command line as a user meets it: runs, resumes, refuses."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from gan_lightning import errors
from gan_lightning.callbacks import Evaluation
from gan_lightning.cli.training import _busy_notice, _plainly, main
from gan_lightning.errors import UsageError
from gan_lightning.training.checkpoint_io import AtomicCheckpointIO
from toys import read_png

ROOT = Path(__file__).parents[2]
QUICKSTART = str(ROOT / "configs" / "quickstart.yaml")
SMALL = [
    f"--config={QUICKSTART}",
    "--model.generator.width=4",
    "--model.discriminator.width=4",
    "--data.num_reference=1000",
    "--trainer.accelerator=cpu",
    "--trainer.precision=32-true",
    "--trainer.limit_train_batches=3",
    "--trainer.check_val_every_n_epoch=1",
    "--trainer.log_every_n_steps=1",
]


def fit(folder: Path, *arguments: str) -> Any:
    return main(["fit", *SMALL, f"--trainer.default_root_dir={folder}", *arguments])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_is_a_folder_that_a_second_run_continues(tmp_path: Path) -> None:
    fit(tmp_path, "--trainer.max_epochs=1")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoints",
        "config.yaml",
        "evaluations.jsonl",
        "metrics.csv",
        "run.json",
        "run.lock",
        "samples",
    ]
    grids = sorted((tmp_path / "samples").iterdir())
    assert [grid.name for grid in grids] == ["images-000000000.png", "images-000000384.png"]
    assert read_png(grids[0]).shape == (3, 8 * 34 + 2, 8 * 34 + 2)
    evaluations = [row for row in rows(tmp_path) if row["val/fid"]]
    assert len(evaluations) == 2  # before and after
    assert {"val/inception_score", "val/kid", "val/precision", "val/recall"} <= evaluations[0].keys()

    with pytest.raises(FileExistsError, match="already holds a run"):
        fit(tmp_path, "--trainer.max_epochs=2")
    cli = fit(tmp_path, "--trainer.max_epochs=2", "--ckpt_path=last")
    assert cli.model.batches_seen == 6
    assert [int(row["step"]) for row in rows(tmp_path) if row["loss/generator"]] == [0, 1, 2, 3, 4, 5]


def test_resume_through_the_command_line_is_exact(tmp_path: Path) -> None:
    fit(tmp_path / "whole", "--trainer.max_epochs=2")
    fit(tmp_path / "parts", "--trainer.max_epochs=1")
    fit(tmp_path / "parts", "--trainer.max_epochs=2", "--ckpt_path=last")
    whole, parts = (
        torch.load(tmp_path / run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in ("whole", "parts")
    )
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_run_that_is_prolonged_has_the_logs_of_one_that_was_that_long(tmp_path: Path) -> None:
    """Of the evaluation that ends a run nothing is left once it goes on, since the longer run has none there."""
    rare = ["--trainer.check_val_every_n_epoch=2", "--model.generator_schedule=null"]
    rare += ["--model.discriminator_schedule=null", f"--config={ROOT / 'configs' / 'overlays' / 'tensorboard.yaml'}"]
    fit(tmp_path / "whole", *rare, "--trainer.max_epochs=4")
    fit(tmp_path / "parts", *rare, "--trainer.max_epochs=3")
    fit(tmp_path / "parts", *rare, "--trainer.max_epochs=4", "--ckpt_path=last")
    logs = []
    for name in ("whole", "parts"):
        evaluations = map(json.loads, (tmp_path / name / "evaluations.jsonl").read_text().splitlines())
        board = EventAccumulator(str(tmp_path / name / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
        board.Reload()
        steps = {tag: [event.step for event in board.Scalars(tag)] for tag in board.Tags()["scalars"]}
        steps |= {tag: [event.step for event in board.Images(tag)] for tag in board.Tags()["images"]}
        steps.pop("hp_metric")  # of each start
        logs.append(([line["settings"]["batches_seen"] for line in evaluations], rows(tmp_path / name), steps))
    assert logs[0] == logs[1]
    assert logs[0][0] == [0, 6, 12]


def test_the_evaluation_after_the_last_epoch_counts_for_the_best_checkpoint(tmp_path: Path) -> None:
    fit(tmp_path, "--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=5")
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert best["global_step"] == last["global_step"]


def test_evaluating_predicting_and_the_best_checkpoint(tmp_path: Path) -> None:
    trained = fit(tmp_path, "--trainer.max_epochs=2")
    scores = [float(row["val/fid"]) for row in rows(tmp_path) if row["val/fid"]]
    best = tmp_path / "checkpoints" / "best.ckpt"
    assert float(trained.trainer.checkpoint_callback.best_model_score) == pytest.approx(min(scores[1:]))

    again = main(["validate", *SMALL, f"--trainer.default_root_dir={tmp_path / 'v'}", f"--ckpt_path={best}"])
    assert float(again.trainer.callback_metrics["val/fid"]) == pytest.approx(min(scores[1:]), rel=1e-6)
    tested = main(["test", *SMALL, f"--trainer.default_root_dir={tmp_path / 't'}", f"--ckpt_path={best}"])
    assert float(tested.trainer.callback_metrics["test/fid"]) == pytest.approx(min(scores[1:]), rel=1e-6)

    main(
        [
            "predict",
            *SMALL,
            f"--trainer.default_root_dir={tmp_path / 'p'}",
            f"--ckpt_path={best}",
            "--data.num_reference=20",
            "--return_predictions=false",
            "--trainer.callbacks+=gan_lightning.callbacks.PredictionWriter",
        ]
    )
    written = sorted((tmp_path / "p" / "predictions").iterdir())
    assert [path.name for path in written] == [f"{i:06d}.png" for i in range(20)]


def test_a_checkpoint_is_evaluated_by_a_recipe_with_several_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(tmp_path, "--trainer.max_epochs=1")
    validate = ["validate", *SMALL, f"--trainer.default_root_dir={tmp_path}", "--ckpt_path=last", "--seeds=2"]
    cli = main([*validate, "--recipe=fid+pr1500_train@digits"])
    (evaluation,) = (callback for callback in cli.trainer.callbacks if isinstance(callback, Evaluation))
    first, second = evaluation.reports
    assert (first.num_real, first.num_fake, first.real) == (1500, 1500, "Digits, train split")
    assert (first.seeds, second.seeds) == ([0], [1])
    assert first.values.keys() == {"fid", "precision", "recall"}
    assert first.values["fid"] != second.values["fid"]
    assert first.fake.endswith("last.ckpt")
    said = capsys.readouterr().out
    assert "fid+pr1500_train@digits: 1,500 images of" in said
    assert "±" in said
    lines = (tmp_path / "evaluations.jsonl").read_text().splitlines()
    assert len(lines) == 4  # before and after the epoch, and one for each seed


def test_a_recipe_that_is_not_there_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no recipe is named 'fit50k'"):
        fit(tmp_path, "--recipe=fit50k")


def test_evaluation_by_images(tmp_path: Path) -> None:
    cli = fit(tmp_path, "--evaluate_every_images=256", "--trainer.max_epochs=2", "--validate_before_fit=false")
    assert cli.trainer.val_check_interval == 2
    assert sum(bool(row["val/fid"]) for row in rows(tmp_path)) == 3


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--model.generator.wdith=4", "wdith"),
        ("--model.generator=gan_lightning.networks.DCGenerator", "DCGenerator"),
        ("--model.loss=gan_lightning.losses.gradient_penalty", "gradient_penalty"),
        ("--data.batch_size=many", "many"),
        ("--data=torch.nn.Linear", "torch.nn.Linear"),
        ("--trainer.precison=16-mixed", "precison"),
    ],
)
def test_misspelt_keys_wrong_classes_and_types_are_named(argument: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        fit(tmp_path, argument)


def test_a_misspelt_key_in_a_file_is_named(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("model:\n  init_args:\n    ema_halflife: 100\n")
    said = rf"DCGAN has no argument 'ema_halflife'; did you mean ema_half_life\? \({overlay}, line 3\)"
    with pytest.raises(UsageError, match=said):
        fit(tmp_path, f"--config={overlay}")


def test_a_part_of_a_part_is_set_to_null(capsys: pytest.CaptureFixture[str]) -> None:
    ends = ["--model.generator_schedule.end=7", "--model.generator_schedule.end=null"]
    with pytest.raises(SystemExit):
        main(["fit", *SMALL, *ends, "--print_config"])
    model = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]
    assert model["generator_schedule"]["init_args"]["end"] is None


def test_missing_inception_weights_are_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GAN_LIGHTNING_INCEPTION", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "overlay.yaml").write_text("evaluation: {recipe: null, extractor: gan_lightning.metrics.InceptionV3}\n")
    with pytest.raises(FileNotFoundError, match="GAN_LIGHTNING_INCEPTION"):
        fit(tmp_path / "run", f"--config={tmp_path / 'overlay.yaml'}")


def test_mismatched_sizes_are_named_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"makes images of 1x64x64 .* serve 1x32x32: set image_size"):
        fit(tmp_path, "--model.generator.image_size=64")
    assert not (tmp_path / "checkpoints").exists()


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        str(ROOT / "train.py"),
        "fit",
        *SMALL,
        f"--trainer.default_root_dir={folder}",
        *arguments,
    ]
    return subprocess.Popen(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    import time

    for _ in range(1200):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    raise AssertionError(f"{path} did not appear")


def test_a_warned_cluster_job_saves_requeues_and_goes_on(tmp_path: Path) -> None:
    """With a stand-in for SLURM's scontrol on the path."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "scontrol").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    (tools / "scontrol").chmod(0o755)
    job = {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "SLURM_JOB_ID": "17",
        "SLURM_JOB_NAME": "gan",
        "SLURM_NTASKS": "1",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
    }
    overlay = ROOT / "configs" / "overlays" / "slurm.yaml"
    forever = [f"--config={overlay}", "--trainer.devices=1", "--trainer.max_epochs=100000", "--ckpt_path=last"]
    forever += ["--trainer.limit_train_batches=null", "--trainer.check_val_every_n_epoch=100000"]
    process = start(tmp_path / "run", *forever, **job)
    metrics = tmp_path / "run" / "metrics.csv"
    wait_for(metrics, process)
    while "loss/generator" not in metrics.read_text() and process.poll() is None:  # the evaluation before it is there
        time.sleep(0.1)
    process.send_signal(signal.SIGUSR1)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert (tmp_path / "asked").read_text() == "requeue 17\n"
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    batches = saved["gan_lightning"]["batches_seen"]
    steps = [float(state["state"][0]["step"]) for state in saved["optimizer_states"]]
    assert steps == [batches, batches]  # both players' turns are over

    cli = fit(tmp_path / "run", "--ckpt_path=last", f"--trainer.max_steps={batches + 2}", "--trainer.max_epochs=-1")
    assert cli.model.batches_seen == batches + 2


def test_a_killed_run_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    save_often = (
        "--trainer.callbacks+={class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: "
        "{filename: often, every_n_train_steps: 1, enable_version_counter: false}}"
    )
    process = start(tmp_path, save_often, "--trainer.max_epochs=100000", "--validate_before_fit=false")
    wait_for(tmp_path / "checkpoints" / "often.ckpt", process)
    process.kill()
    process.communicate()
    torch.load(tmp_path / "checkpoints" / "often.ckpt", weights_only=True)


class Touch:
    """What a malicious pickle looks like."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "evil": Touch(tmp_path / "pwned")}, tmp_path / "evil.ckpt")
    for command in ("fit", "validate", "test", "predict"):
        with pytest.raises(Exception, match="neither data nor a tensor"):
            main([command, *SMALL, f"--trainer.default_root_dir={tmp_path}", f"--ckpt_path={tmp_path / 'evil.ckpt'}"])
    assert not (tmp_path / "pwned").exists()


def test_checkpoints_are_data_wherever_they_come_from(tmp_path: Path) -> None:
    cli = fit(tmp_path, "--trainer.fast_dev_run=1")
    assert cli.config["fit"]["weights_only"] is True
    assert isinstance(cli.trainer.strategy.checkpoint_io, AtomicCheckpointIO)


def test_last_starts_anew_where_there_is_none(tmp_path: Path) -> None:
    fit(tmp_path, "--trainer.max_epochs=1", "--ckpt_path=last")
    assert len([row for row in rows(tmp_path) if row["val/fid"]]) == 2  # before and after, as in any new run


def test_a_warning_of_ours_is_a_sentence_without_its_place() -> None:
    for file in (errors.__file__, "/elsewhere/other.py"):
        shown = _plainly(UserWarning("something is left out"), UserWarning, file, 7)
        assert shown.startswith("warning: something is left out\n") == (file == errors.__file__)
        assert ("py:7" in shown) == (file != errors.__file__)


def test_another_checkpoint_or_stop_goes_with_the_standard_ones(tmp_path: Path) -> None:
    own = "gan_lightning.callbacks.ModelCheckpoint"
    each = f"{{class_path: {own}, init_args: {{filename: each, every_n_epochs: 1}}}}"
    fit(tmp_path / "a", "--trainer.max_epochs=1", f"--trainer.callbacks+={each}")
    assert {"best.ckpt", "each.ckpt", "last.ckpt"} == {file.name for file in (tmp_path / "a/checkpoints").iterdir()}
    stop = "{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: val/fid}}"
    with pytest.raises(ValueError, match="EarlyStopping monitors val/fid, which the evaluation does not measure"):
        fit(tmp_path / "b", "--recipe=kid_all100@digits", f"--trainer.callbacks+={stop}")


@pytest.mark.parametrize(("threads", "load", "told"), [(2, 2.6, True), (1, 2.6, False), (2, 0.9, False)])
def test_a_busy_machine_is_told_of_where_threads_would_crawl(
    threads: int, load: float, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    notice = _busy_notice()
    assert ("2 cores busy (load 2.6)" in notice and "OMP_NUM_THREADS=1" in notice) == told
    assert bool(notice) == told


def test_a_callback_whose_default_is_a_member_of_an_enumeration_is_written_into_the_config(
    capsys: pytest.CaptureFixture[str],
) -> None:
    timer = "--trainer.callbacks+=lightning.pytorch.callbacks.Timer"
    with pytest.raises(SystemExit):
        main(["fit", "--config", "quickstart", timer, "--print_config"])
    written = yaml.safe_load(capsys.readouterr().out)["trainer"]["callbacks"]
    assert written[-1]["init_args"] == {"duration": None, "interval": "step", "verbose": True}
