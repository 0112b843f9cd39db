"""Scores that a finite number of images biases, extrapolated to infinitely many: Chong & Forsyth 2020 (1911.07023)."""

from collections.abc import Callable

import torch
from torch import Tensor

SIZES = 15
SPAN = 10  # the largest subset is all images, the smallest one SPANth of them


def at_infinity(score: Callable[[Tensor], Tensor], count: int, seed: int) -> Tensor:
    """The score of infinitely many images, by a straight line of least squares through scores against 1 / n.

    15 sizes n lie evenly between a tenth of the images and all of them (for 50,000 those of the publication: 5,000 to
    50,000); for each, that many are drawn anew from all, without replacement.

    Args:
        score: from the indices (n,) of some images, int64, to their score, a float64 scalar.
        count: of all images.
        seed: of the draws; no global generator is touched.

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
