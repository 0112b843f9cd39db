"""MMD by hand, against loops in double precision and two Gaussians' closed form; a root with a gradient at 0."""

import math

import pytest
import torch
from torch import Tensor

from gan_lightning.losses import mmd2, safe_sqrt, unbiased_mmd2
from gan_lightning.losses.kernels import rbf_kernel


def test_the_kernel_by_hand() -> None:
    x, y = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0]])
    # squared distances 0 and 25
    expected = torch.tensor([[2.0], [math.exp(-25 / 4) + math.exp(-25 / 20)]])
    torch.testing.assert_close(rbf_kernel(x, y, [2.0, 10.0]), expected)


def test_both_estimates_by_hand() -> None:
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    k1, k4 = math.exp(-0.5), math.exp(-2.0)  # of distances 1 and 2
    cross = (1 + k4 + k1 + k1) / 4
    assert float(mmd2(x, y, [1.0])) == pytest.approx((2 + 2 * k1) / 4 + (2 + 2 * k4) / 4 - 2 * cross, abs=1e-6)
    assert float(unbiased_mmd2(x, y, [1.0])) == pytest.approx(k1 + k4 - 2 * cross, abs=1e-6)


def loops(x: Tensor, y: Tensor, variances: list[float], biased: bool) -> float:
    """Compute the definition, a pair at a time."""

    def mean(a: Tensor, b: Tensor, without_itself: bool) -> float:
        values = [
            sum(math.exp(-float((p - q).square().sum()) / (2 * v)) for v in variances)
            for i, p in enumerate(a.double())
            for j, q in enumerate(b.double())
            if not (without_itself and i == j)
        ]
        return sum(values) / len(values)

    return mean(x, x, not biased) + mean(y, y, not biased) - 2 * mean(x, y, False)


@pytest.mark.parametrize("biased", [True, False])
def test_agrees_with_the_definition_also_for_unequal_numbers(biased: bool) -> None:
    torch.manual_seed(0)
    x, y, variances = torch.randn(7, 3), 0.5 * torch.randn(5, 3) + 1, [0.5, 2.0, 30.0]
    estimate = mmd2 if biased else unbiased_mmd2
    assert float(estimate(x, y, variances)) == pytest.approx(loops(x, y, variances, biased), abs=1e-5)


def test_approaches_the_closed_form_of_two_gaussians() -> None:
    """E k of N(m, 1) and N(n, 1) in one dimension is √(v / (v + 2)) exp(-(m - n)² / (2 (v + 2)))."""
    torch.manual_seed(0)
    v, shift = 2.0, 1.5
    expected = 2 * math.sqrt(v / (v + 2)) * (1 - math.exp(-(shift**2) / (2 * (v + 2))))
    x, y = torch.randn(1000, 1), torch.randn(1000, 1) + shift
    for estimate in (mmd2, unbiased_mmd2):
        assert float(estimate(x, y, [v])) == pytest.approx(expected, rel=0.1)


def test_the_biased_estimate_of_equal_sets_is_zero_and_the_unbiased_one_averages_to_it() -> None:
    torch.manual_seed(0)
    x = 10 * torch.randn(20, 50)
    assert abs(float(mmd2(x, x, [100.0]))) < 1e-5
    estimates = [float(unbiased_mmd2(torch.randn(10, 2), torch.randn(10, 2), [1.0])) for _ in range(300)]
    assert min(estimates) < 0 < max(estimates)
    assert abs(sum(estimates) / 300) < 0.01
    assert all(float(mmd2(torch.randn(10, 2), torch.randn(10, 2), [1.0])) > 0 for _ in range(20))


def test_is_computed_in_float32_under_mixed_precision() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(8, 16), torch.randn(8, 16)
    expected = mmd2(x, y, [8.0])
    with torch.autocast("cpu", torch.bfloat16):
        found = mmd2(x, y, [8.0])
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("variances", [[], [1.0, 0.0], [-1.0]])
def test_variances_that_are_none_are_refused(variances: list[float]) -> None:
    with pytest.raises(ValueError, match="variances above 0"):
        mmd2(torch.zeros(2, 1), torch.zeros(2, 1), variances)


def test_the_unbiased_estimate_needs_two_of_each() -> None:
    with pytest.raises(ValueError, match="2 points or more of each kind, not 3 and 1"):
        unbiased_mmd2(torch.zeros(3, 1), torch.zeros(1, 1), [1.0])


def test_the_root_has_a_gradient_of_zero_at_zero_and_below() -> None:
    value = torch.tensor([-1.0, 0.0, 4.0], requires_grad=True)
    root = safe_sqrt(value)
    assert root.tolist() == [0.0, 0.0, 2.0]
    root.sum().backward()
    assert value.grad is not None
    assert value.grad.tolist() == [0.0, 0.0, 0.25]


def test_the_root_lets_nan_through() -> None:
    assert safe_sqrt(torch.tensor(math.nan)).isnan()
