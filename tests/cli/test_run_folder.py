"""A run's folder belongs to one run and one process, and tells how the run was started."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from gan_lightning.cli import training
from gan_lightning.cli.run_folder import RunFolder, describe_device
from gan_lightning.cli.training import main

QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.yaml"


@contextmanager
def another_process(folder: Path) -> Iterator[int]:
    """A process that holds a run's folder; its id."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with RunFolder(folder).claimed(None):
            os.write(writing, b"!")
            signal.pause()
    os.read(reading, 1)
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def test_a_second_process_is_refused_as_long_as_the_first_lives(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with another_process(tmp_path) as other:
        for resumed in None, "last":
            with (
                pytest.raises(BlockingIOError, match=rf"process {other} on \S+ started at 20.*default_root_dir"),
                folder.claimed(resumed),
            ):
                pass
    with pytest.raises(FileExistsError, match=r"no last checkpoint \(run.json\): start it again with --ckpt_path last"):
        folder.claimed(None).__enter__()
    with folder.claimed("last"):  # killed: the lock is gone with it
        pass
    assert len(json.loads((tmp_path / "run.json").read_text())["starts"]) == 2


@pytest.mark.parametrize("left", ["run.json", "config.yaml", "metrics.csv", "checkpoints/best.ckpt"])
def test_a_new_run_is_refused_where_another_has_left_anything(left: str, tmp_path: Path) -> None:
    (tmp_path / left).parent.mkdir(exist_ok=True)
    (tmp_path / left).write_text("{}")
    with pytest.raises(FileExistsError, match=f"already holds a run that came to no last checkpoint .*{left}"):
        RunFolder(tmp_path).claimed(None).__enter__()


def test_evaluations_and_predictions_are_no_run(tmp_path: Path) -> None:
    (tmp_path / "evaluations.jsonl").write_text("{}\n")
    (tmp_path / "predictions").mkdir()
    folder = RunFolder(tmp_path)
    with folder.claimed(None):
        (tmp_path / "metrics.csv").touch()
    folder.forget()
    assert {path.name for path in tmp_path.iterdir()} == {"evaluations.jsonl", "predictions", "run.lock"}


def test_a_checkpoint_of_another_run_is_refused_where_a_run_is(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "one").claimed(None):
        pass
    with pytest.raises(FileExistsError, match=r"holds a run .*the checkpoint .*other\.ckpt is not in it"):
        RunFolder(tmp_path / "one").claimed(str(tmp_path / "other.ckpt")).__enter__()
    with RunFolder(tmp_path / "two").claimed(str(tmp_path / "other.ckpt")):
        pass
    with RunFolder(tmp_path / "one").claimed(str(tmp_path / "one" / "checkpoints" / "best.ckpt")):
        pass


def test_what_a_start_without_a_checkpoint_has_logged_goes_when_the_run_starts_anew(tmp_path: Path) -> None:
    with RunFolder(tmp_path).claimed(None):
        (tmp_path / "metrics.csv").write_text("step\n0\n")
    with RunFolder(tmp_path).claimed("last"):
        assert not (tmp_path / "metrics.csv").exists()
        RunFolder(tmp_path).checkpoint().parent.mkdir()
        RunFolder(tmp_path).checkpoint().touch()
        (tmp_path / "metrics.csv").write_text("step\n0\n")
    with RunFolder(tmp_path).claimed("last"):
        assert (tmp_path / "metrics.csv").exists()


def test_configs_of_earlier_starts_are_kept(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for text in "a", "b", "b", "c":
        folder.save_config(text)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "config-1.yaml": "a",
        "config-2.yaml": "b",
        "config.yaml": "c",
    }


def test_the_record_says_on_what_a_run_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "fit", "--config", "a b.yaml"])
    folder = RunFolder(tmp_path)
    with folder.claimed(None):
        folder.note(precision="32-true", **describe_device(torch.device("cpu")))
    (start,) = json.loads((tmp_path / "run.json").read_text())["starts"]
    assert start["command"] == "train.py fit --config 'a b.yaml'"
    assert start["pid"] == os.getpid()
    assert start["versions"]["torch"] == torch.__version__
    assert start["precision"] == "32-true"
    assert start["cpu"]
    assert ("avx2" in start["units"]) == bool(torch.cpu.get_capabilities().get("avx2"))


def test_another_arithmetic_than_that_of_the_start_before_is_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.changed(threads=1) == []
    for facts in ({"threads": 4, "units": ["avx2", "amx"]}, {"threads": 2, "units": ["avx2"]}):
        with folder.claimed("last"):
            folder.note(**facts)
    assert folder.changed(threads=2, units=["avx2"], precision="32-true") == [
        "threads 2 instead of 4",
        "units avx2 instead of avx2+amx",
    ]
    assert folder.changed(threads=4) == []


def test_a_damaged_record_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with RunFolder(tmp_path).claimed("last"):
        pass
    assert len(json.loads((tmp_path / "run.json").read_text())["starts"]) == 1


# ---------------------------------------------------------------------- through the command line


