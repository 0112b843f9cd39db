"""The number of modes of the data in a generator's images: classes of a classifier, or Gaussians of a mixture."""

import math

import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from gan_lightning.extractors.base import Features
from gan_lightning.metrics.base import FeatureMetric, TooFewSamplesError
from gan_lightning.ranges import PositiveInt

STRAY = 3  # a mode with less than its share divided by this number counts as hit by chance
RADIUS = 3  # standard deviations around a mode that count as high quality


class ModesCovered(FeatureMetric):
    """Modes counted by a classifier, as VEEGAN (1705.07761) and PacGAN (1712.04086) do for stacked MNIST.

    Each image belongs to the class of its largest logit. For K modes:

    - `modes_covered`: modes with at least one generated image, 0 to K, higher is better. This is the published count,
      which a single stray image may raise, and which grows with the number of images.
    - `modes_covered_fairly`: modes whose share of the generated images is at least a third of their share of the real
      ones; a mode without real images never counts. 0 to K, higher is better.
    - `modes_kl`: KL(generated || real) between the two histograms of modes, in nats, from 0 up, lower is better.
      A mode without real images counts as if it had one, which keeps the value finite.
    - `modes_kl_floor`: its expected value for as many images without any error.
    - `modes_kl_uniform`: KL(generated || uniform), in nats, 0 to log K, lower is better: the published value.
    - `modes_kl_uniform_floor`: its expected value for as many images without any error. It is above 0, because images
      are few, and the modes of the data are not equally frequent.
    - `modes_rarest`: share of the generated images in their rarest mode, 0 to 1/K; 0 if a mode is missing.

    The floors are those of independent draws from the data, of which the real images are a sample; see `excess`. They
    are right to first order in the number of modes over the number of images.

    The extractor's logits define the modes: for stacked MNIST those of all 1,000 triples of digits.

    Args:
        num_features: width d of the extractor's features.
    """

    real_counts: list[Tensor]
    fake_counts: list[Tensor]

    def __init__(self, num_features: PositiveInt) -> None:
        super().__init__(num_features)
        # rows (1, K) of floats: K is known from the first logits on, which a rank without images never gets
        self.add_state("real_counts", [], dist_reduce_fx="cat")
        self.add_state("fake_counts", [], dist_reduce_fx="cat")

    def update(self, features: Features, real: bool) -> None:
        """Count the modes of some images, real or generated (`real=False`)."""
        known = next((counts.shape[1] for counts in (*self.real_counts, *self.fake_counts)), None)
        logits = self.check(features.logits, known)
        counts = logits.argmax(dim=1).bincount(minlength=logits.shape[1]).float().unsqueeze(0)
        (self.real_counts if real else self.fake_counts).append(counts)

    def compute(self) -> dict[str, Tensor]:
        """Return the values of the class's docstring by name."""
        none = torch.zeros(1, 1)
        real, fake = (
            (dim_zero_cat(kept) if len(kept) else none).double().sum(dim=0)
            for kept in (self.real_counts, self.fake_counts)
        )
        self.require(int(min(real.sum(), fake.sum())), 1, "each needs a histogram of modes")
        share, reference = fake / fake.sum(), real.clamp_min(1)
        uniform = torch.full_like(share, 1 / len(share))
        found = real / real.sum()
        # the sample of real images has an excess of its own, and both have one where they are compared
        floors = [excess(found, int(counts.sum())) for counts in (fake, real)]
        # products of integers, without rounding
        fair = (STRAY * fake * real.sum() >= real * fake.sum()) & (real > 0)
        return {
            "modes_covered": (fake > 0).sum().double(),
            "modes_covered_fairly": fair.sum().double(),
            "modes_kl": _divergence(share, reference / reference.sum()),
            "modes_kl_floor": floors[0] + floors[1],
            "modes_kl_uniform": _divergence(share, uniform),
            "modes_kl_uniform_floor": (_divergence(found, uniform) + floors[0] - floors[1]).clamp_min(0),
            "modes_rarest": share.min(),
        }


