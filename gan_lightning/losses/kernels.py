"""The maximum mean discrepancy (MMD): a distance between two sets of points, computed with a kernel.

Gretton, Borgwardt, Rasch, Schölkopf, Smola, "A Kernel Two-Sample Test", JMLR 13, 2012. For a characteristic kernel k
the discrepancy of two distributions is zero only if they are equal:

    MMD²(P, Q) = E k(x, x') + E k(y, y') - 2 E k(x, y)

Everything is computed in float32 under any mixed precision, since it is a small difference of large sums.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def rbf_kernel(x: Tensor, y: Tensor, variances: Sequence[float]) -> Tensor:
    """Return Σ_v exp(-||x - y||² / (2 v)), a mixture of Gaussian kernels, for each pair of points.

    Args:
        x: points, (N, D).
        y: points, (M, D).
        variances: v of each Gaussian, in squared units of the points; several, since the best value is unknown.

    Returns:
        float32 (N, M), values in (0, len(variances)].

    Raises:
        ValueError: a variance is not above 0, or there is none.
    """
    if not variances or min(variances) <= 0:
        raise ValueError(f"a mixture of kernels needs variances above 0, not {list(variances)}")
    with torch.autocast(x.device.type, enabled=False):
        x, y = x.float(), y.float()
        # ||x||² + ||y||² - 2 xy rounds to slightly less than zero for equal points
        distances = (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp(min=0)
        return torch.stack([torch.exp(distances / (-2 * variance)) for variance in variances]).sum(0)


def mmd2(x: Tensor, y: Tensor, variances: Sequence[float]) -> Tensor:
    """Return the biased estimate of MMD² (equation 5 of the paper): never negative, and above zero even if P equals Q.

    Args:
        x: points of P, (N, D).
        y: points of Q, (M, D).
        variances: see `rbf_kernel`.

    Returns:
        A scalar.
    """
    within_x, within_y = rbf_kernel(x, x, variances).mean(), rbf_kernel(y, y, variances).mean()
    return within_x + within_y - 2 * rbf_kernel(x, y, variances).mean()


def unbiased_mmd2(x: Tensor, y: Tensor, variances: Sequence[float]) -> Tensor:
    """Return the unbiased estimate of MMD² (equation 3 of the paper), without kernels of points with themselves.

    It is zero on average if P equals Q, and so often below zero. Arguments and result are those of `mmd2`.

    Raises:
        ValueError: there are fewer than two points of either kind.
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(f"the unbiased MMD compares 2 points or more of each kind, not {len(x)} and {len(y)}")
    return _off_diagonal_mean(x, variances) + _off_diagonal_mean(y, variances) - 2 * rbf_kernel(x, y, variances).mean()


def _off_diagonal_mean(x: Tensor, variances: Sequence[float]) -> Tensor:
    kernel, count = rbf_kernel(x, x, variances), len(x)
    return (kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1))


def safe_sqrt(value: Tensor) -> Tensor:
    """Return √value where it is above zero, and 0 with gradient 0 elsewhere, not an infinite or NaN gradient."""
    # not `value > 0`, which would treat NaN as zero
    vanishes = value <= 0
    return torch.where(vanishes, 0.0, torch.where(vanishes, 1.0, value).sqrt())
