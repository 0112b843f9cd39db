"""Fréchet inception distance: of all images, of each class, and of infinitely many.

It is the squared 2-Wasserstein distance between Gaussians with the means and covariances (divided by N - 1) of two
sets, |μ1 - μ2|² + tr Σ1 + tr Σ2 - 2 tr (Σ1 Σ2)^½. All sums are float64 and about the mean, so that features far from
the origin lose no precision.
"""

import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from gan_lightning.extractors.base import Features
from gan_lightning.metrics.base import FeatureMetric, PooledFeatureMetric
from gan_lightning.metrics.extrapolation import SPAN, at_infinity
from gan_lightning.metrics.memo import Memo
from gan_lightning.ranges import NonNegativeInt, PositiveInt

ROWS = 4096  # number of features converted to float64 at once


class _ToRealMoments(FeatureMetric):
    """Base of the metrics that keep only number, mean and covariance of the real images: d² numbers."""

    real_moments: Tensor

    def __init__(self, num_features: PositiveInt) -> None:
        super().__init__(num_features)
        self.add_state("real_moments", _no_moments(num_features), dist_reduce_fx=_merged)
        self._root_of_reals = Memo()

    def distance(self, fake_moments: Tensor) -> Tensor:
        """Return the distance from the real images to a set with these moments."""
        real_mean, real_covariance = _gaussian(self.real_moments)
        fake_mean, fake_covariance = _gaussian(fake_moments)
        root = self._root_of_reals(_root, real_covariance)
        product = torch.linalg.eigvalsh(root.T @ fake_covariance @ root).clamp_min(0).sqrt().sum()
        return (real_mean - fake_mean).square().sum() + real_covariance.trace() + fake_covariance.trace() - 2 * product


class FrechetInceptionDistance(_ToRealMoments):
    """FID, Heusel et al. 2017 (1706.08500): squared 2-Wasserstein distance between Gaussians fitted to the two sets.

    From 0 upwards, lower is better. Rounding may leave it slightly below zero (by less than 1e-3) for almost equal
    sets. It is biased upwards by about 1/N: compare only values from equally many images. With fewer images than
    features, and with constant images, the formula is applied to singular covariances. The metric keeps 2 d² numbers,
    not the features. From one evaluation to the next it also keeps the root of the real images' covariance.

    Args:
        num_features: width d of the extractor's features.
    """

    fake_moments: Tensor

    def __init__(self, num_features: PositiveInt) -> None:
        super().__init__(num_features)
        self.add_state("fake_moments", _no_moments(num_features), dist_reduce_fx=_merged)

    def update(self, features: Features, real: bool) -> None:
        """Add the features of some images, real or generated (`real=False`)."""
        _add(self.real_moments if real else self.fake_moments, self.check(features.pooled, self.num_features))

    def compute(self) -> dict[str, Tensor]:
        """Return `{"fid": ...}`, lower is better."""
        fewest = min(_count(self.real_moments), _count(self.fake_moments))
        self.require(fewest, 2, "a covariance is fitted to each")
        return {"fid": self.distance(self.fake_moments)}


class FIDInfinity(_ToRealMoments):
    """FID∞, Chong & Forsyth 2020 (1911.07023): the FID of infinitely many generated images, by extrapolation.

    FID falls linearly in 1/N. A line is fitted to the FIDs of 15 subsets, from a tenth of the generated images to all
    of them, and extended to 1/N = 0. Lower is better; it is about zero, with either sign, for equal distributions. Only
    the generated set is extrapolated: the bias from the number of real images stays. FID is linear only if covariances
    have full rank: at least 10 (d + 1) generated images are needed, 20,490 for Inception; the publication has 50,000.

    Args:
        num_features: width d of the extractor's features.
        seed: seed of the subsets. Global generators are not used.
    """

    fake_features: list[Tensor]

    def __init__(self, num_features: PositiveInt, seed: NonNegativeInt = 2020) -> None:
        super().__init__(num_features)
        self.seed = seed
        self.add_state("fake_features", [], dist_reduce_fx="cat")

    def update(self, features: Features, real: bool) -> None:
        """Add the features of some real images to the moments, or keep those of generated ones (`real=False`)."""
        pooled = self.check(features.pooled, self.num_features)
        if real:
            _add(self.real_moments, pooled)
        else:
            self.fake_features.append(pooled)

    def compute(self) -> dict[str, Tensor]:
        """Return `{"fid_infinity": ...}`, lower is better."""
        self.require(_count(self.real_moments), 2, "a covariance is fitted to the real ones")
        fake = dim_zero_cat(self.fake_features) if len(self.fake_features) else torch.empty(0, self.num_features)
        needed = SPAN * (self.num_features + 1)
        self.require(len(fake), needed, "a tenth of the generated ones must outnumber the features")

        def score(chosen: Tensor) -> Tensor:
            moments = torch.zeros_like(self.real_moments)
            for rows in chosen.to(fake.device).split(ROWS):
                _add(moments, fake[rows])
            return self.distance(moments)

        return {"fid_infinity": at_infinity(score, len(fake), self.seed)}


