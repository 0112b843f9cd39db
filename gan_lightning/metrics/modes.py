"""How many modes of the data a generator makes: of a classifier's classes, and of mixtures of Gaussians."""

import math

import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from gan_lightning.extractors.base import Features
from gan_lightning.metrics.base import FeatureMetric, TooFewSamplesError
from gan_lightning.ranges import PositiveInt

STRAY = 3  # a mode with less than its share divided by this may be hit by strays only
RADIUS = 3  # standard deviations around a mode that count as high quality


class ModesCovered(FeatureMetric):
    """Modes counted by a classifier, as VEEGAN (1705.07761) and PacGAN (1712.04086) do for stacked MNIST.

    Each image belongs to the class of its largest logit. For K modes:

    - `modes_covered`: modes that at least one generated image belongs to, 0 to K, higher is better. The published
      count, which one stray image may raise, and which grows with their number.
    - `modes_covered_fairly`: modes of which the generated images hold at least a third of the share that real ones
      have; a mode that the real images lack never counts. 0 to K, higher is better.
    - `modes_kl`: KL(generated || real) between the two histograms of modes, in nats, from 0 up, lower is better.
      A mode that no real image belongs to counts as if one did, which keeps it finite.
    - `modes_rarest`: share of the generated images that belong to their rarest mode, 0 to 1/K; 0 where one is missing.

    The extractor's logits say what a mode is: for stacked MNIST those of all 1,000 triples of digits.

    Args:
        num_features: width d of the extractor's features.
    """

    real_counts: list[Tensor]
    fake_counts: list[Tensor]

    def __init__(self, num_features: PositiveInt) -> None:
        super().__init__(num_features)
        # rows (1, K) of floats: K is known from the first logits on, which a rank without images never sees
        self.add_state("real_counts", [], dist_reduce_fx="cat")
        self.add_state("fake_counts", [], dist_reduce_fx="cat")

    def update(self, features: Features, real: bool) -> None:
        """Count the modes of some images, real or generated (`real=False`)."""
        known = next((counts.shape[1] for counts in (*self.real_counts, *self.fake_counts)), None)
        logits = self.check(features.logits, known)
        counts = logits.argmax(dim=1).bincount(minlength=logits.shape[1]).float().unsqueeze(0)
        (self.real_counts if real else self.fake_counts).append(counts)

    def compute(self) -> dict[str, Tensor]:
        """The values above by name."""
        none = torch.zeros(1, 1)
        real, fake = (
            (dim_zero_cat(kept) if len(kept) else none).double().sum(dim=0)
            for kept in (self.real_counts, self.fake_counts)
        )
        self.require(int(min(real.sum(), fake.sum())), 1, "a histogram of modes is made of each")
        share, wanted = fake / fake.sum(), real.clamp_min(1)
        fair = (STRAY * fake * real.sum() >= real * fake.sum()) & (
            real > 0
        )  # products of whole numbers, without rounding
        return {
            "modes_covered": (fake > 0).sum().double(),
            "modes_covered_fairly": fair.sum().double(),
            "modes_kl": _divergence(share, wanted / wanted.sum()),
            "modes_rarest": share.min(),
        }


def nearest_modes(samples: Tensor, means: Tensor, std: float | Tensor) -> tuple[Tensor, Tensor]:
    """Which mode of a mixture of round Gaussians each sample belongs to, and how far it is away.

    Args:
        samples: (N, D).
        means: (K, D), of the modes.
        std: standard deviation along each axis, of all modes or of each, (K,).

    Returns:
        The nearest mode's index, int64 (N,), and the distance to its mean in its standard deviations, float64 (N,).
    """
    # not by matrix products, which would leave nothing of small distances far from the origin
    distances = torch.cdist(samples.double(), means.double(), compute_mode="donot_use_mm_for_euclid_dist") / std
    nearest = distances.min(dim=1)
    return nearest.indices, nearest.values


def mixture_coverage(samples: Tensor, means: Tensor, std: float | Tensor) -> dict[str, Tensor]:
    """How well samples cover a mixture of K equally heavy, round Gaussians: PacGAN (1712.04086) and its code.

    A sample is of high quality when it lies within 3 standard deviations of the nearest mode's mean. Float64 scalars:

    - `modes_covered`: modes that at least one sample of high quality belongs to, 0 to K, higher is better.
    - `modes_covered_fairly`: modes that at least N / 3K of them belong to, 0 to K, higher is better.
    - `high_quality`: their share of all samples, higher is better. In two dimensions the mixture itself has
      1 - exp(-4.5) = 0.98889, in one 0.99730.
    - `modes_kl`: KL(samples of high quality || uniform) between histograms of modes, in nats, 0 to log K, lower is
      better; log K, as if all belonged to one mode, where there is none.

    Args:
        samples: (N, D), of the generator; 2,500 in the publication.
        means: (K, D), of the modes.
        std: standard deviation along each axis, of all modes or of each, (K,).

    Raises:
        ValueError: where samples are NaN or infinite.
        TooFewSamplesError: where there are none.
    """
    if not samples.isfinite().all():
        raise ValueError("mixture_coverage was given NaN or infinite samples: the generator has diverged")
    if len(samples) == 0:
        raise TooFewSamplesError("mixture_coverage needs at least 1 sample, and there is none")
    modes, distances = nearest_modes(samples, means, std)
    counts = modes[distances < RADIUS].bincount(minlength=len(means)).double()
    good, uniform = counts.sum(), torch.full_like(counts, 1 / len(means))
    return {
        "modes_covered": (counts > 0).sum().double(),
        "modes_covered_fairly": (STRAY * counts * len(means) >= len(samples)).sum().double(),
        "high_quality": good / len(samples),
        "modes_kl": _divergence(counts / good, uniform) if good > 0 else counts.new_tensor(math.log(len(means))),
    }


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of two histograms (K,) of sum 1, q nowhere zero."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()
