from functools import partial

import pytest
import torch

from benchmarks import evaluation
from gan_lightning.evaluation import Evaluator
from gan_lightning.metrics import DigitClassifier, InceptionV3


def test_both_sides_measure_the_same(real_data):
    sets, extractor = evaluation.digits(real_data / "mnist", 200), DigitClassifier()
    separate = evaluation.Separate(extractor, subset_size=200, keep_real=True)
    ours = partial(evaluation.ours, Evaluator(extractor, evaluation.suite(subset_size=200)))
    known, other = sets(0), sets(1)
    for real, fake in (known, (None, other[1])):
        theirs, values = separate(64, real, fake), ours(64, real, fake)
        for name in ("fid", "kid", "precision", "recall"):  # IS is of other splits
            assert values[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-4)
    assert not torch.equal(known[1], other[1])


def test_the_networks_are_the_same(tmp_path):
    weights = evaluation.random_inception(tmp_path / "weights.pth")
    images = torch.randint(256, (2, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ours, shipped = InceptionV3(weights)(images), evaluation.FidelityInception(weights)(images)
    assert ours.pooled.std() > 0.01
    torch.testing.assert_close(ours.pooled, shipped.pooled, rtol=1e-3, atol=1e-4)


def test_it_runs(real_data, tmp_path, capsys):
    threads = torch.get_num_threads()
    size = ["--rounds=1", "--batches=2", "--batch-size=50", f"--threads={threads}", f"--json={tmp_path / 'rates.json'}"]
    evaluation.main([f"--root={real_data / 'mnist'}", "--extractor=digits", *size])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[1:]] == [
        "torchmetrics",
        "ours",
        "torchmetrics, real kept",
        "ours, real known",
    ]
