"""Features of the last instances of each class, and their clusters."""

from typing import Any

import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor
from torch.nn.functional import one_hot

_ROUNDS = 20  # of K-means


class FeatureMemory:
    """Keeps the last features of each class, and clusters them.

    Args:
        num_classes: number of classes.
        features: number of components of a feature.
        size: number of features of a class that are kept.
    """

    def __init__(self, num_classes: int, features: int, size: int) -> None:
        self.num_classes, self.features, self.size = num_classes, features, size
        self.values = torch.zeros(num_classes, size, features)
        self.counts = torch.zeros(num_classes, dtype=torch.int64)  # features seen of each class

    def __len__(self) -> int:
        return int(self.counts.sum())

    def sample(self, classes: Tensor, features: Tensor) -> Tensor:
        """Take the feature of one pixel of each class in each image: the middle one in reading order.

        Args:
            classes: int64 (N, H, W).
            features: float (N, F, H, W).

        Returns:
            Features, and 1 after them if the class is in the image, else 0: float32 (N, num_classes, F + 1).
        """
        inside = one_hot(classes.flatten(1).clamp(max=self.num_classes), self.num_classes + 1)[..., :-1]  # (N, HW, K)
        order = inside.cumsum(dim=1)
        middle = (order == (order[:, -1:] + 1) // 2) & inside.bool()
        place = middle.int().argmax(dim=1)  # (N, K)
        flat = features.flatten(2).transpose(1, 2)  # (N, HW, F)
        taken = flat.gather(1, place[..., None].expand(-1, -1, flat.shape[2]))
        return torch.cat([taken.float(), inside.amax(dim=1)[..., None].float()], dim=2)

    def add(self, found: Tensor) -> None:
        """Keep results of `sample`."""
        for values in found.cpu():
            (rows,) = values[:, -1].nonzero(as_tuple=True)
            self.values[rows, self.counts[rows] % self.size] = values[rows, :-1]
            self.counts[rows] += 1

    @torch.no_grad()
    def cluster(self, centres: Tensor, found: Tensor) -> None:
        """Write the centres of each class, by K-means, and their number where a class has fewer features.

        Args:
            centres: float (num_classes, clusters, F), written to.
            found: int64 (num_classes,), written to; 1 for a class that was never seen, whose feature is 0.
        """
        for number in range(self.num_classes):
            known = self.values[number, : min(int(self.counts[number]), self.size)]
            if len(known):
                made = k_means(known, centres.shape[1])
                centres[number, : len(made)] = made.to(centres)
                found[number] = len(made)

    def state_dict(self) -> dict[str, Any]:
        """Return the features and their numbers."""
        return {"values": self.values.clone(), "counts": self.counts.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the result of `state_dict`, of a memory of the same size."""
        self.values.copy_(state["values"])
        self.counts.copy_(state["counts"])


def k_means(points: Tensor, clusters: int) -> Tensor:
    """Return the centres of at most `clusters` groups of points float (P, F), by K-means with a fixed seed."""
    different = points.unique(dim=0)
    if len(different) <= clusters:
        return different
    centres, _ = kmeans2(points.double().numpy(), clusters, iter=_ROUNDS, minit="++", seed=0)
    return torch.from_numpy(centres).unique(dim=0)
