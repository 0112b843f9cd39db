"""Nearest neighbours in feature space, and the metrics of how much of one set lies within the other's reach.

Distances are Euclidean, by matrix products in float64, a block of the matrix at a time: memory grows with the number of
images and not with its square. Copies of images make ties, which rounding must not decide: what is equal but for it is
equal. The neighbours found for a set are remembered by its content: the real images of a run are searched once.
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
SEARCHED = 5  # neighbours that a search finds at least, so that metrics that want a few each share one search
REMEMBERED = 8  # searches

_searches: OrderedDict[tuple[str, str], tuple[Tensor, Tensor]] = OrderedDict()


class PrecisionRecall(PooledFeatureMetric):
    """Improved precision and recall, Kynkäänniemi et al. 2019 (1904.06991), balls closed as in their code.

    Around each image of a set lies a ball that reaches to its k-th nearest OTHER image of the set, in feature space.
    Precision is the share of generated images that lie in a real image's ball, recall the share of real images that lie
    in a generated one's. Both depend on the numbers of images: compare only values from equally many.

    Args:
        num_features: width d of the extractor's features.
        k: the neighbour a ball reaches to.
    """

    def __init__(self, num_features: PositiveInt, k: PositiveInt = 3) -> None:
        super().__init__(num_features)
        self.k = k

    def compute(self) -> dict[str, Tensor]:
        """`{"precision": ..., "recall": ...}`, each in [0, 1], higher is better."""
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

    Around each real image lies a ball that reaches to its k-th nearest other. Density is the mean number of real balls
    that a generated image lies in, divided by k; about 1 for equal distributions, and it may exceed 1. Coverage is the
    share of real balls that hold a generated image; it grows with the number of these.

    Args:
        num_features: width d of the extractor's features.
        k: the neighbour a ball reaches to.
    """

    def __init__(self, num_features: PositiveInt, k: PositiveInt = 5) -> None:
        super().__init__(num_features)
        self.k = k

    def compute(self) -> dict[str, Tensor]:
        """`{"density": ..., "coverage": ...}`, higher is better."""
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
    """The k real images nearest to each generated one, nearest first.

    Exact search, 2 M N d operations in float64: 50,000 among 50,000 of 2048 features take minutes on two cores, with a
    progress bar on rank zero. Asked again with the same features, it remembers.

    Args:
        fake: features (M, d) of generated images, or of any others to find neighbours for.
        real: features (N, d) of the images to search.
        k: neighbours of each.

    Returns:
        Euclidean distances (M, k), float64, exactly 0 for copies; and indices (M, k) into `real`, int64.

    Raises:
        ValueError: where the features are of different widths or not finite, or there are fewer than `k` real ones.
    """
    if fake.ndim != 2 or real.ndim != 2 or fake.shape[1] != real.shape[1]:
        raise ValueError(
            f"neighbours are searched among features (N, d) for features (M, d) of one extractor, "
            f"not among {tuple(real.shape)} for {tuple(fake.shape)}"
        )
    if not 1 <= k <= len(real):
        raise ValueError(f"k: {k} nearest of {len(real)} real images cannot be found: choose k from 1 to {len(real)}")
    if not (fake.isfinite().all() and real.isfinite().all()):
        raise ValueError("neighbours of NaN or infinite features do not exist: look at what the extractor was given")
    return _search(fake, real, k)


def nearest_others(images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k nearest OTHER images of the same set to each, features (N, d), with k < N; as `nearest_neighbours` has it.

    A copy of an image is another image.
    """
    return _search(images, None, k)


def _squared_radii(x: Tensor, k: int) -> Tensor:
    """Squared distance (N,) from each of x (N, d) to its k-th nearest other."""
    return nearest_others(x, k)[0][:, -1].square()


def _search(x: Tensor, y: Tensor | None, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest of y, or others of x, to each of x; from memory where the same sets were searched before."""
    key = _name(x), "" if y is None else _name(y)
    if key not in _searches or _searches[key][0].shape[1] < k:
        _searches[key] = _nearest(x, y, min(max(k, SEARCHED), len(x) - 1 if y is None else len(y)))
    _searches.move_to_end(key)
    while len(_searches) > REMEMBERED:
        _searches.popitem(last=False)
    distances, indices = _searches[key]
    return distances[:, :k].clone(), indices[:, :k].clone()


def _name(x: Tensor) -> str:
    """The same for the same features on the same device only."""
    digest = hashlib.sha256(f"{x.device} {x.dtype} {tuple(x.shape)}".encode())
    digest.update(x.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _nearest(x: Tensor, y: Tensor | None, k: int) -> tuple[Tensor, Tensor]:
    """Euclidean distances and indices (len(x), k) of the k nearest of y, or others of x, to each of x."""
    squared = torch.full((len(x), k), torch.inf, dtype=torch.float64, device=x.device)
    indices = torch.zeros_like(squared, dtype=torch.long)

    def take_in(rows: slice, block: Tensor, start: int) -> None:
        found = block.topk(min(k, block.shape[1]), dim=1, largest=False)
        squared[rows], chosen = torch.cat([squared[rows], found.values], dim=1).topk(k, dim=1, largest=False)
        indices[rows] = torch.cat([indices[rows], found.indices + start], dim=1).gather(1, chosen)

    for rows, columns, block in _squared_distances(x, y):
        if y is None and rows == columns:
            block.fill_diagonal_(torch.inf)  # an image is no neighbour of itself; a copy of it, not told from it, is
        take_in(rows, block, columns.start)
        if y is None and rows != columns:
            take_in(columns, block.T, rows.start)

    # once more without the cancellation in products, after which a copy is not quite at distance 0
    distances = torch.empty_like(squared)
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        for column in range(k):
            neighbours = (x if y is None else y)[indices[rows, column]]
            distances[rows, column] = torch.linalg.vector_norm(x[rows].double() - neighbours.double(), dim=1)
    distances, order = distances.sort(dim=1)
    return distances, indices.gather(1, order)


def _squared_distances(x: Tensor, y: Tensor | None, rounding: float = 0) -> Iterator[tuple[slice, slice, Tensor]]:
    """Blocks of the matrix of squared distances from x to y: their rows, their columns, their values in float64.

    Of x to itself (y: None) those below the diagonal are left out. To the values is added `rounding` of the squared
    norms. Without it they may be as little as that below zero.
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
