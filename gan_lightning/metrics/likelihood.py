"""The likelihood of real images under a model that has one."""

import math

import torch
from torch import Tensor

from gan_lightning.metrics.base import EvaluationMetric


class NegativeLogLikelihood(EvaluationMetric):
    """-log p(x) of real images x, as nats an image and as bits a dimension, that is, a value of a channel of a pixel.

    p is the probability of integer values. Numbers are comparable only under one protocol: whether p is exact or a
    bound, and how pixels become the values that it is of (256 levels; black and white by a fixed or a fresh draw). An
    evaluation's report states it as `likelihood`. NOTE: a mean over all images given; published numbers are often of
    the test split.
    """

    real_nats: Tensor
    real_images: Tensor
    real_values: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("real_nats", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("real_images", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("real_values", torch.tensor(0), dist_reduce_fx="sum")

    def reset(self, keep_real: bool = False) -> None:
        """Forget all images: a model that has learnt gives others their probabilities."""
        super().reset()

    def update(self, nats: Tensor, values: int) -> None:
        """Add some images.

        Args:
            nats: -log p of each, (N,).
            values: number of values of an image: channels times height times width.
        """
        self.real_nats = self.real_nats + nats.double().sum()
        self.real_images = self.real_images + len(nats)
        self.real_values = self.real_values + len(nats) * values

    def compute(self) -> dict[str, Tensor]:
        """Return `{"nats": ..., "bits_per_dim": ...}`.

        Raises:
            TooFewSamplesError: the model gave no image a probability.
        """
        self.require(int(self.real_images), 1, "with a probability, which the model gives none of these")
        return {
            "nats": self.real_nats / self.real_images,
            "bits_per_dim": self.real_nats / self.real_values / math.log(2),
        }
