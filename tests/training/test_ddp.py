"""Two gloo processes: ranks end equal, share out one stream of noise, and equal one process with the whole batch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from every_model import BUILDERS, PARTS
from gan_lightning.networks.heads import MinibatchDiscrimination
from toys import equal

TESTS = Path(__file__).parents[1]
ROUGH = {"munit"}  # tiny networks that amplify float32's rounding; in float64 they agree to 1e-12
OVER_BATCHES = {"ragan", "r3gan", "mmd_gan", "ssgan"}  # their losses compare images of a batch with each other


ENVIRONMENT = os.environ | {"PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", "OMP_NUM_THREADS": "1"}


def fit(folder: Path, what: str, devices: int, strategy: str = "adversarial_ddp") -> list[tuple[Any, Any]]:
    """Run a fit, and return the weights and the report of each rank."""
    done = subprocess.run(
        [sys.executable, str(TESTS / "ddp_fit.py"), what, str(devices), strategy, str(folder)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    names = [folder / f"{what}-{devices}-{rank}" for rank in range(devices)]
    return [
        (torch.load(f"{name}.pt", weights_only=True), json.loads(Path(f"{name}.json").read_text())) for name in names
    ]


@pytest.mark.parametrize("strategy", ["adversarial_ddp", "ddp_find_unused_parameters_true"])
def test_two_ranks_with_half_the_batch_each_equal_one_with_the_whole(strategy: str, tmp_path: Path) -> None:
    (alone, alone_report), *_ = fit(tmp_path, "toy", 1, "auto")
    (first, first_report), (second, second_report) = fit(tmp_path, "toy", 2, strategy)
    assert equal(first, second)
    for name, weight in alone.items():
        torch.testing.assert_close(first[name], weight, rtol=1e-5, atol=1e-7)
    assert first_report["images"] == alone_report["images"] == 64
    assert first_report["global_step"] == 8
    assert first_report["noise"] == second_report["noise"] == alone_report["noise"]  # one stream for all


def test_plain_ddp_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="adversarial_ddp"):
        fit(tmp_path, "toy", 2, "ddp")


def test_ranks_agree_and_resume_exactly_with_batch_norm_and_evaluation(tmp_path: Path) -> None:
    whole = fit(tmp_path, "whole", 2)
    fit(tmp_path, "stopped", 2)
    resumed = fit(tmp_path, "resumed", 2)
    assert equal(whole[0][0], whole[1][0])  # running statistics too: they are averaged before an evaluation
    assert whole[0][1]["fid"] == whole[1][1]["fid"] > 0
    for rank in (0, 1):
        assert equal(whole[rank][0], resumed[rank][0])
        assert whole[rank][1]["noise"][12:] == resumed[rank][1]["noise"]
        assert whole[rank][1]["fid"] == resumed[rank][1]["fid"]


def fit_in_turn(folder: Path, *runs: str) -> None:
    """Runs named WHAT:DEVICES, one after another."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, str(TESTS / "ddp_fit.py"), *runs, str(folder)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def normalises_a_batch(build: Any) -> bool:
    """Whether an image's features depend on others in its batch, which ranks do not share."""
    model = build()
    over_batch = (nn.modules.batchnorm._BatchNorm, MinibatchDiscrimination)
    return any(isinstance(m, over_batch) for m in model.modules()) or build.__name__ in OVER_BATCHES


def test_two_ranks_of_every_model_agree_and_equal_one_process(tmp_path: Path) -> None:
    fit_in_turn(tmp_path, "models:2", "models:1")
    first, second = (torch.load(tmp_path / f"models-2-{rank}.pt", weights_only=True) for rank in range(2))
    alone = torch.load(tmp_path / "models-1-0.pt", weights_only=True)
    assert {name.split(".")[0] for name in first} == {build.__name__ for build in [*BUILDERS, *PARTS]}
    assert equal(first, second)
    compared = [
        build.__name__ for build in [*BUILDERS, *PARTS] if not normalises_a_batch(build) and build.__name__ not in ROUGH
    ]
    assert {"gan", "cyclegan", "cut", "began", "packed", "unrolled", "unrolled_wgan_gp"} <= {*compared}
    begun = torch.load(tmp_path / "models-begun.pt", weights_only=True)
    for name, weight in first.items():
        if name.split(".")[0] in compared:
            # sums in another order: a hundredth of what three steps moved (nothing, for a bias before a norm)
            moved = (alone[name] - begun[name]).norm()
            assert (weight - alone[name]).norm() <= 1e-2 * moved + 1e-6 * alone[name].numel() ** 0.5, name


def test_a_run_goes_on_with_any_number_of_ranks(tmp_path: Path) -> None:
    reports = {}
    for name, ranks in {"alone": (1, 1, 1), "growing": (1, 2, 4), "shrinking": (4, 2, 1)}.items():
        folder = tmp_path / name
        fit_in_turn(folder, *(f"elastic{epoch}:{devices}" for epoch, devices in enumerate(ranks, 1)))
        devices = ranks[-1]
        ends = [torch.load(folder / f"elastic-{devices}-{rank}.pt", weights_only=True) for rank in range(devices)]
        assert all(equal(end, ends[0]) for end in ends)
        parts = [json.loads((folder / f"elastic-{devices}-{rank}.json").read_text()) for rank in range(devices)]
        reports[name] = ends[0], parts[0]["noise"], parts[0]["scores"], sum(part["made"] for part in parts)
    weights, noise, scores, made = reports["alone"]
    for other_weights, other_noise, other_scores, other_made in (reports["growing"], reports["shrinking"]):
        assert other_noise == noise
        assert other_scores == pytest.approx(scores, rel=1e-4)
        assert other_made == pytest.approx(made, rel=1e-3)
        for key, weight in weights.items():
            torch.testing.assert_close(other_weights[key], weight, rtol=1e-3, atol=1e-5)


def test_two_ranks_grow_as_one_does_and_go_on_within_a_fade(tmp_path: Path) -> None:
    fit_in_turn(tmp_path, "growing 0 15:1", "growing 0 15:2", "growing 0 8:2", "growing 8 15:2")

    def end(what: str, rank: int) -> tuple[dict[str, Any], dict[str, Any]]:
        file = tmp_path / f"growing {what}-{rank}"
        return torch.load(f"{file}.pt", weights_only=True), json.loads(Path(f"{file}.json").read_text())

    alone, report = end("0 15-1", 0)
    assert report["images"] == 42
    assert len(report["evaluated"]) == 6
    for rank in range(2):
        weights, same = end("0 15-2", rank)
        assert same == report
        for key, weight in alone.items():
            torch.testing.assert_close(weights[key], weight, rtol=1e-3, atol=1e-6)
        going, rest = end("8 15-2", rank)
        assert equal(going, weights)
        assert rest["evaluated"] == report["evaluated"][4:]
        assert (rest["played"], rest["noise"]) == (report["played"][8:], report["noise"][8:])


def test_a_group_of_processes_ends_before_python_does() -> None:
    script = (
        "import atexit, torch.distributed as dist\n"
        "atexit.register(lambda: print(dist.is_initialized()))\n"  # runs after what is registered later
        "import gan_lightning.training.trainer\n"
        "dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)\n"
        "print(dist.is_initialized())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
