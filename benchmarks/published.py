"""Published numbers, reproduced under the protocols of their papers.

python -m benchmarks.published --list
python -m benchmarks.published ring-gan ring-pac2 --seeds 0-2
python -m benchmarks.published --page docs/published.md

Each name is a row: a published number with its protocol. A run saves itself every few minutes in the folder, and the
same command goes on from there; a finished one adds a line of JSON to results.jsonl. A protocol is never shortened:
there is no argument for fewer steps. Several seeds of a small network are trained as one batched network (see
`benchmarks.batched`; tests show that each seed ends as it would alone). Everything is float32 on one thread of the CPU.
MNIST is that in the folder that `GAN_LIGHTNING_DATA` names, in mnist/, or else in data/, where it is downloaded.
"""

import json
import math
import os
import platform
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam
from typing_extensions import override

from benchmarks.batched import (
    PointDiscriminators,
    PointGenerators,
    StackedDiscriminators,
    StackedGenerators,
    Streams,
    nonsaturating,
)
from datamodules import MNIST
from gan_lightning import losses
from gan_lightning.cli.training import main as command_line
from gan_lightning.data.files import write_whole
from gan_lightning.data.images import to_uint8
from gan_lightning.metrics import StackedDigitClassifier, mixture_coverage, nearest_neighbours
from gan_lightning.metrics.modes import excess
from gan_lightning.models import BiGAN
from gan_lightning.networks import StackedDiscriminator, StackedGenerator
from gan_lightning.training.unrolling import look_ahead

