import math

import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from gan_lightning.metrics import Features, FrechetInceptionDistance, TooFewSamplesError


def fid(real, fake, parts=1):
    metric = FrechetInceptionDistance(real.shape[1])
    for part in real.chunk(parts):
        metric.update(Features(part), real=True)
    for part in fake.chunk(parts):
        metric.update(Features(part), real=False)
    return metric.compute()["fid"].item()


def with_moments(mean, covariance, count=64):
    """Float64 samples whose mean and covariance (divided by count - 1) are exactly these."""
    mean, covariance = torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64)
    x = torch.randn(count, len(mean), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = x - x.mean(dim=0)
    whiten = torch.linalg.inv(torch.linalg.cholesky(x.T.cov()))
    return x @ whiten.T @ torch.linalg.cholesky(covariance).T + mean


def theirs(real, fake):
    real, fake = (fid_features_to_statistics(features.double()) for features in (real, fake))
    return fid_statistics_to_metric(fake, real, verbose=False)["frechet_inception_distance"]


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.3, 1.5), (10.0, 0.01)])
def test_agrees_with_torch_fidelity(shift, scale):
    torch.manual_seed(0)
    mix = torch.randn(48, 48) / 7
    real, fake = torch.randn(700, 48) @ mix, torch.randn(300, 48) * scale + shift
    assert fid(real, fake) == pytest.approx(theirs(real, fake), rel=1e-8)
    assert fid(real, fake, parts=7) == pytest.approx(theirs(real, fake), rel=1e-8)


def test_closed_forms():
    diagonal = with_moments([0, 0], [[1, 0], [0, 4]]), with_moments([3, 4], [[9, 0], [0, 16]])
    assert fid(*diagonal) == pytest.approx(33, rel=1e-10)
    tilted = with_moments([0, 0], [[2, 1], [1, 2]]), with_moments([0, 0], [[1, 0], [0, 4]])
    assert fid(*tilted) == pytest.approx(9 - 2 * math.sqrt(10 + 2 * math.sqrt(12)), rel=1e-10)
    assert fid(*reversed(tilted)) == pytest.approx(fid(*tilted), rel=1e-10)


def test_equal_sets_smaller_than_the_features():
    x = torch.randn(20, 64)
    assert abs(fid(x, x)) < 1e-3


def test_too_few_images():
    x = torch.randn(5, 3)
    with pytest.raises(TooFewSamplesError, match=r"FrechetInceptionDistance needs at least 2 .* only 1"):
        fid(x, x[:1])
