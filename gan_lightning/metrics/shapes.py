"""Metrics of shapes, grids of occupancy: distances between two sets of them, and the overlap with a target."""

from typing import ClassVar, Literal

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from gan_lightning.data.batches import Role
from gan_lightning.metrics.base import OutputMetric

_BITS = 2 ** torch.arange(8, dtype=torch.uint8)
_BLOCK = 64  # shapes at a time


class ShapeDistances(OutputMetric):
    """Minimum matching distance, coverage and 1-nearest-neighbour accuracy of a set of shapes.

    Achlioptas et al., "Learning Representations and Generative Models for 3D Point Clouds", 2018, arXiv 1707.02392, for
    the first two; Lopez-Paz, Oquab, 2017, arXiv 1610.06545, and Yang et al., "PointFlow", 2019, arXiv 1906.12320, for
    the last. They are distances d between two shapes, occupied where the output is above 0:

    - "iou": 1 - |A ∩ B| / |A ∪ B|, in [0, 1].
    - "chamfer": the mean squared distance from a voxel of A to the nearest one of B, plus that from B to A, with the
      side of the grid as unit. An empty shape is as far from others as the grid's opposite corners, and 0 from another.

    Compare equally many generated shapes with real ones: all three depend on the numbers.

    Args:
        distance: the distance d.
    """

    role: ClassVar[Role] = Role.VOXELS
    real_shapes: list[Tensor]
    fake_shapes: list[Tensor]

    def __init__(self, distance: Literal["iou", "chamfer"] = "iou") -> None:
        super().__init__()
        if distance not in ("iou", "chamfer"):
            raise ValueError(f'distance must be "iou" or "chamfer", not {distance!r}')
        self.distance = distance
        self.add_state("real_shapes", [], dist_reduce_fx="cat")
        self.add_state("fake_shapes", [], dist_reduce_fx="cat")

    def update_real(self, outputs: Tensor) -> None:
        """Keep some real shapes, float (N, 1, X, Y, Z) in [-1, 1]."""
        self.real_shapes.append(packed(outputs[:, 0] > 0))

    def update(self, outputs: Tensor, target: Tensor) -> None:
        """Keep some generated shapes, float (N, 1, X, Y, Z) in [-1, 1]; targets are ignored."""
        self.fake_shapes.append(packed(outputs[:, 0] > 0))

    def compute(self) -> dict[str, Tensor]:
        """Return three values by names that end in the distance's.

        `matching_distance`: mean distance of a real shape to the nearest generated one; lower is better.

        `coverage`: share of real shapes that are the nearest one of a generated shape, in [0, 1]; higher is better.

        `nearest_neighbour_accuracy`: share of all shapes whose nearest other is of their own set, in [0, 1]; a tie
        counts half. 0.5 is best: 1 are sets that can be told apart, 0 are generated copies of real shapes.
        """
        sets = [
            dim_zero_cat(kept) if len(kept) else torch.zeros(0, 1, 1, 1)
            for kept in (self.real_shapes, self.fake_shapes)
        ]
        self.require(min(map(len, sets)), 2, "each shape needs another")
        real, fake = (unpacked(each).cpu() for each in sets)
        every = torch.cat([real, fake])
        distances = (iou_distances if self.distance == "iou" else chamfer_distances)(every)
        n = len(real)
        between = distances[:n, n:]
        distances.fill_diagonal_(float("inf"))
        own = torch.cat([distances[:n, :n].amin(1), distances[n:, n:].amin(1)])
        other = torch.cat([between.amin(1), between.amin(0)])
        return {
            f"matching_distance_{self.distance}": between.amin(1).mean(),
            f"coverage_{self.distance}": torch.tensor(len(between.argmin(0).unique()) / n, dtype=torch.float64),
            f"nearest_neighbour_accuracy_{self.distance}": (
                (own < other).double() + (own == other).double() / 2
            ).mean(),
        }


class ShapeIoU(OutputMetric):
    """The overlap of each shape with its target, |A ∩ B| / |A ∪ B|: for models that make a shape from a picture."""

    role: ClassVar[Role] = Role.VOXELS
    fake_sum: Tensor
    fake_pairs: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("fake_sum", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("fake_pairs", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, target: Tensor) -> None:
        """Add some shapes and their targets, both float (N, 1, X, Y, Z) in [-1, 1]."""
        made, wanted = (each.flatten(1) > 0 for each in (outputs, target))
        union = (made | wanted).sum(1)
        overlap = torch.where(union > 0, (made & wanted).sum(1) / union.clamp_min(1), 1.0)
        self.fake_sum = self.fake_sum + overlap.double().sum()
        self.fake_pairs = self.fake_pairs + len(made)

    def compute(self) -> dict[str, Tensor]:
        """Return `{"iou": ...}`, the mean over shapes, in [0, 1]; higher is better."""
        self.require(int(self.fake_pairs), 1, "a pair")
        return {"iou": self.fake_sum / self.fake_pairs}


def packed(occupied: Tensor) -> Tensor:
    """Pack bool (N, X, Y, Z) into bits along the last axis, uint8 (N, X, Y, Z / 8); Z is a multiple of 8."""
    return (occupied.unflatten(-1, (-1, 8)) * _BITS.to(occupied.device)).sum(-1, dtype=torch.uint8)


def unpacked(bits: Tensor) -> Tensor:
    """Return the bool (N, X, Y, Z) that `packed` has packed."""
    return (bits[..., None] & _BITS.to(bits.device) > 0).flatten(-2)


def iou_distances(shapes: Tensor) -> Tensor:
    """Return 1 - IoU of all pairs of shapes, bool (N, X, Y, Z), as float64 (N, N); two empty shapes are equal."""
    flat = shapes.flatten(1).float()  # counts below 2^24 are exact
    volumes = flat.sum(1).double()
    overlap = torch.cat([block @ flat.T for block in flat.split(_BLOCK)]).double()
    union = volumes[:, None] + volumes - overlap
    return 1 - torch.where(union > 0, overlap / union.clamp_min(1), 1.0)


def chamfer_distances(shapes: Tensor) -> Tensor:
    """Return the Chamfer distances of all pairs of shapes, bool (N, X, Y, Z), as float64 (N, N); see `ShapeDistances`.

    The squared distance from each voxel of the grid to the nearest one of a shape is computed once for each shape; a
    matrix product then sums it over the voxels of all others.
    """
    side = max(shapes.shape[1:])
    far = float(sum(length**2 for length in shapes.shape[1:]))
    squares = np.stack(
        [distance_transform_edt(~shape) ** 2 if shape.any() else np.full(shape.shape, far) for shape in shapes.numpy()]
    )
    reach = torch.from_numpy(squares).flatten(1) / side**2
    flat = shapes.flatten(1).double()
    volumes = flat.sum(1, keepdim=True)
    share = flat / volumes.clamp_min(1)
    one_way = torch.cat([block @ reach.T for block in share.split(_BLOCK)])  # from A (row) to B
    empty = volumes[:, 0] == 0
    one_way[empty] = far / side**2
    one_way[empty[:, None] & empty] = 0
    return one_way + one_way.T
