"""Inception score."""

import numpy as np
import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from gan_lightning.metrics.base import FeatureMetric
from gan_lightning.metrics.extractors import Features


class InceptionScore(FeatureMetric):
    """IS, Salimans et al. 2016 (1606.03498): exp E_x KL(p(y|x) || p(y)), between 1 and the number of classes.

    By torch-fidelity's arithmetic, from which torchmetrics' differs: images shuffled with a fixed seed, `splits` parts
    that differ by one image at most, float64, mean and population standard deviation over the parts. Reals are ignored.

    Args:
        num_features: width d of the extractor's features.
        splits: number of parts.
        seed: of the shuffle; no global generator is touched.
    """

    fake_logits: list[Tensor]

    def __init__(self, num_features: int, splits: int = 10, seed: int = 2020) -> None:
        super().__init__(num_features)
        self.splits = splits
        self.seed = seed
        self.add_state("fake_logits", [], dist_reduce_fx="cat")

    def update(self, features: Features, real: bool) -> None:
        """Keep the logits of generated images."""
        if not real:
            self.fake_logits.append(self.check(features.logits))

    def compute(self) -> dict[str, Tensor]:
        """`{"inception_score": ..., "inception_score_std": ...}`, higher is better."""
        logits = dim_zero_cat(self.fake_logits) if len(self.fake_logits) else torch.empty(0, 1)
        count = len(logits)
        self.require(count, self.splits, f"one for each of {self.splits} splits")
        order = torch.from_numpy(np.random.RandomState(self.seed).permutation(count))
        log_p = logits[order.to(logits.device)].double().log_softmax(dim=1)
        scores = []
        for i in range(self.splits):
            part = log_p[i * count // self.splits : (i + 1) * count // self.splits]
            # the marginal in logarithms too: a class that no image is given would otherwise make 0 * log 0
            log_marginal = part.logsumexp(dim=0) - np.log(len(part))
            scores.append((part.exp() * (part - log_marginal)).sum(dim=1).mean().exp())
        score = torch.stack(scores)
        return {"inception_score": score.mean(), "inception_score_std": score.std(correction=0)}