class ClasswiseFID(PooledFeatureMetric):
    """Intra-FID, Miyato & Koyama 2018 (1802.05637): the FID of each class, averaged over classes with equal weights.

    All real images of a class are compared with all generated images of that label. From 0 upwards, lower is better. A
    generator that ignores its labels may have an overall FID of zero, but has a high value here. Classes hold few
    images, often fewer than features: values have a large upward bias, and only compare for equally many images a class
    and the same data.

    A class with fewer than two real images has no covariance and is left out, with the images generated for it;
    `class_fid_classes` is the number of remaining classes. A class with fewer than two generated images is an error,
    and is never left out.

    Args:
        num_features: width d of the extractor's features.
    """

    real_classes: list[Tensor]
    fake_classes: list[Tensor]

    def __init__(self, num_features: PositiveInt) -> None:
        super().__init__(num_features)
        # columns (N, 1) of floats: a rank without images can then gather them as float32 matrices
        self.add_state("real_classes", [], dist_reduce_fx="cat")
        self.add_state("fake_classes", [], dist_reduce_fx="cat")

    def update(self, features: Features, real: bool) -> None:
        """Keep the features and classes of some images, real or generated (`real=False`).

        Raises:
            ValueError: the classes are missing.
        """
        if features.labels is None:
            raise ValueError(
                f"ClasswiseFID needs the class of each image, and these {'real' if real else 'generated'} ones have "
                "none: use labelled data and a class-conditional generator, or leave ClasswiseFID out"
            )
        super().update(features, real)
        (self.real_classes if real else self.fake_classes).append(features.labels.float().unsqueeze(1))

    def compute(self) -> dict[str, Tensor]:
        """Return the mean over classes and the worst class.

        `class_fid`: the mean. `class_fid_worst`: the largest value, and `class_fid_worst_class` its class.
        `class_fid_classes`: the number of classes in the mean.
        """
        real, fake = self.kept(2, "a covariance is fitted to each")
        real_classes, fake_classes = (dim_zero_cat(kept).squeeze(1) for kept in (self.real_classes, self.fake_classes))
        names, counts = real_classes.unique(return_counts=True)
        self.require(int(counts.max()), 2, "of at least one class")
        names = names[counts >= 2]
        distances = []
        for name in names:
            in_real, in_fake = real_classes == name, fake_classes == name
            self.require(int(in_fake.sum()), 2, f"of class {int(name)}, which {int(in_real.sum())} real ones have")
            distances.append(_distance_between(real[in_real], fake[in_fake]))
        each = torch.stack(distances)
        return {
            "class_fid": each.mean(),
            "class_fid_worst": each.max(),
            "class_fid_worst_class": names[each.argmax()].double(),
            "class_fid_classes": torch.tensor(len(names), dtype=torch.float64, device=each.device),
        }


# The moments of a set of vectors (N, d) are one tensor, float64 (d + 1, d + 1): N, beside it the mean, and below the
# mean the sum of products of differences from it. It is one tensor, since only all three can be merged over ranks.


def _no_moments(width: int) -> Tensor:
    return torch.zeros(width + 1, width + 1, dtype=torch.float64)


def _add(moments: Tensor, x: Tensor) -> None:
    """Add vectors (B, d) to the moments, in place: the update of Chan, Golub & LeVeque 1979, as a single product."""
    if len(x) == 0:
        return
    x = x.double()
    count, mean, products = moments[0, 0], moments[0, 1:], moments[1:, 1:]
    own_mean = x.mean(dim=0)
    step = own_mean - mean
    share = len(x) / (count + len(x))
    rows = torch.cat([x - own_mean, (step * (count * share).sqrt()).unsqueeze(0)])
    products.addmm_(rows.T, rows)
    mean += step * share
    count += len(x)


def _merged(parts: Tensor) -> Tensor:
    """Return the moments of the union of disjoint sets, from (parts, d + 1, d + 1). Sets may be empty."""
    counts, means = parts[:, 0, :1], parts[:, 0, 1:]
    moments = parts.sum(dim=0)
    mean = (counts * means).sum(dim=0) / moments[0, 0].clamp_min(1)
    apart = means - mean
    moments[0, 1:] = mean
    moments[1:, 1:].addmm_((counts * apart).T, apart)
    return moments


def _count(moments: Tensor) -> int:
    return int(moments[0, 0])


def _gaussian(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (d,) and the covariance (d, d), divided by N - 1."""
    return moments[0, 1:], moments[1:, 1:] / (moments[0, 0] - 1)


def _root(covariance: Tensor) -> Tensor:
    """Return R (d, rank) with R Rᵀ = covariance, without the eigenvalues that are zero up to rounding."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    return vectors[:, kept] * values[kept].sqrt()


def _distance_between(x: Tensor, y: Tensor) -> Tensor:
    """Return the distance between sets (N, d) and (M, d), exact for singular covariances, but slower than from moments.

    tr (Σ1 Σ2)^½ is the sum of the singular values of A Bᵀ, where AᵀA = Σ1 and BᵀB = Σ2.
    """
    x, y = x.double(), y.double()
    means = x.mean(dim=0), y.mean(dim=0)
    a, b = ((z - mean) / (len(z) - 1) ** 0.5 for z, mean in zip((x, y), means, strict=True))
    # a triangle of d rows has the same products as any longer matrix
    a, b = (torch.linalg.qr(z, mode="r").R if len(z) > z.shape[1] else z for z in (a, b))
    product = torch.linalg.svdvals(a @ b.T).sum()
    return (means[0] - means[1]).square().sum() + a.square().sum() + b.square().sum() - 2 * product
