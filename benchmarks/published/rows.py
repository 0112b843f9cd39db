"""The published numbers, each with its protocol."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.batched import nonsaturating
from benchmarks.published.fits import (
    Fits,
    error_of_categories,
    errors_of_ten_thousand,
    logged,
    neighbours_of_codes,
    parzen,
)
from benchmarks.published.mixtures import Mixture, Mixtures, grid, ring, subspaces
from benchmarks.published.run import Losses, Run, penalised, slopes
from benchmarks.published.stacked import Stacked
from gan_lightning import losses
from gan_lightning.metrics.modes import excess

Make = Callable[[Sequence[int], Path], Run]
"""Makes a row's run, given the seeds, and the folder of runs."""


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
        found: sentences on why ours differs from the published value, after an investigation.
    """

    table: str
    method: str
    make: Make
    published: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    protocol: str = ""
    departures: Sequence[str] = ()
    spread: str = "standard error"
    source: str = "read"
    floor: Mapping[str, float] = field(default_factory=dict)
    found: str = ""


def _of(kind: Callable[..., Run], **settings: Any) -> Make:
    """Return what makes a run of a kind that keeps nothing in the folder."""
    return lambda seeds, _: kind(seeds, **settings)


_MIXTURE = (
    "100,000 fixed points; 400,000 steps of 100 packs; Adam 1e-4, betas 0.8 and 0.999; G 4 x 400 with batch norm, D 3 "
    "x 200 maxout of 5; both players updated at once; 2,500 samples by running statistics"
)
_STACKED = (
    "fresh triples of 60,000 digits in [-1, 1]; 500,000 steps of 128 packs; Adam 2e-4 (D) and 1e-4 (G), betas 0.5 and "
    "0.99; 256 normal latents; 25,600 samples by statistics of batches; KL to uniform over 1,000"
)
_OWN_CLASSIFIER = "the library's digit classifier (above 99% of the test digits) in the place of a Keras one"
_BLOCKS = "Adam's epsilon stands outside the bias correction, as in torch"


def _table_1(name: str, mixture: Callable[[], Mixture], modes: int) -> dict[str, Row]:
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
    perfect = {"modes": float(modes), "high_quality": 1 - math.exp(-4.5), "kl": floor}
    how: dict[str, Any] = {
        "protocol": f"{_MIXTURE}, on a mode within 3 sigma",
        "departures": (_BLOCKS,),
        "floor": perfect,
    }
    table = f"PacGAN, table 1, {name}"
    rows = {}
    for pack in (1, 2, 3, 4):
        values = dict(zip(("modes", "high_quality", "kl"), published[name, pack], strict=True))
        method = "GAN" if pack == 1 else f"PacGAN{pack}"
        rows[f"{name}-{'gan' if pack == 1 else f'pac{pack}'}"] = Row(
            table, method, _of(Mixtures, mixture=mixture, pack=pack), values, **how
        )
    for key, (method, game, penalty) in OTHERS.items():
        rows[f"{name}-{key}"] = Row(
            f"the protocol of {table}",
            method,
            _of(Mixtures, mixture=mixture, game=game, penalty=penalty),
            **how,
        )
    return rows


def _subspaces() -> dict[str, Row]:
    return {
        f"subspaces-{key}": Row(
            "VEEGAN, table 1, 1,200 dimensions",
            method,
            _of(Mixtures, mixture=subspaces, pack=pack),
            published,
            f"ten Gaussians of 700 dimensions; {_MIXTURE}, on a mode within 10 sigma",
            (
                "networks, two latents and steps of PacGAN's table 1: VEEGAN's are not public",
                "a sample's distance runs along all axes, so that perfect ones, 26 sigma away, are on no mode: the "
                "measure rewards samples near the means",
            ),
            spread="none printed",
            source="memory",
            floor={"modes": 0.0, "high_quality": 0.0},
        )
        for key, method, pack, published in (
            ("gan", "GAN", 1, {"modes": (1.6, None), "high_quality": (0.02, None)}),
            ("pac2", "PacGAN2", 2, {}),
        )
    }


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
            _of(Stacked, width=width, pack=pack),
            dict(zip(("modes", "kl"), values, strict=True)),
            departures=departures,
            **how,
        )
    for (width, steps), values in unrolled.items():
        size = {2: "quarter", 4: "half"}[width]
        rows[f"stacked-{size}-unrolled{steps}"] = Row(
            f"PacGAN, table 3, D = {'1/4' if width == 2 else '1/2'} G, as the unrolled GAN's paper has it",
            f"unrolled GAN, {steps} {'step' if steps == 1 else 'steps'}",
            _of(Stacked, width=width, unroll=steps),
            dict(zip(("modes", "kl"), values, strict=True)),
            departures=(*departures, "number of steps and latents as for DCGAN: the paper's own are not stated"),
            **how,
        )
    for key, (method, game, penalty) in OTHERS.items():
        rows[f"stacked-quarter-{key}"] = Row(
            "the protocol of PacGAN, table 3, D = 1/4 G",
            method,
            _of(Stacked, width=2, game=game, norm=penalty is None, penalty=penalty),
            departures=(*departures, *([] if penalty is None else ["no batch norm in D, which spoils the penalty"])),
            **how,
        )
    return rows


_PARZEN = (
    "10,000 samples; the width of the window is the best of ten from 0.1 to 1 on 1,000 training digits; pixels in "
    "[0, 1]; all test digits. Such likelihoods say little about samples in so many dimensions (Theis et al. 2016)"
)


def _semi_supervised() -> dict[str, Row]:
    published = {20: (1677.0, 452.0), 50: (221.0, 136.0), 100: (93.0, 6.5), 200: (90.0, 4.2)}
    return {
        f"ssgan-{labels}": Row(
            "Salimans et al. 2016, semi-supervised MNIST",
            f"{labels} labels",
            partial(
                Fits,
                config="ssgan/mnist",
                score=errors_of_ten_thousand,
                overrides={"data.labels_per_class": labels // 10},
                seeded="data.label_set",
            ),
            {"errors": value},
            "config ssgan/mnist: 300 epochs, batches of 100 and 100, feature matching, weight norm with a start by "
            "data, averaged weights; a seed has a set of labels of its own",
            spread="standard deviation over ten sets of labels",
            source="read" if labels >= 100 else "memory",
        )
        for labels, value in published.items()
    }


def _likelihoods() -> dict[str, Row]:
    table = "likelihoods of binarised MNIST, nats"
    drawn = "the test digits drawn once"
    published = {
        "vae": ("VAE", 86.76, "config vae/mnist_mlp: training digits drawn anew; a bound by 500 draws"),
        "made": (
            "MADE, 2 layers of 8,000",
            86.64,
            "config made/mnist: fixed binarisation, one order, one set of masks",
        ),
        "pixelcnn": ("PixelCNN", 81.45, f"config pixelcnn/mnist: training digits drawn anew, {drawn}"),
        "gated_pixelcnn": (
            "gated PixelCNN",
            81.50,
            f"config gated_pixelcnn/mnist: training digits drawn anew, {drawn}",
        ),
    }
    return {
        f"nats-{name}": Row(
            table,
            method,
            partial(
                Fits,
                config="vae/mnist_mlp" if name == "vae" else f"{name}/mnist",
                score=logged("nats", "val/nats"),
                overrides={"evaluation.recipe": "nll10k_test"},
            ),
            {"nats": (value, None)},
            protocol,
            ["the first 121 of the paper's 3,280 epochs", "500 draws, not 5,000", "biases that start at 0"]
            if name == "vae"
            else (),
            spread="none printed",
            source="memory" if name in ("vae", "made") else "read",
        )
        for name, (method, value, protocol) in published.items()
    }


def _windows() -> dict[str, Row]:
    published = {
        "gan": ("GAN", (225.0, 2.0)),
        "cgan": ("conditional GAN", (132.0, 1.8)),
        "gmmn": ("GMMN", (147.0, 2.0)),
        "aae": ("AAE", (340.0, 2.0)),
    }
    return {
        f"parzen-{name}": Row(
            "Parzen windows on MNIST",
            method,
            partial(Fits, config=f"{name}/mnist", score=parzen),
            {"nats": value},
            f"config {name}/mnist; {_PARZEN}",
            spread="standard error over the test digits",
            source="memory",
        )
        for name, (method, value) in published.items()
    }


def _agreements() -> dict[str, Row]:
    published = {"edges": 0.952, "negatives": 0.967}
    found = {
        "edges": (
            "Digits and edges still improve at the end: 0.907 after 2,500 steps, 0.933 after 5,000. The paper trained "
            "25,000 steps (from memory), its authors' later code 5,000."
        )
    }
    return {
        f"cogan-{name}": Row(
            "CoGAN, agreement of pixels on MNIST",
            f"digits and {name}",
            partial(Fits, config=f"cogan/mnist_{name}", score=logged("agreement", "val/pixel_agreement")),
            {"agreement": (value, None)},
            f"config cogan/mnist_{name}: the networks and steps of the authors' code",
            ("a pixel agrees if both images are above the middle grey there, or both below: the paper does not say",),
            spread="none printed",
            found=found.get(name, ""),
        )
        for name, value in published.items()
    }


ROWS: dict[str, Row] = {
    **_table_1("ring", ring, 8),
    **_table_1("grid", grid, 25),
    **_subspaces(),
    **_table_3(),
    "bigan": Row(
        "BiGAN, table 1, 1-NN among codes",
        "BiGAN",
        partial(Fits, config="bigan/mnist", score=neighbours_of_codes),
        {"accuracy": (0.9739, None)},
        "config bigan/mnist: 400 epochs; codes before tanh, Euclidean; 50,000 training digits for 10,000 test digits",
        ("the players step one after the other, each from passes of its own",),
        spread="none printed; the authors' log has 97.35% at 400 epochs",
        source="memory",
    ),
    **_semi_supervised(),
    "infogan": Row(
        "InfoGAN on MNIST",
        "category by Q",
        partial(
            Fits,
            config="infogan/mnist",
            score=error_of_categories,
            overrides={"trainer.limit_train_batches": 100},
        ),
        {"error": (0.05, None)},
        "config infogan/mnist with 5,000 updates, 50 epochs of 100 batches of 128, as in the authors' code; each "
        "category stands for the class that most of its test digits have",
        spread="none printed",
    ),
    "aae-100": Row(
        "AAE, semi-supervised MNIST",
        "100 labels",
        partial(Fits, config="semi_supervised_aae/mnist", score=errors_of_ten_thousand, seeded="data.label_set"),
        {"errors": (190.0, 10.0)},
        "config semi_supervised_aae/mnist: 200 epochs, networks of 1,000 and 1,000",
        spread="spread as printed, of errors among 10,000 (1.90 ± 0.10 %)",
        source="memory",
    ),
    **_agreements(),
    **_likelihoods(),
    **_windows(),
}
