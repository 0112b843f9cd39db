"""Measures of disentanglement, on latents and factors whose values are known."""

import math
import sys

import pytest
import torch

from gan_lightning.metrics.base import TooFewSamplesError
from gan_lightning.metrics.disentanglement import (
    conditional_entropy,
    entropy,
    information_gaps,
    mutual_information,
    quantile_bins,
)

N = 20_000


def normal(columns: int) -> torch.Tensor:
    return torch.randn(N, columns, generator=torch.Generator().manual_seed(0))


def test_quantile_bins_are_equally_frequent_and_keep_the_order():
    values = normal(2)
    bins = quantile_bins(values, 5)
    assert bins.shape == values.shape
    assert bins.T[1].bincount().tolist() == [N // 5] * 5
    assert (bins[:, 0][values[:, 0].argsort()].diff() >= 0).all()


def test_equal_values_share_a_bin():
    assert quantile_bins(torch.tensor([[1.0], [1.0], [1.0], [2.0]]), 4)[:3].unique().numel() == 1


def test_entropy_of_a_uniform_code():
    assert entropy(torch.arange(8)).item() == pytest.approx(math.log(8))
    assert entropy(torch.zeros(8, dtype=torch.int64)).item() == 0


def test_mutual_information_of_a_copy_and_of_independent_codes():
    codes = quantile_bins(normal(3), 10)
    told = mutual_information(codes, codes[:, 1])
    assert told[1].item() == pytest.approx(math.log(10), abs=1e-6)
    # by chance (a - 1)(b - 1) / 2n
    assert told[[0, 2]].tolist() == pytest.approx([81 / (2 * N)] * 2, abs=3e-3)


def test_mutual_information_of_a_noisy_channel():
    """One bit is flipped with probability 1/4: I = ln 2 - H(1/4)."""
    random = torch.Generator().manual_seed(0)
    factor = torch.randint(2, (N,), generator=random)
    seen = factor ^ (torch.rand(N, generator=random) < 0.25).long()
    expected = math.log(2) + 0.25 * math.log(0.25) + 0.75 * math.log(0.75)
    assert mutual_information(seen[:, None], factor).item() == pytest.approx(expected, abs=0.01)


def test_the_gap_of_a_factor_in_one_component_and_of_one_in_two():
    codes = quantile_bins(normal(4), 8)
    alone, twice = codes[:, 0], codes[:, 1]
    components = torch.cat([codes, codes[:, 1:2]], dim=1)
    information = torch.stack([mutual_information(components, factor) for factor in (alone, twice)], dim=1)
    gaps = information_gaps(information, torch.stack([entropy(alone), entropy(twice)]))
    assert gaps.tolist() == pytest.approx([1, 0], abs=0.01)


def test_a_plane_separates_a_linear_factor_and_no_other():
    latents = normal(6)
    linear = latents @ torch.linspace(-1, 1, 6)
    assert conditional_entropy(latents, linear) < 0.01
    independent = torch.randn(N, generator=torch.Generator().manual_seed(1))
    assert conditional_entropy(latents, independent) == pytest.approx(math.log(2), abs=0.01)


def test_only_the_surer_half_counts():
    """Wrong signs among the less sure half change nothing."""
    latents = normal(3)
    scores = latents[:, 0].clone()
    unsure = scores.abs() < scores.abs().quantile(0.4)
    scores[unsure] *= -1
    assert conditional_entropy(latents, scores) < 0.01


def test_a_factor_that_all_samples_have_is_refused():
    with pytest.raises(TooFewSamplesError):
        conditional_entropy(normal(2), torch.ones(N))


def test_without_scikit_learn_one_sentence_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(ModuleNotFoundError, match=r"gan_lightning\[disentangle\]"):
        conditional_entropy(normal(2), normal(1)[:, 0])
