import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from gan_lightning.metrics import Features, InceptionScore, TooFewSamplesError


def score(logits, **arguments):
    metric = InceptionScore(2, **arguments)
    for part in logits.split(100):
        metric.update(Features(torch.zeros(len(part), 2), part), real=False)
    values = metric.compute()
    return values["inception_score"].item(), values["inception_score_std"].item()


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


def test_real_images_are_ignored_and_no_random_state_is_touched():
    metric = InceptionScore(2)
    logits = torch.randn(40, 5)
    metric.update(Features(torch.zeros(40, 2), logits), real=False)
    metric.update(Features(torch.zeros(40, 2), torch.zeros(40, 5)), real=True)
    before = torch.get_rng_state()
    assert metric.compute()["inception_score"].item() == score(logits)[0]
    assert torch.equal(torch.get_rng_state(), before)


def test_bad_input():
    with pytest.raises(TooFewSamplesError, match=r"at least 10 images .* only 9"):
        score(torch.randn(9, 4))
    with pytest.raises(ValueError, match="needs class logits"):
        InceptionScore(2).update(Features(torch.zeros(3, 2)), real=False)
