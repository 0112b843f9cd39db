"""Kernel inception distance."""

import numpy as np
import torch
from torch import Tensor
from torchmetrics.image.kid import poly_mmd

from gan_lightning.metrics.base import PooledFeatureMetric


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
            return features[torch.from_numpy(chosen).to(features.device)]

        # generated before real, the order in which torch-fidelity is used to take its two inputs
        distances = [poly_mmd(draw(fake), draw(real)) for _ in range(self.subsets)]
        distance = torch.stack(distances)
        return {"kid": distance.mean(), "kid_std": distance.std(correction=0)}