def run(command: str, *arguments: str, config: Path = QUICKSTART) -> Any:
    return main([command, f"--config={config}", *arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two batches."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    start = [f"--trainer.default_root_dir={folder}", "--trainer.max_epochs=1", "--trainer.limit_train_batches=2"]
    start += ["--model.generator.width=4", "--model.discriminator.width=4", "--data.num_reference=20"]
    run(
        "fit",
        *start,
        "--recipe=fidfull_test@digits",
        "--trainer.check_val_every_n_epoch=1",
        "--validate_before_fit=false",
    )
    return folder


def test_only_fit_writes_the_config_and_a_run_goes_on_by_its_folder(trained: Path, tmp_path: Path) -> None:
    before = (trained / "config.yaml").read_text()
    run("validate", "--ckpt_path=last", config=trained)
    run("test", "--ckpt_path=best", config=trained)
    run("predict", "--ckpt_path=last", "--return_predictions=false", config=trained / "config.yaml")
    assert (trained / "config.yaml").read_text() == before
    cli = run("fit", "--ckpt_path=last", "--trainer.max_epochs=2", config=trained)
    assert cli.model.batches_seen == 4
    assert (trained / "config-1.yaml").read_text() == before
    assert yaml.safe_load((trained / "config.yaml").read_text())["trainer"]["max_epochs"] == 2
    newest = json.loads((trained / "run.json").read_text())["starts"][-1]
    assert newest["precision"] == cli.trainer.precision


def test_a_run_that_goes_on_with_other_threads_says_that_it_does_not_end_exactly_alike(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(training, "rank_zero_info", said.append)
    shutil.copytree(trained, tmp_path / "run")
    record = tmp_path / "run" / "run.json"
    record.write_text(record.read_text().replace(f'"threads": {torch.get_num_threads()}', '"threads": 99'))
    run("fit", "--ckpt_path=last", "--trainer.max_epochs=4", config=tmp_path / "run")
    expected = f"goes on with threads {torch.get_num_threads()} instead of 99: sums differ in their last digits"
    assert sum(expected in line for line in said) == 1
    said.clear()
    run("fit", "--ckpt_path=last", "--trainer.max_epochs=5", config=tmp_path / "run")
    assert not any("goes on with" in line for line in said)


def test_a_moved_run_goes_on_where_it_is(trained: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in "config.yaml", "checkpoints":
        (moved / name).symlink_to(trained / name)
    cli = main(["validate", "--config", str(moved), "--ckpt_path", "last"])
    assert Path(cli.trainer.default_root_dir) == moved
    assert (moved / "evaluations.jsonl").exists()
    with pytest.raises(FileNotFoundError, match=r"holds no config.yaml: name a YAML file, or the folder of a run"):
        main(["validate", "--config", str(tmp_path), "--ckpt_path", "last"])


@pytest.mark.parametrize(
    ("command", "checkpoint", "error", "said"),
    [
        ("test", [], ValueError, "test needs --ckpt_path: .*`none` to take the model as the config makes it"),
        ("predict", [], ValueError, "predict needs --ckpt_path"),
        ("validate", ["--ckpt_path=last"], FileNotFoundError, "there is no checkpoint .*last.ckpt: train the model"),
    ],
)
def test_untrained_weights_are_not_evaluated_unasked(
    command: str, checkpoint: list[str], error: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        run(command, f"--trainer.default_root_dir={tmp_path}", *checkpoint)


def test_a_model_as_its_config_makes_it_can_be_evaluated_as_a_baseline(tmp_path: Path) -> None:
    small = ["--model.generator.width=4", "--data.num_reference=20", "--recipe=fidfull_test@digits"]
    run("validate", *small, "--ckpt_path=none", f"--trainer.default_root_dir={tmp_path}")
    (line,) = (tmp_path / "evaluations.jsonl").read_text().splitlines()
    assert json.loads(line)["fake"] == "DCGAN"


def test_numbers_that_cannot_be_written_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in the folder of somebody else's run."""
    (tmp_path / "evaluations.jsonl").mkdir()
    small = ["--model.generator.width=4", "--data.num_reference=20", "--recipe=fidfull_test@digits"]
    with pytest.warns(UserWarning, match=r"the numbers are shown only, since .*evaluations\.jsonl cannot be written"):
        run("validate", *small, "--ckpt_path=none", f"--trainer.default_root_dir={tmp_path}")
    assert "fid" in capsys.readouterr().out


def test_a_run_that_fails_before_its_first_batch_leaves_its_folder_free(tmp_path: Path) -> None:
    folder = f"--trainer.default_root_dir={tmp_path}"
    with pytest.raises(ValueError, match="64x64"):
        run("fit", folder, "--model.generator.image_size=64", "--validate_before_fit=false")
    assert not RunFolder(tmp_path).signs()
    with another_process(tmp_path), pytest.raises(BlockingIOError, match="is in use by a run"):
        run("fit", folder)


@pytest.mark.parametrize("content", [b"", b"text"])
def test_a_resume_that_fails_before_its_first_batch_leaves_the_run_as_it_was(content: bytes, trained: Path) -> None:
    broken = trained / "checkpoints" / "broken.ckpt"
    broken.write_bytes(content)
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=r"broken\.ckpt is "):
        run("fit", f"--ckpt_path={broken}", "--trainer.max_epochs=9", config=trained)
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before
    broken.unlink()
