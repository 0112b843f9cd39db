"""`fit --seeds N`: which seeds are trained, by which commands, and what ends it."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.test_training import SMALL
from gan_lightning.cli import children, commands

STUB = Path(__file__).parent / "stub_program.py"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for runs, each of which a stub trains."""
    package = tmp_path / "stub" / "gan_lightning"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").symlink_to(STUB)
    monkeypatch.setattr(children, "_ROOT", str(tmp_path / "stub"))
    monkeypatch.chdir(tmp_path / "stub")  # where `python -m` looks first
    for name in ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "runs"


def fit(root: Path, *flags: str) -> int:
    return commands.main(
        ["fit", *SMALL, f"--trainer.default_root_dir={root}", "--trainer.max_epochs=1", "--seed_everything=4", *flags]
    )


def started(root: Path) -> list[str]:
    return [line.split()[0] for line in (root / "started.txt").read_text().splitlines()]


def test_each_seed_is_a_run_of_its_own_and_the_table_ends_it(root: Path, capsys: Any) -> None:
    config = root.parent / "more.yaml"
    config.write_text("seeds: 3\n")
    assert fit(root, f"--config={config}") == 0
    assert started(root) == ["seed-4", "seed-5", "seed-6"]
    arguments = json.loads((root / "seed-5" / "arguments.json").read_text())
    assert arguments[:2] == ["fit", SMALL[0]]
    assert arguments[-3:] == ["--seeds=1", "--seed_everything=5", f"--trainer.default_root_dir={root}/seed-5"]
    out = capsys.readouterr().out
    assert "runs  3     16      10 ± 1      10 ± 1" in out
    assert out.splitlines()[-1] == f"  gan-lightning compare {root} --out compare.html"
    assert yaml.safe_load((root / "config.yaml").read_text())["seeds"] == 3


def test_finished_seeds_are_left_alone_and_the_others_go_on(root: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("FAILS", "seed-5")
    assert fit(root, "--seeds=3") == 3
    assert "seed 5 failed (exit code 3): the same command with --ckpt_path last goes on" in capsys.readouterr().err
    assert fit(root, "--seeds=3") == 2
    assert f"{root}/seed-4 already holds a run: go on with all seeds by --ckpt_path last" in capsys.readouterr().err
    monkeypatch.delenv("FAILS")
    assert fit(root, "--seeds=3", "--ckpt_path=last") == 0
    assert started(root) == ["seed-4", "seed-5", "seed-5", "seed-6"]
    assert "--ckpt_path=last" in json.loads((root / "seed-6" / "arguments.json").read_text())
    assert fit(root, "--seeds=4", "--ckpt_path=last") == 0
    assert started(root)[4:] == ["seed-7"]
    assert fit(root, "--seeds=1", "--ckpt_path=last", "--trainer.fast_dev_run=true") == 0  # no seeds: a run as any
    assert fit(root, "--seeds=2", "--ckpt_path=last", "--trainer.max_epochs=2") == 0
    assert started(root)[5:] == ["seed-4", "seed-5"]  # prolonged
    assert commands.main(["fit", "--config", str(root), "--ckpt_path=last", "--trainer.max_epochs=3"]) == 0
    assert started(root)[7:] == ["seed-4", "seed-5"]  # the folder of all is their config


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGTERM, 143, "seed 4 was stopped: the same command with --ckpt_path last goes on with it and"),
        (signal.SIGINT, 130, "seed 4 was stopped"),
        (signal.SIGUSR1, 0, ""),
    ],
)
def test_a_signal_reaches_the_child_once_and_no_further_seed_starts(
    number: int, code: int, words: str, root: Path, monkeypatch: Any, capsys: Any
) -> None:
    before = [signal.getsignal(each) for each in children.SIGNALS]
    for name, value in {"WAITS": "seed-4", "PARENT": os.getpid(), "SIGNAL": int(number)}.items():
        monkeypatch.setenv(name, str(value))
    assert fit(root, "--seeds=3") == code
    assert started(root) == ["seed-4"]
    assert json.loads((root / "seed-4" / "heard.json").read_text()) == [number]
    assert words in capsys.readouterr().err
    assert [signal.getsignal(each) for each in children.SIGNALS] == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell no process of its parent's end")
def test_a_child_stops_where_its_parent_is_killed(root: Path) -> None:
    parent = os.fork()
    if not parent:
        os.environ |= {"WAITS": "seed-4", "PARENT": str(os.getpid()), "SIGNAL": str(int(signal.SIGKILL))}
        fit(root, "--seeds=3")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(parent, 0)[1]) == -signal.SIGKILL
    heard, end = root / "seed-4" / "heard.json", time.monotonic() + 20
    while not heard.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert json.loads(heard.read_text()) == [signal.SIGTERM]


@pytest.mark.parametrize(
    ("environment", "seed"),
    [
        ({"ID": "0"}, "seed-4"),
        ({"ID": "2", "MIN": "0"}, "seed-6"),
        ({"ID": "3", "MIN": "2"}, "seed-5"),
        ({"ID": "4", "MIN": "0", "STEP": "2"}, "seed-6"),
        ({"ID": "3", "MIN": "0"}, "task 3 of this SLURM array is number 4, and seeds=3: make the array as long"),
    ],
)
def test_a_task_of_a_slurm_array_trains_its_seed_alone(
    environment: dict[str, str], seed: str, root: Path, monkeypatch: Any, capsys: Any
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    code = fit(root, "--seeds=3")
    if seed.startswith("seed"):
        assert (code, started(root)) == (0, [seed])
    else:
        assert code == 2
        assert seed in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--ckpt_path=a.ckpt"], "seeds=2 starts runs of their own, and --ckpt_path a.ckpt is one checkpoint: give"),
        (["--seed_everything=4294967295"], "seeds=2 counts up from seed_everything=4294967295: make that a number"),
        (
            ["--seed_everything=false"],
            "seeds=2 counts up from seed_everything=False: make that a number below 4294967295",
        ),
    ],
)
def test_settings_of_a_single_run_are_refused(flags: list[str], error: str, root: Path, capsys: Any) -> None:
    assert fit(root, "--seeds=2", *flags) == 2
    assert error in capsys.readouterr().err
    root.mkdir(exist_ok=True)
    (root / "run.json").write_text("{}")
    assert fit(root, "--seeds=2") == 2
    assert "holds a single run (run.json), and the runs of several seeds would mix with it" in capsys.readouterr().err


@pytest.mark.slow
def test_two_seeds_are_trained(tmp_path: Path, capfd: Any) -> None:
    flags = [f"--trainer.default_root_dir={tmp_path}/m", "--trainer.max_epochs=1", "--seeds=2"]
    assert commands.main(["fit", *SMALL, *flags]) == 0
    assert any(line.startswith("m ") and " ± " in line for line in capfd.readouterr().out.splitlines())
    for seed in (0, 1):
        assert (tmp_path / "m" / f"seed-{seed}" / "checkpoints" / "best.ckpt").is_file()
    assert commands.main(["fit", *SMALL, *flags, "--ckpt_path=last"]) == 0
    assert "seed 1: finished before" in capfd.readouterr().err
