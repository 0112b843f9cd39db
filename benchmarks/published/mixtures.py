"""Table 1 of PacGAN, mixtures of Gaussians in the plane, and VEEGAN's mixture in 1,200 dimensions."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam
from typing_extensions import override

from benchmarks.batched import PointDiscriminators, PointGenerators, Streams, nonsaturating
from benchmarks.published.run import Game, Losses
from gan_lightning.metrics.modes import RADIUS, mixture_coverage
from gan_lightning.training.optimizers import fuse


@dataclass(frozen=True)
class Mixture:
    """Gaussians of equal weight.

    Args:
        means: their means (K, D).
        std: standard deviation of each of the first `spread` axes; the points do not leave the means along the others.
        spread: number of those axes. None = all.
        radius: standard deviations around a mean within which a sample has high quality, by distance along all axes.
    """

    means: Tensor
    std: float
    spread: int | None = None
    radius: float = RADIUS


def ring() -> Mixture:
    """Return eight Gaussians on the unit circle."""
    angles = torch.arange(8) * 2 * math.pi / 8
    return Mixture(torch.stack([angles.cos(), angles.sin()], dim=1), 0.01)


def grid() -> Mixture:
    """Return a square of 25 Gaussians."""
    side = torch.arange(-4.0, 5.0, 2.0)
    return Mixture(torch.cartesian_prod(side, side), 0.05)


def subspaces() -> Mixture:
    """Return VEEGAN's ten Gaussians of 700 dimensions in 1,200, as PacGAN's code draws them."""
    places = torch.tensor([-1, -0.5, 0, 0.5, -2, -2.5, 10, 0.25, -13, -5.5])
    return Mixture(places[:, None].repeat(1, 1200), 1.0, 700, 10)


class Mixtures(Game):
    """Table 1 of PacGAN: 100,000 fixed points, 400 epochs of 1,000 batches of 100 packs, both players at once."""

    steps, every = 400_000, 20_000
    points, batch, evaluated = 100_000, 100, 2_500

    def __init__(
        self,
        seeds: Sequence[int],
        mixture: Callable[[], Mixture],
        pack: int = 1,
        game: Losses = nonsaturating,
        penalty: Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.mixture = mixture()
        means = self.mixture.means
        self.dims = means.shape[1]
        self.pack, self.game, self.penalty = pack, game, penalty
        self.streams = Streams(seeds)
        self.generators = PointGenerators(self.streams, self.dims, passes=pack)
        self.discriminators = PointDiscriminators(self.streams, self.dims * pack)
        modes = self.streams.integers(len(means), self.points)
        spread = self.mixture.spread or self.dims
        noise = F.pad(self.streams.normal(self.points, spread), (0, self.dims - spread))
        self.data = means[modes] + self.mixture.std * noise  # (S, points, D)
        self.packs = self.streams.integers(self.points, self.points, pack)  # a table, drawn once with replacement
        self.test = self.streams.normal(self.evaluated, 2)  # the same latents for all measurements
        self.order = self.streams.permutations(self.points)
        adam = partial(Adam, lr=1e-4, betas=(0.8, 0.999))
        self.d_optimizer, self.g_optimizer = adam(self.discriminators.parameters()), adam(self.generators.parameters())
        fuse(self.d_optimizer)
        fuse(self.g_optimizer)

    @override
    def state(self) -> dict[str, Any]:
        return super().state() | {"order": self.order}

    @override
    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.order = state["order"]

    def real(self) -> Tensor:
        """Return the next packs, (S, batch, D · pack)."""
        place = self.step * self.batch % self.points
        if place == 0:
            self.order = self.streams.permutations(self.points)
        rows = self.order[:, place : place + self.batch]  # (S, batch)
        chosen = self.packs.gather(1, rows[:, :, None].expand(-1, -1, self.pack)).flatten(1)  # of points
        points = self.data.gather(1, chosen[:, :, None].expand(-1, -1, self.dims))
        return points.unflatten(1, (-1, self.pack)).flatten(2)

    def advance(self) -> None:
        """Update both players from one pass, as ALI's algorithm does."""
        real = self.real()
        # each latent of a pack passes G in a batch of its own
        made = self.generators(self.streams.normal(self.pack * self.batch, 2))
        fake = made.unflatten(1, (self.pack, self.batch)).transpose(1, 2).flatten(2)  # (S, batch, D · pack)
        d, g = self.game(self.discriminators(real), self.discriminators(fake))
        if self.penalty is not None:
            d = d + self.penalty(self.discriminators, real, fake)
        of_d = torch.autograd.grad(d.sum(), [*self.discriminators.parameters()], retain_graph=True)
        of_g = torch.autograd.grad(g.sum(), [*self.generators.parameters()])
        for network, gradients in ((self.discriminators, of_d), (self.generators, of_g)):
            for p, gradient in zip(network.parameters(), gradients, strict=True):
                p.grad = gradient
        self.d_optimizer.step()
        self.g_optimizer.step()

    @override
    @torch.no_grad()
    def measure(self) -> list[dict[str, float]]:
        self.generators.eval()
        samples = self.generators(self.test)
        self.generators.train()
        scores = []
        for points in samples:
            if not points.isfinite().all():
                scores.append(dict.fromkeys(("modes", "high_quality", "kl"), math.nan))
                continue
            found = mixture_coverage(points, self.mixture.means, self.mixture.std, self.mixture.radius)
            names = {"modes": "modes_covered", "high_quality": "high_quality", "kl": "modes_kl"}
            scores.append({name: float(found[key]) for name, key in names.items()})
        return scores
