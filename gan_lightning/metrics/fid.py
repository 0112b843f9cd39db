"""Fréchet inception distance."""

import torch
from torch import Tensor, nn
from torchmetrics.image import fid

from gan_lightning.metrics.base import FeatureMetric
from gan_lightning.metrics.extractors import Features


class _Given(nn.Identity):
    """The `feature` network of torchmetrics' metric, where the features are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


class FrechetInceptionDistance(FeatureMetric):
    """FID, Heusel et al. 2017 (1706.08500): squared 2-Wasserstein distance between Gaussians fitted to the two sets.

    torchmetrics' own, fed with features: sums in float64, covariances divided by N - 1, as torch-fidelity's. Biased
    upwards by about 1/N: compare only values from equally many images. Near zero it may be slightly negative (by less
    than 1e-3) where there are fewer images than features. Keeps 2 d² numbers, not the features.

    Args:
        num_features: width d of the extractor's features.
    """

    real_count: Tensor
    fake_count: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.add_state("real_count", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("fake_count", torch.tensor(0), dist_reduce_fx="sum")
        self.distance = fid.FrechetInceptionDistance(feature=_Given(num_features))
        # where a rank has no image at all it never learns the dtype of the features it was to return the value in
        self.distance.orig_dtype = torch.float64

    def update(self, features: Features, real: bool) -> None:
        """Add up the features of some images, real or generated (`real=False`)."""
        pooled = self.check(features.pooled, self.num_features)
        self.distance.update(pooled.double(), real=real)
        if real:
            self.real_count += len(pooled)
        else:
            self.fake_count += len(pooled)

    def compute(self) -> dict[str, Tensor]:
        """`{"fid": ...}`, lower is better."""
        self.require(int(min(self.real_count, self.fake_count)), 2, "a covariance is fitted to each")
        return {"fid": self.distance.compute()}

    def reset(self, keep_real: bool = False) -> None:
        """Forget the images seen; with `keep_real` only the generated ones."""
        super().reset(keep_real)
        self.distance.reset_real_features = not keep_real
        self.distance.reset()
