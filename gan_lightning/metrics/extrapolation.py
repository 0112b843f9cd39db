"""Extrapolation of biased scores to infinitely many images: Chong & Forsyth 2020 (1911.07023)."""

from collections.abc import Callable

import torch
from torch import Tensor

SIZES = 15
SPAN = 10  # ratio of the largest subset, all images, to the smallest


def at_infinity(score: Callable[[Tensor], Tensor], count: int, seed: int) -> Tensor:
    """Return the score of infinitely many images, by a least-squares line through scores against 1 / n.

    The 15 sizes n are evenly spaced between a tenth of the images and all of them (for 50,000 those of the publication:
    5,000 to 50,000). For each, n images are drawn independently, without replacement.

    Args:
        score: maps the indices (n,) of some images, int64, to their score, a float64 scalar.
        count: number of all images.
        seed: seed of the draws. Global generators are not used.

    Returns:
        The line's value at 1 / n = 0, a scalar.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.linspace(count / SPAN, count, SIZES, dtype=torch.float64).round().long()
    scores = torch.stack([score(torch.randperm(count, generator=generator)[:size]) for size in sizes.tolist()])
    inverse = 1 / sizes.to(scores)
    apart = inverse - inverse.mean()
    slope = (apart * scores).sum() / apart.square().sum()
    return scores.mean() - slope * inverse.mean()
