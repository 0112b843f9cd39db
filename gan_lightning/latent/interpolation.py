"""Paths through a latent space: from image to image, over four corners, and round in a loop."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.inference import ImageName
from gan_lightning.latent.ends import Placed
from gan_lightning.latent.spaces import LatentSpace


@dataclass(frozen=True)
class LatentPath:
    """Points of a latent space, one after another.

    Args:
        space: the latent space.
        points: the points, (N, ...).
        weights: the mixture of classes at each point of z, float (N, num_classes). None = there are no classes, or
            styles include them.
    """

    space: LatentSpace
    points: Tensor
    weights: Tensor | None = None

    @classmethod
    def through(
        cls,
        space: LatentSpace,
        names: Sequence[ImageName],
        classes: Sequence[int] | None = None,
        truncation: float | None = None,
    ) -> Self:
        """Return the path that consists of the points of images.

        Args:
            space: the latent space.
            names: of the images.
            classes: class of each image, or one class for all; several classes with one name are that image in these
                classes. None = image k has class k modulo the number of classes.
            truncation: in z, see `gan_lightning.inference.Prior.draw`.

        Raises:
            ValueError: the numbers of names and classes do not fit, or there are fewer than two points.
        """
        sampler = space.sampler
        labels = sampler.classes_of(names) if classes is None else torch.tensor(classes, device=sampler.device)
        count = max(len(names), 0 if labels is None else len(labels))
        if count < 2:
            raise ValueError("a path leads from one image to another: name two seeds or more, or two classes of one")
        names = [*names] * (count if len(names) == 1 else 1)
        if labels is not None and len(labels) == 1:
            labels = labels.repeat(count)
        if labels is not None and len(labels) != len(names):
            raise ValueError(
                f"{len(names)} images and {len(labels)} classes do not fit together: give a class for each image, one "
                "class for all, or several classes of one image"
            )
        mixed = labels is not None and space.name == "z"
        weights = F.one_hot(labels, sampler.num_classes).float() if mixed and labels is not None else None
        return cls(space, space.points(names, labels, truncation), weights)

    @classmethod
    def over(cls, space: LatentSpace, placed: Placed) -> Self:
        """Return the path that consists of points, such as those of images that were inverted.

        Raises:
            ValueError: there are fewer than two points.
        """
        if len(placed.points) < 2:
            raise ValueError("a path leads from one image to another: name two images or more")
        return cls(space, placed.points, placed.weights(space))

    def __len__(self) -> int:
        """Number of points."""
        return len(self.points)

    def __getitem__(self, places: Sequence[int]) -> "LatentPath":
        """Return the path of the points at these places."""
        rows = list(places)
        return LatentPath(self.space, self.points[rows], None if self.weights is None else self.weights[rows])

    def images(self, noise: ImageName, title: str | None = "images") -> Iterator[Tensor]:
        """Make the images of all points, and yield them in batches, uint8 (n, C, H, W).

        Args:
            noise: the image whose noise a generator with noise of its own uses for all.
            title: name of the progress bar. None = there is none.
        """
        return self.space.images(self.points, [noise] * len(self), self.weights, title)

    def towards(self, other: "LatentPath", t: Tensor) -> "LatentPath":
        """Return the points at t (N,) on the ways from these points to those of another path of the same length."""
        points = self.space.between(self.points, other.points, t.to(self.points.device))
        if self.weights is None or other.weights is None:
            return LatentPath(self.space, points)
        return LatentPath(self.space, points, torch.lerp(self.weights, other.weights, t.to(self.weights)[:, None]))

    def strip(self, steps: int) -> "LatentPath":
        """Return the ways from each point to the next, of `steps` points each with both ends, one after another."""
        legs = torch.arange(len(self) - 1).repeat_interleave(steps).tolist()
        t = torch.linspace(0, 1, steps).repeat(len(self) - 1)
        return self[legs].towards(self[[leg + 1 for leg in legs]], t)

    def corners(self, steps: int) -> "LatentPath":
        """Return a grid of `steps` rows and columns, row by row, whose corners are the four points, row by row.

        Raises:
            ValueError: there are not four points.
        """
        if len(self) != 4:
            raise ValueError(f"a grid has four corners, and {len(self)} images are named: name four")
        down, right = torch.linspace(0, 1, steps).repeat_interleave(steps), torch.linspace(0, 1, steps).repeat(steps)
        left_edge, right_edge = (self[[a] * steps**2].towards(self[[b] * steps**2], down) for a, b in ((0, 2), (1, 3)))
        return left_edge.towards(right_edge, right)

    def around(self, places: Tensor) -> "LatentPath":
        """Return points on the way through all points and back to the first.

        Args:
            places: float64 (N,): 0 is the first point, 1 the second, and len(self) the first again.
        """
        legs = places.long().tolist()
        count = len(self)
        return self[[leg % count for leg in legs]].towards(self[[(leg + 1) % count for leg in legs]], places % 1)

    def loop(self, steps: int, noise: ImageName) -> Iterator[Tensor]:
        """Yield `steps` images, uint8 (C, H, W), on the way through all points and back to the first, evenly spaced.

        From the last to the first it is as far as between any others, so that the loop can be repeated.

        Args:
            steps: number of images; those of a batch are in memory.
            noise: see `images`.
        """
        with tqdm(total=steps, desc="frames", unit="frame", disable=None) as bar:
            for places in (torch.arange(steps, dtype=torch.float64) * len(self) / steps).split(self.space.batch_size):
                for batch in self.around(places).images(noise, None):
                    yield from batch
                    bar.update(len(batch))
