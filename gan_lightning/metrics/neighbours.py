"""Metrics of nearest neighbours: how much of one set lies within the other's reach.

Around each image of a set lies a ball that reaches to its k-th nearest OTHER image of the set, in feature space.
Distances are squared, float64, and by matrix products, in blocks of rows: memory grows with the number of images and
not with its square. Copies of images make ties, which rounding must not decide: what is equal but for it is equal.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from gan_lightning.metrics.base import PooledFeatureMetric

BLOCK = 2**24  # distances at a time: 128 MiB
ROUNDING = 1e-12  # of a squared distance, relative to the squared norms: float64, 2048 features


class PrecisionRecall(PooledFeatureMetric):
    """Improved precision and recall, Kynkäänniemi et al. 2019 (1904.06991), balls closed as in their code.

    Precision is the share of generated images that lie in a real image's ball, recall the share of real images that lie
    in a generated one's.

    Args:
        num_features: width d of the extractor's features.
        k: the neighbour a ball reaches to.
    """

    def __init__(self, num_features: int, k: int = 3) -> None:
        super().__init__(num_features)
        self.k = k

    def compute(self) -> dict[str, Tensor]:
        """`{"precision": ..., "recall": ...}`, each in [0, 1], higher is better."""
        real, fake = self.sets(self.k + 1, f"k: {self.k} other images around each")
        return {"precision": _share_within(fake, real, self.k), "recall": _share_within(real, fake, self.k)}


class DensityCoverage(PooledFeatureMetric):
    """Density and coverage, Naeem et al. 2020 (2002.09797), balls open as in their code.

    Density is the mean number of real balls that a generated image lies in, divided by k; about 1 for equal
    distributions, and it may exceed 1. Coverage is the share of real balls that hold a generated image.

    Args:
        num_features: width d of the extractor's features.
        k: the neighbour a ball reaches to.
    """

    def __init__(self, num_features: int, k: int = 5) -> None:
        super().__init__(num_features)
        self.k = k

    def compute(self) -> dict[str, Tensor]:
        """`{"density": ..., "coverage": ...}`, higher is better."""
        real, fake = self.sets(self.k + 1, f"k: {self.k} other images around each")
        radii = _radii(real, self.k)
        held = torch.zeros_like(radii, dtype=torch.long)  # generated images in each real ball
        for _, distances, rounding in _distances(fake, real):
            held += (distances < radii - rounding).sum(dim=0)
        return {"density": held.sum().double() / (self.k * len(fake)), "coverage": (held > 0).double().mean()}


def _distances(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Rows of the matrix (len(x), len(y)) of squared distances, some at a time: which, their values, their rounding."""
    centre = y.mean(dim=0)  # far from the origin the products would cancel
    x, y = x - centre, y - centre
    x_norms, y_norms = x.square().sum(dim=1, keepdim=True), y.square().sum(dim=1)
    rows = max(1, BLOCK // len(y))
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        norms = x_norms[part] + y_norms
        yield part, (norms - 2 * x[part] @ y.T).clamp_min_(0), ROUNDING * norms


def _radii(x: Tensor, k: int) -> Tensor:
    """Squared distance (N,) from each of x (N, d) to its k-th nearest other."""
    radii = []
    for part, distances, _ in _distances(x, x):
        distances[:, part].fill_diagonal_(torch.inf)  # not to itself, which an equal image would not be told from
        radii.append(distances.topk(k, dim=1, largest=False).values[:, -1])
    return torch.cat(radii)


def _share_within(points: Tensor, centres: Tensor, k: int) -> Tensor:
    """Share of `points` that lie in the closed ball of any of `centres`."""
    radii = _radii(centres, k)
    within = [(distances <= radii + rounding).any(dim=1) for _, distances, rounding in _distances(points, centres)]
    return torch.cat(within).double().mean()
