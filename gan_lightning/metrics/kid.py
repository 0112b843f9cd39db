"""Kernel inception distance."""

import numpy as np
import torch
from torch import Tensor
from torchmetrics.image.kid import poly_kernel, poly_mmd

from gan_lightning.metrics.base import PooledFeatureMetric

BLOCK = 1024  # rows of a kernel held in memory at once


class KernelInceptionDistance(PooledFeatureMetric):
    """KID, Bińkowski et al. 2018 (1801.01401): unbiased squared MMD with the kernel (x·y / d + 1)³.

    torchmetrics' kernel in float64, over torch-fidelity's seeded subsets: mean and population standard deviation over
    `subsets` draws of `subset_size` images from each set. About zero, and as often below it, for equal distributions.

    Args:
        num_features: width d of the extractor's features.
        subsets: number of draws.
        subset_size: images in each; must not exceed the smaller set.
        seed: of the draws; no global generator is touched.
    """

    def __init__(self, num_features: int, subsets: int = 100, subset_size: int = 1000, seed: int = 2020) -> None:
        super().__init__(num_features)
        self.subsets = subsets
        self.subset_size = subset_size
        self.seed = seed

    def compute(self) -> dict[str, Tensor]:
        """`{"kid": ..., "kid_std": ...}`, lower is better."""
        real, fake = self.sets(self.subset_size, f"subset_size: {self.subset_size}")
        rng = np.random.RandomState(self.seed)

        def draw(features: Tensor) -> Tensor:
            chosen = rng.choice(len(features), self.subset_size, replace=False)
            return torch.from_numpy(chosen).to(features.device)

        # generated before real, the order in which torch-fidelity is used to take its two inputs
        drawn = [(draw(fake), draw(real)) for _ in range(self.subsets)]
        if max(len(real), len(fake)) ** 2 <= self.subsets * self.subset_size**2:
            distance = self._from_whole_kernels(fake, real, drawn)
        else:
            distance = torch.stack([poly_mmd(fake[in_fake], real[in_real]) for in_fake, in_real in drawn])
        return {"kid": distance.mean(), "kid_std": distance.std(correction=0)}

    def _from_whole_kernels(self, x: Tensor, y: Tensor, drawn: list[tuple[Tensor, Tensor]]) -> Tensor:
        """The subsets' distances from kernels of all with all: fewer pairs, for small sets, than in all subsets."""
        in_x, in_y = x.new_zeros(self.subsets, len(x)), x.new_zeros(self.subsets, len(y))
        for subset, (chosen_x, chosen_y) in enumerate(drawn):
            in_x[subset, chosen_x] = 1
            in_y[subset, chosen_y] = 1

        def between(a: Tensor, b: Tensor, in_a: Tensor, in_b: Tensor) -> Tensor:
            """For each subset, the sum of the kernel over its pairs, (subsets,)."""
            blocks = zip(a.split(BLOCK), in_a.split(BLOCK, dim=1), strict=True)
            return torch.stack([((chosen @ poly_kernel(rows, b)) * in_b).sum(dim=1) for rows, chosen in blocks]).sum(
                dim=0
            )

        def within(a: Tensor, in_a: Tensor) -> Tensor:
            """The same over pairs of two different images of one set."""
            itself = (a.square().sum(dim=1) / a.shape[1] + 1) ** 3
            return between(a, a, in_a, in_a) - in_a @ itself

        size = self.subset_size
        apart = (within(x, in_x) + within(y, in_y)) / (size * (size - 1))
        return apart - 2 * between(x, y, in_x, in_y) / size**2
