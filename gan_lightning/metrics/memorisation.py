"""A test of whether generated images are new, or copies of training images."""

import torch
from torch import Tensor

from gan_lightning.metrics.base import PooledFeatureMetric
from gan_lightning.metrics.neighbours import nearest_neighbours, nearest_others


class Authenticity(PooledFeatureMetric):
    """Authenticity, Alaa et al. 2022 (2102.08921), with the score of real images as a baseline.

    A generated image is authentic if it is farther from its nearest real image than that image is from its own nearest
    other (the radii belong to REAL images; the paper's public code took those of generated ones). Give the TRAINING
    images as real.

    Even new images of the same distribution do not score 1, nor 0.5, but 0.38 in 2 dimensions, 0.68 in 16, 0.82 in 64.
    Each real image is therefore scored too, as if it had been left out of the set and then generated: that share is the
    baseline. If a share m of the generated images are copies and the others are as new as real ones, then
    `authenticity = (1 - m) * authenticity_baseline`, and `memorised` estimates m. Its noise is about one over the
    square root of the number of images, and it is cut off at 0. Images that are far from all real ones are all
    authentic, so that a bad generator scores best: read it beside precision. A mirrored or shifted copy is found if the
    extractor's features hardly change.

    Args:
        num_features: width d of the extractor's features.
    """

    def compute(self) -> dict[str, Tensor]:
        """Return the share of authentic images and three derived values.

        `authenticity`: share of generated images that are authentic, in [0, 1]. `authenticity_baseline`: the share of
        real images, in [0, 1]. Lower than the baseline is bad, higher means nothing.

        `memorised`: share of generated images that are copies beyond the baseline, in [0, 1]; lower is better, 0 if the
        baseline is 0.

        `nearest_distance_ratio`: mean distance of generated images to their nearest real one over that of real images
        to their nearest other, from 0 (copies) up. About 1 is as new as real images are, well under 1 is an alarm, far
        above 1 are images unlike any real one.

        Raises:
            ValueError: every real image has a copy among them, so that there is no distance to compare with.
        """
        real, fake = self.kept(3, "each real image needs a neighbour that has another neighbour")
        to_real, nearest = (found[:, 0] for found in nearest_neighbours(fake, real))
        distances, others = nearest_others(real, 2)
        reach = distances[:, 0]
        if not reach.any():
            raise ValueError(
                "each real image has a copy among the real ones, and authenticity compares with the distances between "
                "them: remove the duplicates from the reference set, or leave Authenticity out"
            )
        authenticity = (to_real > reach[nearest]).double().mean()

        closest = others[:, 0]
        is_mutual = others[closest, 0] == torch.arange(len(real), device=real.device)
        reach_without = torch.where(is_mutual, distances[closest, 1], distances[closest, 0])
        baseline = (reach > reach_without).double().mean()
        return {
            "authenticity": authenticity,
            "authenticity_baseline": baseline,
            "memorised": (1 - authenticity / baseline).clamp_min(0) if baseline > 0 else torch.zeros_like(baseline),
            "nearest_distance_ratio": to_real.mean() / reach.mean(),
        }
