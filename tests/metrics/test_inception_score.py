import math

import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from gan_lightning.extractors.base import Features
from gan_lightning.metrics.base import TooFewSamplesError
from gan_lightning.metrics.inception_score import InceptionScore, InceptionScoreInfinity


def fed(metric, logits):
    for part in logits.split(100):
        metric.update(Features(torch.zeros(len(part), 2), part), real=False)
    return metric


def score(logits, **arguments):
    values = fed(InceptionScore(2, **arguments), logits).compute()
    return values["inception_score"].item(), values["inception_score_std"].item()


def infinity(logits, **arguments):
    return fed(InceptionScoreInfinity(2, **arguments), logits).compute()["inception_score_infinity"].item()


@pytest.mark.parametrize("count", [10, 23, 997])
def test_agrees_with_torch_fidelity(count):
    logits = torch.randn(count, 12, generator=torch.Generator().manual_seed(1)) * 3
    theirs = isc_features_to_metric(logits)
    assert score(logits) == pytest.approx(tuple(theirs.values()), rel=1e-10)


def test_bounds():
    one_hot = torch.eye(10).repeat(100, 1) * 800  # classes of probability exactly 0
    assert score(one_hot, splits=1) == pytest.approx((10, 0), rel=1e-10)
    assert 9.3 < score(one_hot)[0] < 9.7  # the shuffle leaves parts a little unbalanced
    assert score(torch.zeros(50, 10)) == pytest.approx((1, 0), abs=1e-10)
    collapsed = torch.tensor([[800.0, -800.0, 0.0]]).repeat(50, 1)  # dead classes, no NaN
    assert score(collapsed) == pytest.approx((1, 0), abs=1e-10)
    assert score(torch.randn(50, 1)) == (1, 0)  # a classifier of one class


def test_real_images_are_ignored_and_no_random_state_is_touched():
    logits = torch.randn(40, 2)
    expected = score(logits)[0], infinity(logits)
    before = torch.get_rng_state()
    for kind, name, value in (
        (InceptionScore, "inception_score", expected[0]),
        (InceptionScoreInfinity, "inception_score_infinity", expected[1]),
    ):
        metric = fed(kind(2), logits)
        metric.update(Features(torch.zeros(40, 2), torch.zeros(40, 2)), real=True)
        assert metric.compute()[name].item() == value
    assert torch.equal(torch.get_rng_state(), before)


def test_bad_input():
    with pytest.raises(TooFewSamplesError, match=r"at least 10 images .* only 9"):
        score(torch.randn(9, 4))
    with pytest.raises(TooFewSamplesError, match=r"InceptionScore needs at least 10 images .* only 0"):
        score(torch.empty(0, 4))
    with pytest.raises(TooFewSamplesError, match=r"InceptionScoreInfinity needs at least 40 .*of 4 classes.* only 39"):
        infinity(torch.randn(39, 4))
    for kind in (InceptionScore, InceptionScoreInfinity):
        with pytest.raises(ValueError, match="needs class logits"):
            kind(2).update(Features(torch.zeros(3, 2)), real=False)


def test_infinity_takes_the_bias_of_few_images_away():
    few, more = (torch.randn(n, 100, generator=torch.Generator().manual_seed(n)) * 3 for n in (1000, 5000))
    truth = score(more, splits=1)[0]
    biased = sum(score(part, splits=1)[0] for part in few.split(100)) / 10
    assert truth - biased > 0.5
    assert abs(infinity(few) - truth) < (truth - biased) / 2
    assert infinity(more) == pytest.approx(truth, rel=0.02)


def test_infinity_is_the_line_through_scores_of_subsets():
    logits = torch.randn(150, 5, generator=torch.Generator().manual_seed(1)) * 2
    draws = torch.Generator().manual_seed(7)
    sizes = [round(15 + i * 135 / 14) for i in range(15)]
    scores = [score(logits[torch.randperm(150, generator=draws)[:size]], splits=1)[0] for size in sizes]
    design = torch.tensor([[1, 1 / size] for size in sizes], dtype=torch.float64)
    intercept = torch.linalg.lstsq(design, torch.tensor(scores, dtype=torch.float64).unsqueeze(1)).solution[0].item()
    assert infinity(logits, seed=7) == pytest.approx(intercept, rel=1e-9)


def test_infinity_of_collapsed_and_of_saturated_logits():
    assert infinity(torch.zeros(100, 10)) == pytest.approx(1, abs=1e-10)
    assert infinity(torch.tensor([[800.0, -800.0]]).repeat(20, 1)) == pytest.approx(1, abs=1e-10)
    assert infinity(torch.zeros(20, 1)) == pytest.approx(1, abs=1e-10)
    assert math.isfinite(infinity(torch.eye(10).repeat(10, 1) * 800))
