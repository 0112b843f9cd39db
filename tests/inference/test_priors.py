"""Priors with bounds."""

import pytest
import torch

from gan_lightning.inference import IntervalPrior


def test_an_interval_has_its_bounds_lengths_and_coordinates() -> None:
    prior = IntervalPrior(0.0, 1.0)
    z = prior.draw(4000, 8, generator=torch.Generator().manual_seed(0))
    assert 0 <= z.min() < 0.01
    assert 0.99 < z.max() <= 1
    assert prior.length(8) == pytest.approx(float(z.square().sum(1).mean().sqrt()), rel=0.01)
    assert prior.length(3) == pytest.approx(1)
    inside = z.clamp(0.01, 0.99)
    torch.testing.assert_close(prior.bounded(prior.free(inside)), inside)
    assert prior.bounded(torch.tensor([[-100.0, 0.0, 100.0]])).tolist() == [[0, 0.5, 1]]
    near = prior.draw(4000, 8, truncation=0.1, generator=torch.Generator().manual_seed(0))
    assert 0.4 <= near.min() < 0.41
    with pytest.raises(ValueError, match=r"an interval from 1 to 1 has no length"):
        IntervalPrior(1.0, 1.0)
