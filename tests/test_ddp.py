"""Two gloo processes: ranks end equal, draw different noise, and equal one process with the whole batch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import find_free_network_port

from tiny import BUILDERS
from toys import equal

HERE = Path(__file__).parent


ENVIRONMENT = os.environ | {"PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}", "OMP_NUM_THREADS": "1"}


def fit(folder: Path, what: str, devices: int, strategy: str = "adversarial_ddp") -> list[tuple[Any, Any]]:
    """For each rank, its weights and its report."""
    done = subprocess.run(
        [sys.executable, str(HERE / "ddp_fit.py"), what, str(devices), strategy, str(folder)],
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
    assert set(first_report["noise"]).isdisjoint(second_report["noise"])


def test_plain_ddp_is_refused_with_the_mend(tmp_path: Path) -> None:
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


def test_ranks_of_every_model_agree_after_batches_of_their_own(tmp_path: Path) -> None:
    # started here and not by Lightning, which starts the other ranks anew for every fit of one script
    port = str(find_free_network_port())
    ranks = [
        subprocess.Popen(
            [sys.executable, str(HERE / "ddp_fit.py"), "models", "2", "adversarial_ddp", str(tmp_path)],
            env=ENVIRONMENT | {"LOCAL_RANK": str(rank), "MASTER_PORT": port},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    printed = [rank.communicate(timeout=300)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], "".join(printed)
    first, second = (torch.load(tmp_path / f"models-{rank}.pt", weights_only=True) for rank in range(2))
    assert {name.split(".")[0] for name in first} == {build.__name__ for build in BUILDERS}
    assert equal(first, second)
