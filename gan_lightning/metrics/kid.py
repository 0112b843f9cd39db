"""Kernel inception distance."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gan_lightning.metrics.base import PooledFeatureMetric
from gan_lightning.metrics.memo import Memo
from gan_lightning.ranges import NonNegativeInt, PositiveInt

BLOCK = 256  # rows of a kernel in memory at once; blocks below the diagonal of a symmetric kernel are not computed


class KernelInceptionDistance(PooledFeatureMetric):
    """KID, Bińkowski et al. 2018 (1801.01401): unbiased squared MMD with the kernel (x·y / d + 1)³.

    It is computed in float64 over torch-fidelity's seeded subsets: mean and population standard deviation over
    `subsets` draws of `subset_size` images from each set. Lower is better; for equal distributions it is about zero,
    and as often below as above. The standard deviation is that of a subset, not the mean's error. The kernel sums among
    real images are kept from one evaluation to the next while the images and the draws stay the same.

    Args:
        num_features: width d of the extractor's features.
        subsets: number of draws.
        subset_size: number of images in each, at least 2 and at most the size of the smaller set. None = one subset of
            all images, for sets of fewer than the published 1,000; there is no standard deviation then.
        seed: seed of the draws. Global generators are not used.
    """

    def __init__(
        self,
        num_features: PositiveInt,
        subsets: PositiveInt = 100,
        subset_size: PositiveInt | None = 1000,
        seed: NonNegativeInt = 2020,
    ) -> None:
        super().__init__(num_features)
        if subsets < 1 or (subset_size is not None and subset_size < 2):
            raise ValueError(
                f"KernelInceptionDistance takes at least 1 subset of at least 2 images, not subsets: {subsets} and "
                f"subset_size: {subset_size}"
            )
        self.subsets = subsets
        self.subset_size = subset_size
        self.seed = seed
        self._among_reals = Memo()

    def compute(self) -> dict[str, Tensor]:
        """Return `{"kid": ..., "kid_std": ...}`, lower is better."""
        real, fake = self.kept(self.subset_size or 2, f"subset_size: {self.subset_size}")
        in_fake, in_real = self._subsets(real, fake)
        # in small sets, there are fewer pairs of all images than pairs in all subsets
        small = max(len(real), len(fake)) ** 2 <= in_fake.numel() * in_real.shape[1]

        def within(x: Tensor, chosen: Tensor) -> Tensor:
            return torch.cat([_sum_within(*part) for part in _parts(x, chosen, small)])

        pairs = zip(_parts(fake, in_fake, small), _parts(real, in_real, small), strict=True)
        between = torch.cat([_sum_between(*of_fake, *of_real) for of_fake, of_real in pairs])
        fakes, reals = in_fake.shape[1], in_real.shape[1]
        apart = within(fake, in_fake) / (fakes * (fakes - 1))
        apart += self._among_reals(within, real, in_real) / (reals * (reals - 1))
        distance = apart - 2 * between / (fakes * reals)
        spread = {} if self.subset_size is None else {"kid_std": distance.std(correction=0)}
        return {"kid": distance.mean(), **spread}

    def _subsets(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return the indices of the generated and of the real images in each subset, (S, size) each."""
        if self.subset_size is None:
            return torch.arange(len(fake), device=fake.device)[None], torch.arange(len(real), device=real.device)[None]
        rng = np.random.RandomState(self.seed)

        def draw(features: Tensor) -> Tensor:
            chosen = rng.choice(len(features), self.subset_size, replace=False)
            return torch.from_numpy(chosen).to(features.device)

        # generated before real, the usual order of torch-fidelity's two inputs
        drawn = [(draw(fake), draw(real)) for _ in range(self.subsets)]
        return torch.stack([of_fake for of_fake, _ in drawn]), torch.stack([of_real for _, of_real in drawn])


def _parts(x: Tensor, subsets: Tensor, together: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images in float64 with their weights, 1 or 0, in each subset (S, size) of x (N, d), given as indices.

    If `together`, all images and weights (S, N) come at once. Otherwise each subset's images follow, with weights
    (1, size).
    """
    if together:
        x = x.double()
        yield x, x.new_zeros(len(subsets), len(x)).scatter_(1, subsets, 1)
    else:
        for chosen in subsets:
            part = x[chosen].double()
            yield part, part.new_ones(1, len(chosen))


def _sum_within(x: Tensor, weights: Tensor) -> Tensor:
    """Return for each row of `weights` (S, N) the kernel's sum over ordered pairs of different images of x, (S,)."""
    sums = x.new_zeros(len(weights))
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        kernel = _kernel(x[rows], x[start:]).triu_(diagonal=1)  # symmetric: every pair of different images once
        sums += ((weights[:, rows] @ kernel) * weights[:, start:]).sum(dim=1)
    return 2 * sums


def _sum_between(x: Tensor, in_x: Tensor, y: Tensor, in_y: Tensor) -> Tensor:
    """Return for each row of weights the kernel's sum over pairs of one image of x and one of y, (S,)."""
    sums = x.new_zeros(len(in_x))
    for rows, weights in zip(x.split(BLOCK), in_x.split(BLOCK, dim=1), strict=True):
        sums += ((weights @ _kernel(rows, y)) * in_y).sum(dim=1)
    return sums


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """Return the kernel matrix (N, M) of x (N, d) and y (M, d)."""
    return (x @ y.T).div_(x.shape[1]).add_(1).pow_(3)
