"""The objectives on mixtures of Gaussians in the plane, with a picture of the modes that each finds.

python -m benchmarks.mixtures --picture docs/mixtures.png

Points are images of one pixel and two channels, so that the models are those of every other run. All have the same
networks (two hidden layers of 128), the same optimizer, batches and number of steps. The mixtures are a ring of 8 and a
grid of 25, as in "Unrolled GANs" (arXiv 1611.02163), VEEGAN (1705.07761) and PacGAN (1712.04086), scaled into [-1, 1].
"""

import math
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim import Adam
from torch.utils.data import DataLoader, IterableDataset

from benchmarks.rounds import quieten_lightning
from gan_lightning import losses, models
from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import FromLatents
from gan_lightning.metrics.modes import mixture_coverage
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.networks.heads import MinibatchDiscrimination
from gan_lightning.recording import Network

HIDDEN = 128
SCALE = 5  # of points at the input of D, where modes are then as far apart as in the publications
BATCH_SIZE = 256
SAMPLES = 2500  # number of points for the scores of a generator


class Mixture(NamedTuple):
    """A mixture of round Gaussians with equal weights."""

    means: Tensor  # (K, 2)
    std: float

    def draw(self, count: int) -> Tensor:
        """Draw points (count, 2)."""
        return self.means[torch.randint(len(self.means), (count,))] + self.std * torch.randn(count, 2)


def ring() -> Mixture:
    """8 Gaussians on a circle."""
    angles = torch.arange(8) * 2 * math.pi / 8
    return Mixture(0.8 * torch.stack([angles.cos(), angles.sin()], dim=1), std=0.02)


def grid() -> Mixture:
    """25 Gaussians in a square."""
    side = torch.linspace(-0.8, 0.8, 5)
    return Mixture(torch.cartesian_prod(side, side), std=0.02)


MIXTURES = {"ring": ring, "grid": grid}


class PointGenerator(Network):
    """A generator from latents to points, which are images of one pixel."""

    def __init__(self, latent_dim: int = 2) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, 0
        self.net = nn.Sequential(
            nn.Linear(latent_dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Generate points (N, 2, 1, 1) from z (N, latent_dim)."""
        return self.net(z)[:, :, None, None]


class PointDiscriminator(Discriminator):
    """A discriminator from points to logits."""

    num_features = HIDDEN

    def __init__(self, head: HeadFactory | None = None, spectral: bool = False) -> None:
        super().__init__()
        judge = nn.Linear(HIDDEN, 1) if head is None else head(HIDDEN)
        layers = [nn.Linear(2, HIDDEN), nn.Linear(HIDDEN, HIDDEN), judge]
        if spectral:
            layers = [spectral_norm(layer) for layer in layers]
        self.net = nn.Sequential(layers[0], nn.LeakyReLU(0.2), layers[1], nn.LeakyReLU(0.2))
        self.head = layers[2]

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Compute features (N, HIDDEN) of points (N, 2, 1, 1)."""
        return self.net(SCALE * images.flatten(1))


class Endless(IterableDataset):
    """An endless stream of batches of new points."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture

    def __iter__(self) -> Iterator[ImageBatch]:
        while True:
            yield ImageBatch(self.mixture.draw(BATCH_SIZE)[:, :, None, None].clamp(-1, 1))


ADAM = partial(Adam, lr=1e-3, betas=(0.5, 0.9))
GAME = {"generator_optimizer": ADAM, "discriminator_optimizer": ADAM, "ema_half_life": 20 * BATCH_SIZE}
COMPARES = partial(MinibatchDiscrimination, kernels=4, kernel_dims=2)


def game(
    model: Callable[..., FromLatents], head: HeadFactory | None = None, spectral: bool = False, **settings: Any
) -> FromLatents:
    """Make a model of two players on points."""
    return model(PointGenerator(), PointDiscriminator(head, spectral), **GAME, **settings)


def f_gan(divergence: type[losses.FDivergence]) -> FromLatents:
    return game(models.FGAN, loss=losses.AlternativeUpdate(divergence()))


OBJECTIVES: dict[str, Callable[[], FromLatents]] = {
    "GAN, saturating": lambda: game(models.DCGAN, loss=losses.Minimax()),
    "GAN, non-saturating": lambda: game(models.DCGAN),
    "+ minibatch discrimination": lambda: game(models.DCGAN, head=COMPARES),
    "LSGAN": lambda: game(models.LSGAN),
    "WGAN, clipped": lambda: game(models.WGAN, clip=0.1, head_start=1),
    "WGAN-GP": lambda: game(models.WGANGP, lambda_gp=0.1, n_critic=1),
    "SN-GAN, hinge": lambda: game(models.SNGAN, spectral=True),
    "f-GAN, KL": lambda: f_gan(losses.KL),
    "f-GAN, reverse KL": lambda: f_gan(losses.ReverseKL),
    "f-GAN, Pearson": lambda: f_gan(losses.PearsonChiSquared),
    "f-GAN, Neyman": lambda: f_gan(losses.NeymanChiSquared),
    "f-GAN, Hellinger": lambda: f_gan(losses.SquaredHellinger),
    "RaGAN": lambda: game(models.RaGAN),
    "R3GAN's objective": lambda: game(models.R3GAN, gamma=0.1),
    "GMMN": lambda: models.GMMN(PointGenerator(), bandwidths=(1e-4, 1e-3, 1e-2, 1e-1, 1.0), optimizer=ADAM),
}


def fit(objective: str, mixture: Mixture, steps: int, seed: int = 0) -> tuple[Tensor, dict[str, float]]:
    """Train a generator for `steps` steps of D; return points (SAMPLES, 2), and how well they cover the mixture."""
    L.seed_everything(seed)
    model = OBJECTIVES[objective]()
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader(Endless(mixture), batch_size=None))
    points = model.sample(SAMPLES, seed=0).flatten(1)
    covered = mixture_coverage(points, mixture.means, mixture.std)
    return points, {name: value.item() for name, value in covered.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000, help="training batches of each objective")
    parser.add_argument("--only", nargs="+", choices=OBJECTIVES, default=list(OBJECTIVES), help="objectives to train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, help="file to write the points into")
    given = parser.parse_args(arguments)
    quieten_lightning()
    torch.set_num_threads(1)  # networks are tiny: more threads would only wait for each other

    figure = Figure(figsize=(2.2 * len(given.only), 2.5 * len(MIXTURES)))
    axes = figure.subplots(len(MIXTURES), len(given.only), squeeze=False)
    print(
        "| objective | ring: modes of 8 | high quality | grid: modes of 25 | high quality |\n|---|---:|---:|---:|---:|"
    )
    for column, objective in enumerate(given.only):
        cells = [objective]
        for row, make in enumerate(MIXTURES.values()):
            mixture = make()
            points, covered = fit(objective, mixture, given.steps, given.seed)
            cells += [f"{covered['modes_covered_fairly']:.0f}", f"{covered['high_quality']:.0%}"]
            axis = axes[row, column]
            axis.scatter(*mixture.means.T, s=60, color="lightgrey")
            axis.scatter(*points.T, s=1, color="tab:blue")
            axis.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), xticks=[], yticks=[], aspect="equal")
            if row == 0:
                axis.set_title(objective, fontsize=9)
        print(f"| {' | '.join(cells)} |", flush=True)
    if given.picture:
        figure.savefig(given.picture, bbox_inches="tight", dpi=70)


if __name__ == "__main__":
    main()
