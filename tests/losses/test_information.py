"""InfoGAN's bound by hand and against torch.distributions."""

import math

import pytest
import torch
from torch.distributions import Normal
from torch.nn.functional import cross_entropy, one_hot

from gan_lightning.losses import categorical_information, continuous_information


def test_of_categories_nothing_is_known_of_even_odds_and_all_of_certainty() -> None:
    category = one_hot(torch.tensor([2, 0, 1]), 4).float()
    assert float(categorical_information(torch.zeros(3, 4), category)) == pytest.approx(0, abs=1e-6)
    assert float(categorical_information(1000 * category, category)) == pytest.approx(math.log(4))


def test_the_categorical_bound_is_entropy_less_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 3])
    expected = math.log(4) - cross_entropy(logits, labels)
    torch.testing.assert_close(categorical_information(logits, one_hot(labels, 4).float()), expected)


def test_the_continuous_bound_is_the_log_density_plus_the_priors_entropy() -> None:
    torch.manual_seed(0)
    means, codes = torch.randn(5, 2), torch.rand(5, 2) * 2 - 1
    expected = (Normal(means, 1.0).log_prob(codes) + math.log(2)).sum(1).mean()
    torch.testing.assert_close(continuous_information(means, codes), expected)
    assert float(continuous_information(codes, codes)) == pytest.approx(2 * -0.2258, abs=1e-3)
