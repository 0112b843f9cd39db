"""Gradient descent in a latent space, of many candidates that do not depend on each other."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.draws import ImageDraws
from gan_lightning.inference import ImageName
from gan_lightning.latent.spaces import LatentSpace

Cost = Callable[[Tensor, Tensor, slice], Tensor]
"""Maps images (n, C, H, W) in [-1, 1], their points (n, ...) and their places among all candidates to costs (n,)."""
Schedule = Callable[[float], float]
"""Maps the share of the steps that are done, in [0, 1), to a number."""


def descend(
    space: LatentSpace,
    start: Tensor,
    cost: Cost,
    names: Sequence[ImageName],
    labels: Tensor | None,
    steps: int,
    rate: Schedule,
    shake: Schedule | None = None,
    sizes: Tensor | None = None,
    streams: Sequence[tuple[int, ...]] = (),
    title: str | None = "optimising",
) -> Tensor:
    """Descend from points along the gradient of their costs, by Adam with β = (0.9, 0.999), in coordinates of any size.

    The generator's weights do not change, nor do they get gradients. Costs are summed over candidates, and Adam moves
    each coordinate by itself: a candidate ends at the same point whatever others there are, up to the rounding of sums.

    Args:
        space: the latent space; its batch size is the number of candidates at a time.
        start: a point for each candidate, (N, ...).
        cost: to be made small.
        names: the images whose noise is used, one for each candidate, by generators with noise of their own.
        labels: class of each candidate, int64 (N,). None = the model has no classes.
        steps: number of steps.
        rate: learning rate.
        shake: normal noise of this standard deviation is added to the coordinates at a step. None = there is none.
        sizes: factor of that noise for each candidate, (N,).
        streams: name of each candidate's stream of that noise.
        title: name of the progress bar. None = there is none.

    Returns:
        The points where the candidates end, (N, ...).
    """
    ends = []
    with tqdm(total=steps * len(start), desc=title, unit="step", disable=True if title is None else None) as bar:
        for first in range(0, len(start), space.batch_size):
            rows = slice(first, first + space.batch_size)
            part = None if labels is None else labels[rows]
            place = space.free(start[rows]).detach().clone().requires_grad_()
            optimizer = torch.optim.Adam([place], betas=(0.9, 0.999))
            draws = ImageDraws((), streams[rows])
            own = None if sizes is None else sizes[rows, None].to(place)
            for step in range(steps):
                done = step / steps
                optimizer.param_groups[0]["lr"] = rate(done)
                moved = place
                if shake is not None and own is not None:
                    with draws:
                        moved = place + shake(done) * own * torch.randn_like(place)
                points = space.at(moved)
                images = space.synthesize(points, names[rows], part)
                (place.grad,) = torch.autograd.grad(cost(images, points, rows).sum(), [place])
                optimizer.step()
                bar.update(len(place))
            ends.append(space.at(place.detach()))
    return torch.cat(ends)


@torch.no_grad()
def costs_at(
    space: LatentSpace, points: Tensor, cost: Cost, names: Sequence[ImageName], labels: Tensor | None
) -> Tensor:
    """Return the costs (N,) of points (N, ...); see `descend`."""
    found = []
    for first in range(0, len(points), space.batch_size):
        rows = slice(first, first + space.batch_size)
        images = space.synthesize(points[rows], names[rows], None if labels is None else labels[rows])
        found.append(cost(images, points[rows], rows))
    return torch.cat(found)


def implausible(space: LatentSpace, points: Tensor) -> Tensor:
    """Return (‖z‖ / √(E‖z‖²) - 1)² for points (N, latent_dim) of z, and 0 for those of w, (N,).

    Latents of many components nearly all have one length, and a generator has not learnt from others.
    """
    if space.name == "w":
        return points.new_zeros(len(points))
    return (points.norm(dim=1) / space.spread() - 1).square()