FOLDER = Path("runs/published")
RESULTS = "results.jsonl"
SAVE_EVERY = 300  # seconds
MNIST_ROOT = Path(os.environ["GAN_LIGHTNING_DATA"], "mnist") if "GAN_LIGHTNING_DATA" in os.environ else Path("data")
Losses = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Returns the losses of D and G of each seed, (S,), from logits of real images and of fakes, (S, N)."""


class Run(ABC):
    """The training of a row's network for several seeds, which can be saved after any step."""

    steps: int
    every: int
    """Steps from one point of the learning curve to the next."""

    def __init__(self) -> None:
        self.step = 0
        self.curve: list[dict[str, Any]] = []

    @abstractmethod
    def advance(self) -> None:
        """Train a step."""

    @abstractmethod
    def measure(self) -> list[dict[str, float]]:
        """Return the row's measures of each seed."""

    @abstractmethod
    def parts(self) -> Mapping[str, Any]:
        """Return the parts with a state: modules, optimizers, streams."""

    def state(self) -> dict[str, Any]:
        """Return all that an exact resume needs."""
        parts = self.parts().items()
        states = {name: part.state() if isinstance(part, Streams) else part.state_dict() for name, part in parts}
        return {"step": self.step, "curve": self.curve, "parts": states}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the result of `state`."""
        self.step, self.curve = state["step"], state["curve"]
        for name, part in self.parts().items():
            (part.restore if isinstance(part, Streams) else part.load_state_dict)(state["parts"][name])


def penalised(game: losses.AdversarialLoss) -> Losses:
    """Return the losses of one of the library's games, seed by seed."""

    def both(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        seeds = range(len(real))
        return (
            torch.stack([game.discriminator(real[s], fake[s]) for s in seeds]),
            torch.stack([game.generator(fake[s], lambda s=s: real[s]) for s in seeds]),  # type: ignore[misc]
        )

    return both


def slopes(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the squared norm of each input's gradient, (S, N), for inputs (S, N, ...); differentiable."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient.flatten(2).square().sum(2)


# ---------------------------------------------------------------------- mixtures


def ring() -> tuple[Tensor, float]:
    """Return the means (8, 2) and the standard deviation of eight Gaussians on the unit circle."""
    angles = torch.arange(8) * 2 * math.pi / 8
    return torch.stack([angles.cos(), angles.sin()], dim=1), 0.01


def grid() -> tuple[Tensor, float]:
    """Return the means (25, 2) and the standard deviation of a square of Gaussians."""
    side = torch.arange(-4.0, 5.0, 2.0)
    return torch.cartesian_prod(side, side), 0.05


class Mixtures(Run):
    """Table 1 of PacGAN: 100,000 fixed points, 400 epochs of 1,000 batches of 100 packs, both players at once."""

    steps, every = 400_000, 20_000
    points, batch, evaluated = 100_000, 100, 2_500

    def __init__(
        self,
        seeds: Sequence[int],
        mixture: Callable[[], tuple[Tensor, float]],
        pack: int = 1,
        game: Losses = nonsaturating,
        penalty: Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.means, self.std = mixture()
        self.pack, self.game, self.penalty = pack, game, penalty
        self.streams = Streams(seeds)
        self.generators = PointGenerators(self.streams, passes=pack)
        self.discriminators = PointDiscriminators(self.streams, 2 * pack)
        modes = self.streams.integers(len(self.means), self.points)
        self.data = self.means[modes] + self.std * self.streams.normal(self.points, 2)  # (S, points, 2)
        self.packs = self.streams.integers(self.points, self.points, pack)  # a table, drawn once with replacement
        self.test = self.streams.normal(self.evaluated, 2)  # the same latents for all measurements
        self.order = self.streams.permutations(self.points)
        adam = partial(Adam, lr=1e-4, betas=(0.8, 0.999))
        self.d_optimizer, self.g_optimizer = adam(self.discriminators.parameters()), adam(self.generators.parameters())

    @override
    def parts(self) -> Mapping[str, Any]:
        return {
            "streams": self.streams,
            "generators": self.generators,
            "discriminators": self.discriminators,
            "d_optimizer": self.d_optimizer,
            "g_optimizer": self.g_optimizer,
        }

    @override
    def state(self) -> dict[str, Any]:
        return super().state() | {"order": self.order}

    @override
    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.order = state["order"]

    def real(self) -> Tensor:
        """Return the next packs, (S, batch, 2 · pack)."""
        place = self.step * self.batch % self.points
        if place == 0:
            self.order = self.streams.permutations(self.points)
        rows = self.order[:, place : place + self.batch]  # (S, batch)
        chosen = self.packs.gather(1, rows[:, :, None].expand(-1, -1, self.pack)).flatten(1)  # of points
        return self.data.gather(1, chosen[:, :, None].expand(-1, -1, 2)).unflatten(1, (-1, self.pack)).flatten(2)

    def advance(self) -> None:
        """Update both players from one pass, as ALI's algorithm does."""
        real = self.real()
        # each latent of a pack passes G in a batch of its own
        made = self.generators(self.streams.normal(self.pack * self.batch, 2))
        fake = made.unflatten(1, (self.pack, self.batch)).transpose(1, 2).flatten(2)  # (S, batch, 2 · pack)
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
            found = mixture_coverage(points, self.means, self.std)
            names = {"modes": "modes_covered", "high_quality": "high_quality", "kl": "modes_kl"}
            scores.append({name: float(found[key]) for name, key in names.items()})
        return scores


# ---------------------------------------------------------------------- stacked MNIST


class Stacked(Run):
    """Table 3 of PacGAN: fresh triples, 500,000 steps on 128 packs, D's and G's steps on the same latents."""

    steps, every = 500_000, 25_000
    batch, evaluated = 128, 25_600

    def __init__(
        self,
        seeds: Sequence[int],
        width: int,
        pack: int = 1,
        unroll: int = 0,
        game: Losses = nonsaturating,
        norm: bool = True,
        penalty: Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.pack, self.unroll, self.game, self.penalty = pack, unroll, game, penalty
        self.streams = Streams(seeds)
        networks: list[tuple[StackedGenerator, StackedDiscriminator]] = []
        for seed in seeds:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                networks.append((StackedGenerator(), StackedDiscriminator(3 * pack, width, norm)))
        self.generators = StackedGenerators([one for one, _ in networks])
        self.discriminators = StackedDiscriminators([other for _, other in networks])
        self.digits = _mnist("train")[0]  # (60000, 28, 28) uint8
        self.test = self.streams.normal(self.evaluated, 256)
        self.d_optimizer = Adam(self.discriminators.parameters(), lr=2e-4, betas=(0.5, 0.99))
        self.g_optimizer = Adam(self.generators.parameters(), lr=1e-4, betas=(0.5, 0.99))

    @override
    def parts(self) -> Mapping[str, Any]:
        return {
            "streams": self.streams,
            "generators": self.generators,
            "discriminators": self.discriminators,
            "d_optimizer": self.d_optimizer,
            "g_optimizer": self.g_optimizer,
        }

    def advance(self) -> None:
        """Step D and then G, on the same latents; real packs and fakes pass D in batches of their own."""
        rows = self.streams.integers(len(self.digits), self.batch, 3 * self.pack)
        real = self.digits[rows].to(torch.get_default_dtype()) / 255 * 2 - 1  # (S, batch, 3 · pack, 28, 28)
        z = [self.streams.normal(self.batch, 256) for _ in range(self.pack)]
        made = torch.cat([self.generators(each) for each in z], dim=2)  # each pass has statistics of its own
        self.d_optimizer.zero_grad()
        self.d_loss(real, made.detach()).backward()
        self.d_optimizer.step()

        self.g_optimizer.zero_grad()
        if self.unroll:
            terms = look_ahead(
                [self.discriminators],
                self.d_optimizer,
                self.unroll,
                lambda: self.d_loss(real, made),
                lambda: {"g": -self.d_loss(real, made)},  # the saddle of Metz et al., equation 10
            )
            gradients = torch.autograd.grad(terms["g"], [*self.generators.parameters()])
        else:
            with torch.no_grad():
                judged = self.discriminators(real)
            _, g = self.game(judged, self.discriminators(made))
            gradients = torch.autograd.grad(g.sum(), [*self.generators.parameters()])
        for p, gradient in zip(self.generators.parameters(), gradients, strict=True):
            p.grad = gradient
        self.g_optimizer.step()

    def d_loss(self, real: Tensor, made: Tensor) -> Tensor:
        """Return the sum over seeds of D's loss."""
        d, _ = self.game(self.discriminators(real), self.discriminators(made))
        if self.penalty is not None:
            d = d + self.penalty(self.discriminators, real, made)
        return d.sum()

    @torch.no_grad()
    def measure(self) -> list[dict[str, float]]:
        """Classify samples of batches of 128, whose statistics batch norm uses, as the published evaluation does."""
        classifier = StackedDigitClassifier()
        counts = torch.zeros(len(self.test), 1000, dtype=torch.float64)
        for z in self.test.split(self.batch, dim=1):
            for seed, images in enumerate(self.generators(z)):
                logits = classifier(to_uint8(images)).logits
                assert logits is not None
                counts[seed] += logits.argmax(1).bincount(minlength=1000)
        shares = counts / counts.sum(1, keepdim=True)
        return [
            {"modes": float((share > 0).sum()), "kl": float(torch.xlogy(share, 1000 * share).sum())} for share in shares
        ]


def _mnist(split: str) -> tuple[Tensor, Tensor]:
    """Return MNIST's digits, uint8 (N, 28, 28), and their labels."""
    data = MNIST(MNIST_ROOT, image_size=28)
    data.prepare_data()
    storage = data.training_storage() if split == "train" else data.reference_storage()
    assert storage.labels is not None
    return storage.images.take(torch.arange(len(storage)))[:, 0], storage.labels


# ---------------------------------------------------------------------- runs of the command line


class Fits(Run):
    """A config of the library, trained seed by seed by `gan-lightning fit`, which saves and resumes itself."""

    every = 1

    def __init__(
        self, seeds: Sequence[int], config: str, folder: Path, score: Callable[[Any], dict[str, float]]
    ) -> None:
        super().__init__()
        self.seeds, self.config, self.folder, self.score = seeds, config, folder, score
        self.steps = len(seeds)
        self.scores: list[dict[str, float]] = []

    @override
    def parts(self) -> Mapping[str, Any]:
        return {}

    @override
    def state(self) -> dict[str, Any]:
        return super().state() | {"scores": self.scores}

    @override
    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.scores = state["scores"]

    def advance(self) -> None:
        """Train the next seed to its end, from where it is."""
        seed = self.seeds[self.step]
        run = self.folder / f"{self.config.replace('/', '-')}-{seed}"
        last = run / "checkpoints" / "last.ckpt"
        resume = ["--ckpt_path", "last"] if last.is_file() else []
        command_line(
            [
                "fit",
                *("--config", self.config, "--data.root", str(MNIST_ROOT), "--seed_everything", str(seed)),
                *("--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(run), *resume),
            ]
        )
        self.scores.append(self.score(last))

    @override
    def measure(self) -> list[dict[str, float]]:
        return self.scores


def neighbours_of_codes(checkpoint: Path) -> dict[str, float]:
    """Return the accuracy of the nearest of 50,000 training digits, by Euclidean distance of BiGAN's codes."""
    model = BiGAN.load_from_checkpoint(checkpoint)
    encoder: Any = model.encoder.eval()
    codes = {}
    labels = {}
    with torch.no_grad():
        for split in ("train", "test"):
            images, labels[split] = _mnist(split)
            parts = (images[:50_000, None].float() / 127.5 - 1).split(1000)
            codes[split] = torch.cat([encoder.unbounded(part) for part in parts])
    _, nearest = nearest_neighbours(codes["test"], codes["train"])
    return {"accuracy": float((labels["train"][nearest[:, 0]] == labels["test"]).double().mean())}


# ---------------------------------------------------------------------- rows


@dataclass(frozen=True)
class Row:
    """A published number.

    Args:
        table: the paper's table.
        method: the name of the method in it.
        make: makes the run, given the seeds.
        published: value and spread by measure, as printed; empty if the paper has no such row.
        protocol: what the number depends on, in words.
        departures: what differs from the protocol.
        spread: meaning of the published spread.
        source: "read" in the paper or its code, or quoted from "memory".
        floor: the values that perfect samples have, by measure.
    """

    table: str
    method: str
    make: Callable[[Sequence[int], Path], Run]
    published: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    protocol: str = ""
    departures: Sequence[str] = ()
    spread: str = "standard error"
    source: str = "read"
    floor: Mapping[str, float] = field(default_factory=dict)


_MIXTURE = (
    "100,000 fixed points; 400,000 steps of 100 packs; Adam 1e-4, betas 0.8 and 0.999; G 4 x 400 with batch norm, D 3 "
    "x 200 maxout of 5; both players updated at once; 2,500 samples by running statistics, on a mode within 3 sigma"
)
_STACKED = (
    "fresh triples of 60,000 digits in [-1, 1]; 500,000 steps of 128 packs; Adam 2e-4 (D) and 1e-4 (G), betas 0.5 and "
    "0.99; 256 normal latents; 25,600 samples by statistics of batches; KL to uniform over 1,000"
)
_OWN_CLASSIFIER = "the library's digit classifier (above 99% of the test digits) in the place of a Keras one"
_BLOCKS = "Adam's epsilon stands outside the bias correction, as in torch"


def _table_1(name: str, mixture: Callable[[], tuple[Tensor, float]], modes: int) -> dict[str, Row]:
    means, _ = mixture()
    floor = float(excess(torch.full((modes,), 1 / modes), Mixtures.evaluated))
    published = {
        ("ring", 1): ((6.3, 0.5), (0.982, 0.002), (0.45, 0.09)),
        ("ring", 2): ((7.9, 0.1), (0.956, 0.020), (0.07, 0.03)),
        ("ring", 3): ((7.8, 0.1), (0.977, 0.003), (0.10, 0.02)),
        ("ring", 4): ((7.8, 0.1), (0.959, 0.014), (0.07, 0.02)),
        ("grid", 1): ((17.3, 0.8), (0.948, 0.007), (0.70, 0.07)),
        ("grid", 2): ((23.8, 0.7), (0.913, 0.008), (0.13, 0.04)),
        ("grid", 3): ((24.6, 0.4), (0.942, 0.006), (0.06, 0.02)),
        ("grid", 4): ((24.8, 0.2), (0.936, 0.006), (0.04, 0.01)),
    }
    perfect = {"modes": float(len(means)), "high_quality": 1 - math.exp(-4.5), "kl": floor}
    how: dict[str, Any] = {"protocol": _MIXTURE, "departures": (_BLOCKS,), "floor": perfect}
    table = f"PacGAN, table 1, {name}"
    rows = {}
    for pack in (1, 2, 3, 4):
        values = dict(zip(("modes", "high_quality", "kl"), published[name, pack], strict=True))
        method = "GAN" if pack == 1 else f"PacGAN{pack}"
        rows[f"{name}-{'gan' if pack == 1 else f'pac{pack}'}"] = Row(
            table, method, lambda seeds, _, pack=pack: Mixtures(seeds, mixture, pack), values, **how
        )
    for key, (method, game, penalty) in OTHERS.items():
        rows[f"{name}-{key}"] = Row(
            f"the protocol of {table}",
            method,
            lambda seeds, _, game=game, penalty=penalty: Mixtures(seeds, mixture, 1, game, penalty),
            **how,
        )
    return rows


def _r1_r2(gamma: float, fakes: bool = True) -> Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]:
    def penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        total = slopes(critic, real).mean(1)
        return gamma / 2 * (total + slopes(critic, fake).mean(1) if fakes else total)

    return penalty


def _two_sided(weight: float) -> Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]:
    def penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        # evenly spread shares in the place of drawn ones, so that no stream is drawn from out of turn
        share = ((torch.arange(real.shape[1]) + 0.5) / real.shape[1]).view(1, -1, *[1] * (real.dim() - 2))
        between = torch.lerp(real, fake.detach(), share)
        return weight * ((slopes(critic, between) + 1e-12).sqrt() - 1).square().mean(1)

    return penalty


OTHERS: dict[str, tuple[str, Losses, Any]] = {
    "lsgan": ("LSGAN", penalised(losses.LeastSquares()), None),
    "hinge": ("hinge loss", penalised(losses.Hinge()), None),
    "wgan-gp": ("WGAN-GP, one step of D for each of G", penalised(losses.Wasserstein()), _two_sided(10.0)),
    "ragan": ("RaGAN", penalised(losses.RelativisticAverage()), None),
    "r3gan": ("R3GAN's loss: relativistic pairing, R1, R2", penalised(losses.RelativisticPairing()), _r1_r2(1.0)),
    "gan-r1-r2": ("GAN, R1 and R2", nonsaturating, _r1_r2(1.0)),
    "gan-r1": ("GAN, R1", nonsaturating, _r1_r2(1.0, fakes=False)),
}
"""The library's other objectives under the same protocols."""


def _table_3() -> dict[str, Row]:
    published = {
        (2, 1): ((78.5, 17.56), (5.21, 0.19)),
        (2, 2): ((484.5, 32.99), (2.61, 0.22)),
        (2, 3): ((601.3, 32.18), (2.00, 0.17)),
        (2, 4): ((667.4, 29.00), (1.81, 0.15)),
        (4, 1): ((487.7, 34.59), (2.24, 0.15)),
        (4, 2): ((840.7, 15.92), (1.00, 0.05)),
        (4, 3): ((866.6, 12.10), (0.90, 0.04)),
        (4, 4): ((820.2, 25.50), (1.15, 0.14)),
    }
    unrolled = {
        (2, 1): ((65.4, 34.75), (5.91, 0.14)),
        (2, 5): ((236.4, 63.30), (4.67, 0.43)),
        (2, 10): ((327.2, 74.67), (4.66, 0.46)),
        (4, 1): ((523.6, 55.77), (2.44, 0.26)),
        (4, 5): ((732.0, 44.98), (1.66, 0.09)),
        (4, 10): ((817.4, 37.91), (1.43, 0.12)),
    }
    how: dict[str, Any] = {"protocol": _STACKED, "floor": {"modes": 1000.0, "kl": 0.0239}}
    departures = (_OWN_CLASSIFIER,)
    rows = {}
    for (width, pack), values in published.items():
        size = {2: "quarter", 4: "half"}[width]
        rows[f"stacked-{size}-{'dcgan' if pack == 1 else f'pac{pack}'}"] = Row(
            f"PacGAN, table 3, D = {'1/4' if width == 2 else '1/2'} G",
            "DCGAN" if pack == 1 else f"PacDCGAN{pack}",
            lambda seeds, _, width=width, pack=pack: Stacked(seeds, width, pack),
            dict(zip(("modes", "kl"), values, strict=True)),
            departures=departures,
            **how,
        )
    for (width, steps), values in unrolled.items():
        size = {2: "quarter", 4: "half"}[width]
        rows[f"stacked-{size}-unrolled{steps}"] = Row(
            f"PacGAN, table 3, D = {'1/4' if width == 2 else '1/2'} G, as the unrolled GAN's paper has it",
            f"unrolled GAN, {steps} {'step' if steps == 1 else 'steps'}",
            lambda seeds, _, width=width, steps=steps: Stacked(seeds, width, 1, steps),
            dict(zip(("modes", "kl"), values, strict=True)),
            departures=(*departures, "number of steps and latents as for DCGAN: the paper's own are not stated"),
            **how,
        )
    for key, (method, game, penalty) in OTHERS.items():
        rows[f"stacked-quarter-{key}"] = Row(
            "the protocol of PacGAN, table 3, D = 1/4 G",
            method,
            lambda seeds, _, game=game, penalty=penalty: Stacked(
                seeds, 2, game=game, norm=penalty is None, penalty=penalty
            ),
            departures=(*departures, *([] if penalty is None else ["no batch norm in D, which spoils the penalty"])),
            **how,
        )
    return rows


ROWS: dict[str, Row] = {
    **_table_1("ring", ring, 8),
    **_table_1("grid", grid, 25),
    **_table_3(),
    "bigan": Row(
        "BiGAN, table 1, 1-NN among codes",
        "BiGAN",
        lambda seeds, folder: Fits(seeds, "bigan/mnist", folder, neighbours_of_codes),
        {"accuracy": (0.9739, None)},
        "config bigan/mnist: 400 epochs; codes before tanh, Euclidean; 50,000 training digits for 10,000 test digits",
        ("the players step one after the other, each from passes of its own",),
        spread="none printed; the authors' log has 97.35% at 400 epochs",
        source="memory",
    ),
}


# ---------------------------------------------------------------------- the runner


def reproduce(name: str, seeds: Sequence[int], folder: Path, until: int | None = None) -> dict[str, Any] | None:
    """Train a row from where it is, and return its result; None if it stopped after `until` steps in all."""
    row = ROWS[name]
    file = folder / f"{name}-{'.'.join(map(str, seeds))}.pt"
    folder.mkdir(parents=True, exist_ok=True)
    run = row.make(seeds, folder)
    seconds = 0.0
    if file.is_file():
        saved = torch.load(file, weights_only=True)
        run.restore(saved["run"])
        seconds = saved["seconds"]
    begun = last = time.monotonic()

    def save() -> None:
        state = {"run": run.state(), "seconds": seconds + time.monotonic() - begun}
        write_whole(file, lambda place: torch.save(state, place))

    end = run.steps if until is None else min(until, run.steps)
    while run.step < end:
        run.advance()
        run.step += 1
        if run.step % run.every == 0:
            run.curve.append({"step": run.step, "scores": run.measure()})
            print(f"{name}: {run.step:,} of {run.steps:,}: {run.curve[-1]['scores']}", flush=True)
        if time.monotonic() - last > SAVE_EVERY:
            save()
            last = time.monotonic()
    save()
    if run.step < run.steps:
        return None
    scores = run.measure()
    minutes = (seconds + time.monotonic() - begun) / 60
    return {
        "name": name,
        "table": row.table,
        "method": row.method,
        "protocol": row.protocol,
        "departures": list(row.departures),
        "source": row.source,
        "spread": row.spread,
        "published": {measure: list(value) for measure, value in row.published.items()},
        "floor": dict(row.floor),
        "ours": {measure: _spread([score[measure] for score in scores]) for measure in scores[0]},
        "seeds": list(seeds),
        "minutes": round(minutes, 1),
        "command": f"python -m benchmarks.published {name} --seeds {_span(seeds)}",
        "curve": run.curve,
        "machine": f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} thread",
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    """Return mean and standard deviation over seeds (None for one seed), and the values."""
    return {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else None, "values": list(values)}


def _span(seeds: Sequence[int]) -> str:
    return f"{seeds[0]}-{seeds[-1]}" if list(seeds) == [*range(seeds[0], seeds[-1] + 1)] else ",".join(map(str, seeds))


def _seeds(text: str) -> list[int]:
    """Read seeds: "0-2", or "0,3,5"."""
    first, dash, last = text.partition("-")
    return [*range(int(first), int(last) + 1)] if dash else [int(number) for number in text.split(",")]


def finished(folder: Path) -> dict[tuple[str, tuple[int, ...]], dict[str, Any]]:
    """Return the results in a folder, by name and seeds."""
    file = folder / RESULTS
    lines = file.read_text().splitlines() if file.is_file() else []
    results = [json.loads(line) for line in lines]
    return {(result["name"], tuple(result["seeds"])): result for result in results}


PAGE = """# Published numbers, reproduced

Each row is a number of a paper, and ours under the same protocol, by `python -m benchmarks.published`. Ours are the
mean and the standard deviation over the seeds; the published spread is as its table says. A number is comparable only
as far as its row says that nothing differs.
"""


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of docs/published.md: a table for each published one, of the rows that were run."""
    lines = [PAGE]
    for table in dict.fromkeys(result["table"] for result in results):
        rows = [result for result in results if result["table"] == table]
        lines += [f"## {table[0].upper()}{table[1:]}\n", f"Protocol: {rows[0]['protocol']}.\n"]
        if differing := list(dict.fromkeys(text for row in rows for text in row["departures"])):
            lines += [f"What differs: {'; '.join(differing)}.\n"]
        lines += ["| method | measure | published | ours | perfect samples | seeds | minutes | command |"]
        lines += ["|---|---|---:|---:|---:|---|---:|---|"]
        for row in rows:
            for measure, ours in row["ours"].items():
                value, spread = row["published"].get(measure, (None, None))
                printed = "" if value is None else _number(value, spread)
                if value is not None and row["source"] == "memory":
                    printed += " (from memory)"
                floor = row["floor"].get(measure)
                cells = [
                    *(row["method"], measure, printed, _number(ours["mean"], ours["std"])),
                    "" if floor is None else _number(floor, None),
                    *(_span(row["seeds"]), f"{row['minutes']:.0f}", f"`{row['command']}`"),
                ]
                lines.append(f"| {' | '.join(cells)} |")
        lines.append(f"\nThe published spread is a {rows[0]['spread']}.\n" if rows[0]["published"] else "")
    return "\n".join(lines).rstrip() + "\n"


def _number(value: float, spread: float | None) -> str:
    shown = f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}".rstrip("0").rstrip(".")
    return shown if spread is None else f"{shown} ± {spread:.2g}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to reproduce")
    parser.add_argument("--list", action="store_true", help="print all rows")
    parser.add_argument("--seeds", type=_seeds, default=[0, 1, 2], help="0-2, or 0,3,5")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where runs and results are kept")
    parser.add_argument("--jobs", type=int, default=1, help="rows that are trained at a time, each on one thread")
    parser.add_argument("--page", type=Path, help="write the page of all results of the folder")
    given = parser.parse_args(arguments)
    if unknown := sorted({*given.names} - ROWS.keys()):
        parser.error(f"no row is named {unknown[0]!r}: choose from {', '.join(ROWS)}")
    if given.list:
        for name, row in ROWS.items():
            print(f"{name:28} {row.table}: {row.method}")
    torch.set_num_threads(1)
    if given.jobs > 1:
        _in_parallel(given.names, given)
    else:
        for name in given.names:
            _one(name, given.seeds, given.folder)
    if given.page:
        text = page([*finished(given.folder).values()])
        write_whole(given.page, lambda place: Path(place).write_text(text))


def _one(name: str, seeds: Sequence[int], folder: Path) -> None:
    done = finished(folder).get((name, tuple(seeds)))
    if done is None:
        done = reproduce(name, seeds, folder)
        assert done is not None
        with (folder / RESULTS).open("a") as file:
            file.write(json.dumps(done) + "\n")
    print(json.dumps({key: done[key] for key in ("name", "ours", "published", "minutes")}), flush=True)


def _in_parallel(names: Sequence[str], given: Any) -> None:
    waiting, running = list(names), []
    while waiting or running:
        while waiting and len(running) < given.jobs:
            command = [sys.executable, "-m", "benchmarks.published", waiting.pop(0), "--seeds", _span(given.seeds)]
            running.append(subprocess.Popen([*command, "--folder", str(given.folder)]))
        running[0].wait()
        failed = [process.args for process in running if process.poll()]
        if failed:
            raise SystemExit(f"{failed[0]} failed: see its message above; the same command goes on")
        running = [process for process in running if process.poll() is None]


if __name__ == "__main__":
    main()
