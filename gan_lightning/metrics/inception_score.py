"""Inception score: of parts of the generated images, and of infinitely many."""

import itertools
import math

import numpy as np
import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from gan_lightning.extractors.base import Features
from gan_lightning.metrics.base import FeatureMetric
from gan_lightning.metrics.extrapolation import SPAN, at_infinity
from gan_lightning.ranges import NonNegativeInt, PositiveInt


class _OfFakeLogits(FeatureMetric):
    """Base of the metrics that only need the logits of the generated images."""

    fake_logits: list[Tensor]

    def __init__(self, num_features: PositiveInt) -> None:
        super().__init__(num_features)
        self.add_state("fake_logits", [], dist_reduce_fx="cat")

    def update(self, features: Features, real: bool) -> None:
        """Keep the logits of generated images; ignore real ones."""
        if not real:
            self.fake_logits.append(self.check(features.logits))

    def logits(self) -> Tensor:
        """Return all kept logits, float32 (N, K)."""
        return dim_zero_cat(self.fake_logits) if len(self.fake_logits) else torch.empty(0, 1)


class InceptionScore(_OfFakeLogits):
    """IS, Salimans et al. 2016 (1606.03498): exp E_x KL(p(y|x) || p(y)), between 1 and the number of classes.

    Higher is better. The arithmetic is that of torch-fidelity, from which torchmetrics differs: images are shuffled
    with a fixed seed, and divided into `splits` parts whose sizes differ by at most one image; the result is the
    float64 mean and population standard deviation over the parts. Real images are ignored.

    Args:
        num_features: width d of the extractor's features.
        splits: number of parts.
        seed: seed of the shuffle. Global generators are not used.
    """

    def __init__(self, num_features: PositiveInt, splits: PositiveInt = 10, seed: NonNegativeInt = 2020) -> None:
        super().__init__(num_features)
        self.splits = splits
        self.seed = seed

    def compute(self) -> dict[str, Tensor]:
        """Return `{"inception_score": ..., "inception_score_std": ...}`, higher is better."""
        logits = self.logits()
        count = len(logits)
        self.require(count, self.splits, f"one for each of {self.splits} splits")
        order = torch.from_numpy(np.random.RandomState(self.seed).permutation(count))
        log_p = logits[order.to(logits.device)].double().log_softmax(dim=1)
        bounds = [i * count // self.splits for i in range(self.splits + 1)]
        score = torch.stack([_score(log_p[start:stop]) for start, stop in itertools.pairwise(bounds)])
        return {"inception_score": score.mean(), "inception_score_std": score.std(correction=0)}


class InceptionScoreInfinity(_OfFakeLogits):
    """IS∞, Chong & Forsyth 2020 (1911.07023): the inception score of infinitely many images, by extrapolation.

    The score, in one part, is linear in 1/N. A line is fitted to the scores of 15 subsets, from a tenth of the images
    to all of them, and extended to 1/N = 0. Higher is better, up to the number of classes, which noise may exceed
    slightly. At least 10 images a class are needed (10,080 for Inception's 1,008); the publication has 50,000. Real
    images are ignored.

    Args:
        num_features: width d of the extractor's features.
        seed: seed of the subsets. Global generators are not used.
    """

    def __init__(self, num_features: PositiveInt, seed: NonNegativeInt = 2020) -> None:
        super().__init__(num_features)
        self.seed = seed

    def compute(self) -> dict[str, Tensor]:
        """Return `{"inception_score_infinity": ...}`, higher is better."""
        logits = self.logits()
        classes = logits.shape[1]
        self.require(len(logits), SPAN * max(classes, 2), f"{SPAN} for each of {classes} classes")
        log_p = logits.double().log_softmax(dim=1)
        score = at_infinity(lambda chosen: _score(log_p[chosen.to(log_p.device)]), len(log_p), self.seed)
        return {"inception_score_infinity": score}


def _score(log_p: Tensor) -> Tensor:
    """Return the score of images with these logarithms of class probabilities (N, K)."""
    # the marginal in logarithms too, since a class without images would give 0 * log 0
    log_marginal = log_p.logsumexp(dim=0) - math.log(len(log_p))
    return (log_p.exp() * (log_p - log_marginal)).sum(dim=1).mean().exp()
