import json
import os
import subprocess
import sys
import textwrap

import pytest
import torch

from gan_lightning.metrics import (
    PSNR,
    DensityCoverage,
    Features,
    FrechetInceptionDistance,
    InceptionScore,
    KernelInceptionDistance,
    PrecisionRecall,
    TooFewSamplesError,
)

ALL = {
    FrechetInceptionDistance: {},
    InceptionScore: {},
    KernelInceptionDistance: {"subsets": 5, "subset_size": 20},
    PrecisionRecall: {},
    DensityCoverage: {},
}


def features(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return Features(torch.randn(count, 8, generator=generator) + seed, torch.randn(count, 4, generator=generator))


def pictures(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 1, 4, 4), dtype=torch.uint8, generator=generator)


def numbers(metric):
    return {name: value.item() for name, value in metric.compute().items()}


@pytest.mark.parametrize("kind", ALL)
def test_real_images_are_kept_when_asked(kind):
    metric = kind(8, **ALL[kind])

    def evaluate(seed, reals):
        if reals:
            metric.update(features(60, 0), real=True)
        metric.update(features(40, seed), real=False)
        return numbers(metric)

    first = evaluate(1, reals=True)
    metric.reset(keep_real=True)
    assert evaluate(2, reals=False) != first
    metric.reset(keep_real=True)
    assert evaluate(1, reals=False) == first
    metric.reset()
    assert evaluate(1, reals=True) == first


@pytest.mark.parametrize("kind", ALL)
def test_features_that_are_not_finite_or_of_another_width_are_refused(kind):
    metric = kind(8, **ALL[kind])
    broken = Features(torch.full((2, 8), torch.nan), torch.full((2, 4), torch.inf))
    with pytest.raises(ValueError, match=f"{kind.__name__} was given NaN or infinite features"):
        metric.update(broken, real=False)
    if kind is not InceptionScore:
        with pytest.raises(ValueError, match=r"was made for features \(N, 8\), and was given \(2, 3\)"):
            metric.update(Features(torch.zeros(2, 3)), real=True)


def test_two_processes_with_uneven_shares_get_what_one_gets(tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(
        textwrap.dedent(
            """
            import json, sys
            import torch
            import torch.distributed as dist
            from gan_lightning.metrics import PSNR
            from test_base import ALL, features, numbers, pictures

            rank, place = int(sys.argv[1]), sys.argv[2]
            torch.set_num_threads(1)
            dist.init_process_group("gloo", init_method=f"file://{place}/meet", rank=rank, world_size=2)
            results = []
            for share in (slice(0, 45), slice(45, None)), (slice(0, None), slice(0, 0)):  # or rank 1 has none
                for kind, arguments in ALL.items():
                    metric = kind(8, **arguments)
                    for real, whole in (True, features(60, 0)), (False, features(50, 1)):
                        mine = type(whole)(whole.pooled[share[rank]], whole.logits[share[rank]])
                        if len(mine.pooled):
                            metric.update(mine, real=real)
                    results.append([numbers(metric), numbers(metric)])
                metric = PSNR()
                if len(made := pictures(50, 0)[share[rank]]):
                    metric.update(made, pictures(50, 1)[share[rank]])
                results.append([numbers(metric), numbers(metric)])
            with open(f"{place}/{rank}.json", "w") as file:
                json.dump(results, file)
            dist.destroy_process_group()
            """
        )
    )
    here = os.path.dirname(__file__)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([here, *sys.path])}
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(rank), tmp_path], env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)

    expected = []
    for kind, arguments in ALL.items():
        metric = kind(8, **arguments)
        metric.update(features(60, 0), real=True)
        metric.update(features(50, 1), real=False)
        expected.append(numbers(metric))
    pairs = PSNR()
    pairs.update(pictures(50, 0), pictures(50, 1))
    expected.append(numbers(pairs))
    for rank in range(2):
        for (first, again), single in zip(
            json.loads((tmp_path / f"{rank}.json").read_text()), expected * 2, strict=True
        ):
            assert first == pytest.approx(single, rel=1e-9)
            assert again == first


@pytest.mark.parametrize("kind", [InceptionScore, KernelInceptionDistance, PrecisionRecall])
def test_a_metric_that_several_processes_leave_out_takes_in_the_next_images(kind):
    metric = kind(8)
    metric.distributed_available_fn = lambda: True
    metric.dist_sync_fn = lambda state, group: [state, state]  # two processes with the same share
    for _ in range(2):
        metric.update(features(1, 0), real=True)
        metric.update(features(1, 1), real=False)
        with pytest.raises(TooFewSamplesError, match="only 2"):
            metric.compute()
        metric.reset()
