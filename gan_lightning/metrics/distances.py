"""Distances of generated images to real ones and to each other: simple measures of fidelity and diversity.

Fidelity is the distance from a generated image to the nearest real one. Diversity is the distance between two generated
images, divided by that between two real ones. Both exist in features and in pixels.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gan_lightning.metrics.base import PooledFeatureMetric
from gan_lightning.metrics.image_sets import PooledImageMetric
from gan_lightning.metrics.neighbours import nearest_neighbours
from gan_lightning.metrics.progress import progress
from gan_lightning.ranges import NonNegativeInt, PositiveInt

ROWS = 2048  # number of images or features that are compared with as many others at a time
VALUES = 2**18  # number of pixels for blocks that fit into a processor's cache, which is twice as fast


class FeatureDistance(PooledFeatureMetric):
    """Mean Euclidean distances in feature space.

    `feature_distance` measures each image by itself: it is 0 for copies of real images, and low for one good image
    repeated. `feature_diversity` detects the latter: it falls towards 0 when the generator collapses. Read both
    together. Distances have the unit of the extractor's features, and a larger reference set has nearer neighbours:
    compare only values from one extractor and one reference set.

    Args:
        num_features: width d of the extractor's features.
        pairs: number of random pairs of two different images, from each set, for diversity. With 10,000 its error is
            well under 1%.
        seed: seed of the pairs. Global generators are not used.
    """

    def __init__(self, num_features: PositiveInt, pairs: PositiveInt = 10_000, seed: NonNegativeInt = 0) -> None:
        super().__init__(num_features)
        self.pairs = pairs
        self.seed = seed

    def compute(self) -> dict[str, Tensor]:
        """Return the distance, its standard deviation, and the diversity.

        `feature_distance`: mean distance from a generated image to the nearest real one, from 0 up, lower is better.
        `feature_distance_std`: its standard deviation over the images, low if all are equally good.
        `feature_diversity`: mean distance between two generated images over that between two real ones, from 0 up. 1 is
        as diverse as real images, less is less diverse, and more is more diverse, which may be noise.

        Raises:
            ValueError: the real images all have the same features.
        """
        real, fake = self.kept(2, "diversity needs pairs of images")
        nearest = nearest_neighbours(fake, real)[0][:, 0]
        return _summary("feature", nearest, *(self._spread(features) for features in (real, fake)))

    def _spread(self, features: Tensor) -> Tensor:
        def distance(a: Tensor, b: Tensor) -> Tensor:
            return torch.linalg.vector_norm(a.double() - b.double(), dim=1)

        return _mean_over_pairs(features, self.pairs, self.seed, ROWS, distance)


class PixelDistance(PooledImageMetric):
    """Mean absolute differences between images, pixel by pixel, in levels of 0 to 255.

    It is the simplest comparison, with two limits. An image shifted by a few pixels may be as far from itself as from
    another image. A blurred image, or the mean of all, is nearer to the real ones than a sharp image. Use it
    for small and aligned images, such as digits, and for finding exact copies; otherwise use FeatureDistance.

    Each generated image is compared with each real one: 10,000 with 10,000 digits of 28x28 take about a minute on one
    core. Larger images and sets take accordingly longer, with a progress bar.

    Args:
        pairs: number of random pairs of two different images, from each set, for diversity. With 10,000 its error is
            well under 1%.
        seed: seed of the pairs. Global generators are not used.
    """

    def __init__(self, pairs: PositiveInt = 10_000, seed: NonNegativeInt = 0) -> None:
        super().__init__()
        self.pairs = pairs
        self.seed = seed

    def compute(self) -> dict[str, Tensor]:
        """Return the distance, its standard deviation, and the diversity.

        `pixel_distance`: mean absolute difference between a generated image and the nearest real one, in [0, 255],
        lower is better. `pixel_distance_std`: its standard deviation over the images.
        `pixel_diversity`: mean absolute difference between two generated images over that between two real ones, from 0
        up. 1 is as diverse as real images, less is less diverse, and more is more diverse, which may be noise.

        Raises:
            ValueError: the images differ in size, or the real ones are all the same.
        """
        sets = self.sets(2, "diversity needs pairs of images")
        real, fake = (images.flatten(1) for images, _ in sets)
        rows = min(ROWS, max(16, VALUES // real.shape[1]))
        spreads = (_mean_over_pairs(images, self.pairs, self.seed, rows, _difference) for images in (real, fake))
        return _summary("pixel", _to_nearest(fake, real, rows), *spreads)


def _summary(kind: str, nearest: Tensor, real_spread: Tensor, fake_spread: Tensor) -> dict[str, Tensor]:
    if real_spread == 0:
        raise ValueError(
            f"{kind} diversity is relative to that of the real images, and these are all the same: check the "
            "reference set" + (", then the extractor" if kind == "feature" else "")
        )
    return {
        f"{kind}_distance": nearest.mean(),
        f"{kind}_distance_std": nearest.std(correction=0),
        f"{kind}_diversity": fake_spread / real_spread,
    }


def _mean_over_pairs(
    images: Tensor, pairs: int, seed: int, rows: int, distance: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return the mean `distance`, between rows of two tensors, over random pairs of different rows of `images`."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(images), (pairs,), generator=generator)
    second = (first + torch.randint(1, len(images), (pairs,), generator=generator)) % len(images)
    chosen = zip(first.to(images.device).split(rows), second.to(images.device).split(rows), strict=True)
    return torch.cat([distance(images[a], images[b]) for a, b in chosen]).mean()


def _difference(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean absolute difference (N,) between rows of two uint8 tensors (N, ...), exact, float64."""
    return (a.short() - b.short()).abs().double().mean(dim=1)


def _to_nearest(fake: Tensor, real: Tensor, rows: int) -> Tensor:
    """Return the mean absolute difference (M,) of each of `fake` (M, P) to the nearest of `real` (N, P), uint8."""
    nearest = []
    with progress("nearest images", total=-(-len(fake) // rows) * -(-len(real) // rows)) as bar:
        for part in fake.split(rows):
            best = torch.full((len(part),), torch.inf, device=fake.device)
            which = torch.zeros_like(best, dtype=torch.long)
            for start in range(0, len(real), rows):
                # float32 sums of levels are exact up to 65,793 values, and precise enough beyond to find the nearest
                found = torch.cdist(part.float(), real[start : start + rows].float(), p=1).min(dim=1)
                which = torch.where(found.values < best, found.indices + start, which)
                best = torch.minimum(found.values, best)
                bar.update()
            nearest.append(_difference(part, real[which]))
    return torch.cat(nearest)
