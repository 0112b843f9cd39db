"""Nearest neighbours in feature space, and the metrics that count which images lie within the reach of others.

Distances are Euclidean, by matrix products in float64, a block of the matrix at a time: memory grows with the number of
images, not with its square. Copies of images make ties, which rounding must not decide: distances that are equal up to
rounding count as equal. The neighbours found for a set are cached by its content: a run searches its real images once.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import Tensor

from gan_lightning.metrics.base import PooledFeatureMetric
from gan_lightning.metrics.progress import progress
from gan_lightning.ranges import PositiveInt

BLOCK = 2048  # rows and columns of the matrix of distances at a time: 32 MiB
ROUNDING = 1e-12  # of a squared distance, relative to the squared norms: float64, up to 4096 features
SEARCHED = 5  # least number of neighbours in a search, so that metrics with few neighbours share one search
REMEMBERED = 8  # number of cached searches

_searches: OrderedDict[tuple[str, str], tuple[Tensor, Tensor]] = OrderedDict()


class PrecisionRecall(PooledFeatureMetric):
    """Improved precision and recall, Kynkäänniemi et al. 2019 (1904.06991), balls closed as in their code.

    Each image of a set has a ball in feature space that reaches to its k-th nearest OTHER image of the set. Precision
    is the share of generated images in the ball of a real image. Recall is the share of real images in the ball of a
    generated image. Both depend on the numbers of images: compare only values from equally many.

    Args:
        num_features: width d of the extractor's features.
        k: number of the neighbour that a ball reaches to.
    """

    def __init__(self, num_features: PositiveInt, k: PositiveInt = 3) -> None:
        super().__init__(num_features)
        self.k = k

    def compute(self) -> dict[str, Tensor]:
        """Return `{"precision": ..., "recall": ...}`, each in [0, 1], higher is better."""
        real, fake = self.kept(self.k + 1, f"k: {self.k} other images around each")
        real_radii, fake_radii = _squared_radii(real, self.k), _squared_radii(fake, self.k)
        precise = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
        recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
        for rows, columns, distances in _squared_distances(fake, real, -ROUNDING):
            precise[rows] |= (distances <= real_radii[columns]).any(dim=1)
            recalled[columns] |= (distances <= fake_radii[rows, None]).any(dim=0)
        return {"precision": precise.double().mean(), "recall": recalled.double().mean()}


class DensityCoverage(PooledFeatureMetric):
    """Density and coverage, Naeem et al. 2020 (2002.09797), balls open as in their code.

    Each real image has a ball that reaches to its k-th nearest other. Density is the mean number of real balls that a
    generated image lies in, divided by k; it is about 1 for equal distributions, and may exceed 1. Coverage is the
    share of real balls that hold a generated image; it grows with the number of generated images.

    Args:
        num_features: width d of the extractor's features.
        k: number of the neighbour that a ball reaches to.
    """

    def __init__(self, num_features: PositiveInt, k: PositiveInt = 5) -> None:
        super().__init__(num_features)
        self.k = k

    def compute(self) -> dict[str, Tensor]:
        """Return `{"density": ..., "coverage": ...}`, higher is better."""
        real, fake = self.kept(self.k + 1, f"k: {self.k} other images around each")
        radii = _squared_radii(real, self.k)
        inside = torch.zeros((), dtype=torch.long, device=real.device)  # pairs of a real ball and a fake in it
        covered = torch.zeros(len(real), dtype=torch.bool, device=real.device)
        for _, columns, distances in _squared_distances(fake, real, ROUNDING):
            within = distances < radii[columns]
            inside += within.count_nonzero()
            covered[columns] |= within.any(dim=0)
        return {"density": inside.double() / (self.k * len(fake)), "coverage": covered.double().mean()}


def nearest_neighbours(fake: Tensor, real: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """Find the k real images nearest to each generated one, nearest first.

    The search is exact, with 2 M N d operations in float64: 50,000 among 50,000 of 2048 features take minutes on two
    cores, with a progress bar on rank zero. A repeated search with the same features comes from a cache.

    Args:
        fake: features (M, d) of generated images, or of any other images.
        real: features (N, d) of the images to search.
        k: number of neighbours of each.

    Returns:
        Euclidean distances (M, k), float64, exactly 0 for copies; and indices (M, k) into `real`, int64.

    Raises:
        ValueError: the features differ in width or are not finite, or there are fewer than `k` real ones.
    """
    if fake.ndim != 2 or real.ndim != 2 or fake.shape[1] != real.shape[1]:
        raise ValueError(
            f"neighbours are searched among features (N, d) for features (M, d) of one extractor, "
            f"not among {tuple(real.shape)} for {tuple(fake.shape)}"
        )
    if not 1 <= k <= len(real):
        raise ValueError(f"k: {k} nearest of {len(real)} real images cannot be found: choose k from 1 to {len(real)}")
    if not (fake.isfinite().all() and real.isfinite().all()):
        raise ValueError("neighbours of NaN or infinite features do not exist: check the images and the extractor")
    return _search(fake, real, k)


def nearest_others(images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """Find the k nearest OTHER images of the same set to each, features (N, d), with k < N; see `nearest_neighbours`.

    A copy of an image counts as another image.
    """
    return _search(images, None, k)


def _squared_radii(x: Tensor, k: int) -> Tensor:
    """Return the squared distance (N,) from each of x (N, d) to its k-th nearest other."""
    return nearest_others(x, k)[0][:, -1].square()


def _search(x: Tensor, y: Tensor | None, k: int) -> tuple[Tensor, Tensor]:
    """Find the k nearest of y, or other ones of x, to each of x; take repeated searches from the cache."""
    key = _name(x), "" if y is None else _name(y)
    if key not in _searches or _searches[key][0].shape[1] < k:
        _searches[key] = _nearest(x, y, min(max(k, SEARCHED), len(x) - 1 if y is None else len(y)))
    _searches.move_to_end(key)
    while len(_searches) > REMEMBERED:
        _searches.popitem(last=False)
    distances, indices = _searches[key]
    return distances[:, :k].clone(), indices[:, :k].clone()


def _name(x: Tensor) -> str:
    """Return a name that is equal only for the same features on the same device."""
    digest = hashlib.sha256(f"{x.device} {x.dtype} {tuple(x.shape)}".encode())
    digest.update(x.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _nearest(x: Tensor, y: Tensor | None, k: int) -> tuple[Tensor, Tensor]:
    """Return Euclidean distances and indices (len(x), k) of the k nearest of y, or other ones of x, to each of x."""
    squared = torch.full((len(x), k), torch.inf, dtype=torch.float64, device=x.device)
    indices = torch.zeros_like(squared, dtype=torch.long)

    def take_in(rows: slice, block: Tensor, start: int) -> None:
        found = block.topk(min(k, block.shape[1]), dim=1, largest=False)
        squared[rows], chosen = torch.cat([squared[rows], found.values], dim=1).topk(k, dim=1, largest=False)
        indices[rows] = torch.cat([indices[rows], found.indices + start], dim=1).gather(1, chosen)

    for rows, columns, block in _squared_distances(x, y):
        if y is None and rows == columns:
            block.fill_diagonal_(torch.inf)  # an image is not its own neighbour; a copy is, even if it seems the same
        take_in(rows, block, columns.start)
        if y is None and rows != columns:
            take_in(columns, block.T, rows.start)

    # compute again without the cancellation in products, which leaves a copy not quite at distance 0
    distances = torch.empty_like(squared)
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        for column in range(k):
            neighbours = (x if y is None else y)[indices[rows, column]]
            distances[rows, column] = torch.linalg.vector_norm(x[rows].double() - neighbours.double(), dim=1)
    distances, order = distances.sort(dim=1)
    return distances, indices.gather(1, order)


def _squared_distances(x: Tensor, y: Tensor | None, rounding: float = 0) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield blocks of the matrix of squared distances from x to y: their rows, columns and values in float64.

    For x to itself (y: None), blocks below the diagonal are left out. The values are increased by `rounding` times the
    squared norms. With 0, they may be below zero by that amount.
    """
    others = x if y is None else y
    centre = others[:BLOCK].double().mean(dim=0)  # far from the origin the products would cancel
    tops, lefts = range(0, len(x), BLOCK), range(0, len(others), BLOCK)
    blocks = len(tops) * (len(tops) + 1) // 2 if y is None else len(tops) * len(lefts)
    with progress("nearest neighbours", total=blocks) as bar:
        for top in tops:
            rows = slice(top, top + BLOCK)
            a = x[rows].double() - centre
            a_norms = torch.linalg.vector_norm(a, dim=1, keepdim=True) ** 2
            for left in lefts:
                if y is None and left < top:
                    continue
                columns = slice(left, left + BLOCK)
                b = others[columns].double() - centre
                norms = a_norms + torch.linalg.vector_norm(b, dim=1) ** 2
                yield rows, columns, torch.addmm(norms, a, b.T, beta=1 + rounding, alpha=-2)
                bar.update()
