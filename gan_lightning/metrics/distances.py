"""How far generated images are from real ones, and from each other: fidelity and diversity by plain distances.

Fidelity is the distance from a generated image to the nearest real one, diversity the distance between two generated
images over that between two real ones; in features, and in pixels.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gan_lightning.metrics.base import PooledFeatureMetric
from gan_lightning.metrics.image_sets import PooledImageMetric
from gan_lightning.metrics.neighbours import nearest_neighbours
from gan_lightning.metrics.progress import progress
from gan_lightning.ranges import NonNegativeInt, PositiveInt

ROWS = 2048  # images or features compared with as many at a time
VALUES = 2**18  # pixels of as many images as stay in a processor's cache, where that is faster by half


class FeatureDistance(PooledFeatureMetric):
    """Mean Euclidean distances in feature space.

    `feature_distance` sees each image by itself: it is 0 for copies of real images, and low for one good image
    repeated. `feature_diversity` sees that: it falls towards 0 when the generator collapses. Read them together.
    Distances have the unit of the extractor's features, and the nearest of more images is nearer: compare only values
    from one extractor and one reference set.

    Args:
        num_features: width d of the extractor's features.
        pairs: random pairs of two different images, from each set, that diversity is measured on. With 10,000 its
            error is well under 1%.
        seed: of the pairs; no global generator is touched.
    """

    def __init__(self, num_features: PositiveInt, pairs: PositiveInt = 10_000, seed: NonNegativeInt = 0) -> None:
        super().__init__(num_features)
        self.pairs = pairs
        self.seed = seed

    def compute(self) -> dict[str, Tensor]:
        """What the class is about, in three values.

        `feature_distance`: mean distance from a generated image to the nearest real one, from 0 up, lower is better;
        and `feature_distance_std`, its standard deviation over the images: low where all are equally good.

        `feature_diversity`: mean distance between two generated images over that between two real ones, from 0 up; 1 is
        as diverse as real images, below it less, above it more, which may be noise.

        Raises:
            ValueError: where the real images are all the same, to the extractor.
        """
        real, fake = self.kept(2, "diversity is measured on pairs of two")
        nearest = nearest_neighbours(fake, real)[0][:, 0]
        return _summary("feature", nearest, *(self._spread(features) for features in (real, fake)))

    def _spread(self, features: Tensor) -> Tensor:
        def distance(a: Tensor, b: Tensor) -> Tensor:
            return torch.linalg.vector_norm(a.double() - b.double(), dim=1)

        return _mean_over_pairs(features, self.pairs, self.seed, ROWS, distance)


class PixelDistance(PooledImageMetric):
    """Mean absolute differences between images, pixel by pixel, in levels of 0 to 255.

    The plainest comparison, with the limits of that: an image that is shifted by a few pixels may be as far from itself
    as from another, and a blurred image, or the mean of all, is nearer to the real ones than a sharp one. It is for
    small and aligned images, such as digits, and for finding exact copies; elsewhere take FeatureDistance.

    Each generated image is compared with each real one: 10,000 with 10,000 digits of 28x28 take about a minute on one
    core, larger images and sets accordingly more, with a progress bar.

    Args:
        pairs: random pairs of two different images, from each set, that diversity is measured on. With 10,000 its
            error is well under 1%.
        seed: of the pairs; no global generator is touched.
    """

    def __init__(self, pairs: PositiveInt = 10_000, seed: NonNegativeInt = 0) -> None:
        super().__init__()
        self.pairs = pairs
        self.seed = seed

    def compute(self) -> dict[str, Tensor]:
        """What the class is about, in three values.

        `pixel_distance`: mean absolute difference between a generated image and the nearest real one, in [0, 255],
        lower is better; and `pixel_distance_std`, its standard deviation over the images.

        `pixel_diversity`: mean absolute difference between two generated images over that between two real ones, from 0
        up; 1 is as diverse as real images, below it less, above it more, which may be noise.

        Raises:
            ValueError: where the images are not all of one size, or the real ones are all the same.
        """
        sets = self.sets(2, "diversity is measured on pairs of two")
        real, fake = (images.flatten(1) for images, _ in sets)
        rows = min(ROWS, max(16, VALUES // real.shape[1]))
        spreads = (_mean_over_pairs(images, self.pairs, self.seed, rows, _difference) for images in (real, fake))
        return _summary("pixel", _to_nearest(fake, real, rows), *spreads)


def _summary(kind: str, nearest: Tensor, real_spread: Tensor, fake_spread: Tensor) -> dict[str, Tensor]:
    if real_spread == 0:
        raise ValueError(
            f"{kind} diversity is relative to that of the real images, and these are all the same: look at the "
            "reference set" + (", then at the extractor" if kind == "feature" else "")
        )
    return {
        f"{kind}_distance": nearest.mean(),
        f"{kind}_distance_std": nearest.std(correction=0),
        f"{kind}_diversity": fake_spread / real_spread,
    }


def _mean_over_pairs(
    images: Tensor, pairs: int, seed: int, rows: int, distance: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Mean `distance`, between rows of two tensors, over random pairs of two different ones of `images`."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(images), (pairs,), generator=generator)
    second = (first + torch.randint(1, len(images), (pairs,), generator=generator)) % len(images)
    chosen = zip(first.to(images.device).split(rows), second.to(images.device).split(rows), strict=True)
    return torch.cat([distance(images[a], images[b]) for a, b in chosen]).mean()


def _difference(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference (N,) between rows of two uint8 tensors (N, ...), exact, float64."""
    return (a.short() - b.short()).abs().double().mean(dim=1)


def _to_nearest(fake: Tensor, real: Tensor, rows: int) -> Tensor:
    """Mean absolute difference (M,) between each of `fake` (M, P) and the nearest of `real` (N, P), uint8."""
    nearest = []
    with progress("nearest images", total=-(-len(fake) // rows) * -(-len(real) // rows)) as bar:
        for part in fake.split(rows):
            best = torch.full((len(part),), torch.inf, device=fake.device)
            which = torch.zeros_like(best, dtype=torch.long)
            for start in range(0, len(real), rows):
                # float32 sums of levels are exact up to 65,793 values, and near enough to find the nearest beyond
                found = torch.cdist(part.float(), real[start : start + rows].float(), p=1).min(dim=1)
                which = torch.where(found.values < best, found.indices + start, which)
                best = torch.minimum(found.values, best)
                bar.update()
            nearest.append(_difference(part, real[which]))
    return torch.cat(nearest)
