"""`gan-lightning sweep`: what is tried, what is kept, and what is said of it."""

import json
import math
import os
import random
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from cli.test_seeds import root, started  # noqa: F401 (a fixture)
from cli.test_training import SMALL
from gan_lightning.cli import children, commands, configs
from gan_lightning.cli.space import as_flag, read_space

LR = "model.generator_optimizer.init_args.lr"
SPACE: dict[str, Any] = {
    "method": "grid",
    "metric": {"name": "val/fid", "goal": "minimize"},
    "parameters": {LR: {"values": [3, 1, 2]}, "data.batch_size": {"value": 64}},
}


class Drawn:
    """A trial of optuna that draws anew each time."""

    def __init__(self) -> None:
        self.random = random.Random(0)

    def suggest_float(self, name: str, low: float, high: float, log: bool = False) -> float:
        if log:
            return math.exp(self.random.uniform(math.log(low), math.log(high)))
        return self.random.uniform(low, high)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        return self.random.choice(choices)


def space_with(folder: Path, **settings: Any) -> Path:
    path = folder / "space.yaml"
    path.write_text(yaml.safe_dump({**SPACE, **settings}))
    return path


@pytest.mark.parametrize(
    ("settings", "low", "median", "high"),
    [
        ({"min": 1, "max": 5}, 1, 3, 5),
        ({"min": 1.0, "max": 5}, 1, 3, 5),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}, 0, 0.5, 1),
        ({"distribution": "log_uniform_values", "min": "1e-4", "max": 1e-2}, 1e-4, 1e-3, 1e-2),
        ({"distribution": "q_log_uniform_values", "min": 10, "max": 1000, "q": 10}, 10, 100, 1000),
        ({"distribution": "log_uniform", "min": -2, "max": 2}, math.exp(-2), 1, math.exp(2)),
        ({"distribution": "inv_log_uniform", "min": 1, "max": 3}, math.exp(-3), math.exp(-2), math.exp(-1)),
        ({"distribution": "normal", "mu": 3, "sigma": 2}, -30, 3, 30),
        ({"distribution": "log_normal", "mu": 0, "sigma": 1}, 0, 1, 1000),
    ],
)
def test_distributions(settings: dict[str, Any], low: float, median: float, high: float, tmp_path: Path) -> None:
    (parameter,) = read_space(space_with(tmp_path, method="random", parameters={LR: settings})).parameters
    trial = Drawn()
    values = sorted(parameter.choose(trial) for _ in range(2001))
    assert low * (1 - 1e-5) <= values[0] <= values[-1] <= high * (1 + 1e-5)
    assert values[1000] == pytest.approx(median, rel=0.2)
    if parameter.values is not None:
        assert set(values) == set(parameter.values)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"method": "best"}, "method is 'best': make it one of bayes, random, grid"),
        ({"metric": "fid"}, "metric needs a name, such as"),
        ({"metric": {"name": "val/precision"}}, "high values of val/precision are good: add goal: maximize"),
        ({"metric": {"name": "fid", "goal": "min"}}, "metric.goal is 'min': make it minimize or maximize"),
        ({"parameter": {}}, "there is no key 'parameter' in a sweep"),
        ({"parameters": {}}, "is no sweep: it needs the keys method, metric and parameters"),
        ({"parameters": {LR: 3}}, f"parameters.{LR}: it is 3: give value, values, or min and max"),
        ({"parameters": {LR: {"min": 3}}}, "max is None: make it a number"),
        ({"parameters": {LR: {"min": 3, "max": 1}}}, "min is 3, above max, 1"),
        ({"parameters": {LR: {"min": 0, "max": 1, "distribution": "beta"}}}, "there is no distribution 'beta'"),
        (
            {"parameters": {LR: {"min": 0, "max": 1, "distribution": "log_uniform_values"}}},
            "a logarithm needs it above",
        ),
        ({"parameters": {LR: {"parameters": {}}}}, "parameters within parameters are not read"),
        ({"parameters": {LR: {"min": 0.0, "max": 1.0}}}, "method: grid needs parameters that can be counted"),
        ({"early_terminate": {"type": "median"}}, "make its type hyperband, with min_iter and eta"),
        ({"method": "random"}, "method: random goes on for as long as it is let: say how long, by --trials 20"),
    ],
)
def test_mistakes_in_a_space_are_one_sentence(settings: dict[str, Any], error: str, root: Path, capsys: Any) -> None:  # noqa: F811
    assert sweep(root, **settings) == 2
    assert error in capsys.readouterr().err


def sweep(root: Path, *flags: str, **settings: Any) -> int:  # noqa: F811
    path = space_with(root.parent, **settings)
    own = ["--seed_everything=4", "--config", "quickstart", "--trainer.default_root_dir", str(root)]
    return commands.main(["sweep", *own, str(path), *flags])


def test_a_grid_is_tried_and_the_best_settings_are_said(root: Path, monkeypatch: Any, capsys: Any) -> None:  # noqa: F811
    monkeypatch.setenv("DIVERGES", "trial-2")
    assert sweep(root) == 0
    arguments = json.loads((root / "trial-1" / "arguments.json").read_text())
    assert arguments == [
        *("fit", "--seed_everything=4", "--config", "quickstart", "--data.batch_size=64"),
        *(f"--{LR}=1", "--ckpt_path=last", f"--trainer.default_root_dir={root}/trial-1"),
    ]
    told = capsys.readouterr()
    assert f"trial 0: --{LR}=3" in told.err
    assert "trial 0: best val/fid 27" in told.err
    assert "trial 1: best val/fid 9" in told.err
    lines = told.out.splitlines()
    assert [line.split() for line in lines if line.startswith("trial-")][:3] == [
        ["trial-0", "1", "16", "27", "27"],
        ["trial-1", "1", "16", "9", "9"],
        ["trial-2", "1", "16", "99", "nan"],
    ]
    assert f"best: trial 1, val/fid 9, in {root}/trial-1" in lines
    assert lines[-1] == f"  gan-lightning fit --seed_everything=4 --config quickstart --data.batch_size=64 --{LR}=1"
    assert commands.main([*shlex.split(lines[-1])[1:], "--print_config"]) == 0