def excess(share: Tensor, count: int) -> Tensor:
    """Return the expected KL(q || p) of the histogram q of `count` independent draws from p: about (K - 1) / 2N.

    This is exact: by its linearity, the expectation of each term q_k log q_k is one over a binomial distribution. It
    is also the amount by which draws from p exceed KL(p || r) on average, for any r.

    Args:
        share: p, the shares of K modes, (K,), with sum 1.
        count: number N of draws, above 0.

    Returns:
        A float64 scalar, in nats.
    """
    p, multiplicity = share.double().unique(return_counts=True)
    total = p.new_zeros(())
    for each, times in zip(p.tolist(), multiplicity.tolist(), strict=True):
        if not 0 < each < 1:
            continue
        # further away than 12 standard deviations (and the tail of rare modes) nothing adds up
        middle, width = count * each, 12 * math.sqrt(count * each * (1 - each)) + 40
        x = torch.arange(max(0, math.floor(middle - width)), min(count, math.ceil(middle + width)) + 1).double()
        binomial = torch.distributions.Binomial(count, torch.tensor(each, dtype=torch.float64), validate_args=False)
        term = (binomial.log_prob(x).exp() * torch.xlogy(x / count, x / count)).sum()
        total += times * (term - each * math.log(each))
    return total.clamp_min(0)


def nearest_modes(samples: Tensor, means: Tensor, std: float | Tensor) -> tuple[Tensor, Tensor]:
    """Return each sample's nearest mode of a mixture of round Gaussians, and its distance.

    Args:
        samples: samples (N, D).
        means: means of the modes, (K, D).
        std: standard deviation along each axis, of all modes or of each, (K,).

    Returns:
        The nearest mode's index, int64 (N,), and the distance to its mean in its standard deviations, float64 (N,).
    """
    # not by matrix products, which lose small distances far from the origin
    distances = torch.cdist(samples.double(), means.double(), compute_mode="donot_use_mm_for_euclid_dist") / std
    nearest = distances.min(dim=1)
    return nearest.indices, nearest.values


def mixture_coverage(samples: Tensor, means: Tensor, std: float | Tensor, radius: float = RADIUS) -> dict[str, Tensor]:
    """Measure how well samples cover a mixture of K equally heavy, round Gaussians: PacGAN (1712.04086) and its code.

    A sample has high quality within `radius` standard deviations of the nearest mode's mean. Float64 scalars:

    - `modes_covered`: modes with at least one sample of high quality, 0 to K, higher is better.
    - `modes_covered_fairly`: modes with at least N / 3K of them, 0 to K, higher is better.
    - `high_quality`: their share of all samples, higher is better. With a radius of 3 the mixture itself has
      1 - exp(-4.5) = 0.98889 in two dimensions, 0.99730 in one, and next to nothing in more than about 25.
    - `modes_kl`: KL(samples of high quality || uniform) between histograms of modes, in nats, 0 to log K, lower is
      better; log K, as if all belonged to one mode, if there are none.

    Args:
        samples: samples of the generator, (N, D); 2,500 in the publication.
        means: means of the modes, (K, D).
        std: standard deviation along each axis, of all modes or of each, (K,).
        radius: standard deviations around a mean that count as high quality; 3 in the publication.

    Raises:
        ValueError: samples are NaN or infinite.
        TooFewSamplesError: there are no samples.
    """
    if not samples.isfinite().all():
        raise ValueError("mixture_coverage was given NaN or infinite samples: the generator has diverged")
    if len(samples) == 0:
        raise TooFewSamplesError("mixture_coverage needs at least 1 sample, and there is none")
    modes, distances = nearest_modes(samples, means, std)
    counts = modes[distances < radius].bincount(minlength=len(means)).double()
    good, uniform = counts.sum(), torch.full_like(counts, 1 / len(means))
    return {
        "modes_covered": (counts > 0).sum().double(),
        "modes_covered_fairly": (STRAY * counts * len(means) >= len(samples)).sum().double(),
        "high_quality": good / len(samples),
        "modes_kl": _divergence(counts / good, uniform) if good > 0 else counts.new_tensor(math.log(len(means))),
    }


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """Return KL(p || q) of two histograms (K,) with sum 1; q has no zeros."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()