def test_a_sweep_that_was_stopped_goes_on(root: Path, monkeypatch: Any, capsys: Any) -> None:  # noqa: F811
    random_space = {"method": "bayes", "parameters": {LR: {"min": 0.5, "max": 2.0}}}
    for name, value in {"WAITS": "trial-1", "PARENT": os.getpid(), "SIGNAL": int(signal.SIGTERM)}.items():
        monkeypatch.setenv(name, str(value))
    assert sweep(root, "--trials=3", **random_space) == 143
    assert "trial 1 was stopped: the same command goes on with it" in capsys.readouterr().err
    before = json.loads((root / "trial-1" / "arguments.json").read_text())
    monkeypatch.delenv("WAITS")
    monkeypatch.setenv("FAILS", "trial-2")
    assert sweep(root, "--trials=4", **random_space) == 0
    assert started(root) == ["trial-0", "trial-1", "trial-1", "trial-2", "trial-3"]
    assert json.loads((root / "trial-1" / "arguments.json").read_text()) == before
    told = capsys.readouterr()
    assert "trial 2 failed: it ended with exit code 3" in told.err
    assert "failed: trial 2" in told.out
    tried = {json.loads((root / f"trial-{i}" / "arguments.json").read_text())[-3] for i in range(4)}
    assert len(tried) == 4
    assert sweep(root, "--trials=4", **random_space) == 0  # nothing is left: the table again
    assert len(started(root)) == 5
    assert sweep(root, "--trials=5", parameters={LR: {"min": 0.5, "max": 3.0}}, method="bayes") == 2
    assert "holds a sweep of another space" in capsys.readouterr().err


def test_a_mistake_ends_a_sweep_before_it_has_tried_anything(root: Path, monkeypatch: Any, capsys: Any) -> None:  # noqa: F811
    monkeypatch.setattr("gan_lightning.cli.sweep._begun", lambda _: False)
    monkeypatch.setenv("FAILS", "trial-0")
    assert sweep(root) == 3
    assert "trial 0 did not begin, and none before it has: correct the mistake above" in capsys.readouterr().err
    assert not (root / "sweep.log").exists()


def test_an_absent_metric_is_said_with_those_that_there_are(root: Path, capsys: Any) -> None:  # noqa: F811
    assert sweep(root, "--trials=1", metric={"name": "val/kid"}) == 1
    told = capsys.readouterr()
    assert "trial 0 failed: it has no metric val/kid; there are val/fid" in told.err
    assert "no trial has come to a score" in told.out


def test_a_trial_that_is_worse_than_others_were_is_stopped_early(root: Path, monkeypatch: Any, capsys: Any) -> None:  # noqa: F811
    monkeypatch.setattr(children, "LOOKS", 0.05)
    monkeypatch.setenv("WORSE", "trial-2")
    assert sweep(root, early_terminate={"type": "hyperband", "min_iter": 2, "eta": 2}) == 0
    told = capsys.readouterr()
    assert "trial 2 was stopped early: it was worse than others were after as many evaluations" in told.err
    assert "stopped early: trial 2" in told.out


def test_the_agent_of_weights_and_biases_starts_the_same_fit(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    content = read_space(configs.library() / "sweeps" / "quickstart.yaml").content
    chosen = create_sweep_command_args({"args": {LR: {"value": 0.001}, "data.batch_size": {"value": 64}}})
    words = [word for given in content["command"] for word in (chosen["args"] if given == "${args}" else [given])]
    assert words[:2] == ["${program}", "fit"]
    assert content["program"] == "gan-lightning"
    wandb.teardown()  # of earlier tests: its service stays in the folder in which it was started
    monkeypatch.chdir(tmp_path)
    for name, value in {"WANDB_SWEEP_ID": "s", "WANDB_RUN_ID": "r1", "WANDB_MODE": "offline"}.items():
        monkeypatch.setenv(name, value)
    assert commands.main([*words[1:], *SMALL[1:], "--trainer.max_epochs=1", "--trainer.limit_val_batches=0"]) == 0
    run = tmp_path / "runs" / "quickstart" / "r1"
    assert (run / "checkpoints" / "last.ckpt").is_file()
    wandb.finish()  # as the end of a process does: it writes the file
    assert [*run.glob("wandb/offline-run-*/run-r1.wandb")]


def test_optuna_is_asked_for_where_it_is_missing(root: Path, monkeypatch: Any, capsys: Any) -> None:  # noqa: F811
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    assert sweep(root) == 2
    assert "sweep needs the package optuna: pip install 'gan_lightning[sweep]'" in capsys.readouterr().err


def test_the_librarys_spaces_hold_flags_of_fit() -> None:
    spaces = sorted((configs.library() / "sweeps").glob("*.yaml"))
    assert spaces
    for path in spaces:
        space = read_space(path)
        chosen = [as_flag(each.flag, each.choose(Drawn())) for each in space.parameters]
        assert commands.main(["fit", *space.base, *chosen, "--print_config"]) == 0
