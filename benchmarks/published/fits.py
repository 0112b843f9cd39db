"""Rows that a config of the library gives, trained by the command line."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from benchmarks.published import mnist
from benchmarks.published.run import Run
from gan_lightning.cli.training import main as command_line
from gan_lightning.data.files import write_whole
from gan_lightning.evaluation.runs import is_finished
from gan_lightning.metrics import nearest_neighbours
from gan_lightning.models import BiGAN, InfoGAN
from gan_lightning.training.checkpoint_io import read_checkpoint
from gan_lightning.training.generative import GenerativeModule

Score = Callable[[Path], dict[str, float]]
"""Returns the measures of a finished run, given its last checkpoint."""

WIDTHS = torch.logspace(-1, 0, 10).tolist()  # of a Parzen window, in pixels in [0, 1]
SAMPLES = 10_000  # of a Parzen window
TUNED_ON = 1_000  # digits
FINISHED = "published.json"  # in the folder of a finished run: its scores, and the seconds that it took


class Fits(Run):
    """A config of the library, trained seed by seed by `gan-lightning fit`, which saves and resumes itself.

    Args:
        seeds: seeds of the runs.
        folder: the folder of the runs' folders.
        config: its name.
        score: measures a finished run.
        overrides: other values of settings, by their names.
        seeded: a setting that is given the seed too.
    """

    every = 1

    def __init__(
        self,
        seeds: Sequence[int],
        folder: Path,
        config: str,
        score: Score,
        overrides: Mapping[str, Any] | None = None,
        seeded: str = "",
    ) -> None:
        super().__init__()
        self.seeds, self.config, self.folder, self.score = seeds, config, folder, score
        self.overrides, self.seeded = overrides or {}, seeded
        self.steps = len(seeds)
        self.found: list[dict[str, Any]] = []

    @override
    def parts(self) -> Mapping[str, Any]:
        return {}

    @override
    def state(self) -> dict[str, Any]:
        return super().state() | {"found": self.found}

    @override
    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.found = state["found"]

    def place(self, seed: int) -> Path:
        """Return the folder of a seed's run: rows with different settings have different ones."""
        settings = [f"{name.rpartition('.')[2]}-{value}" for name, value in self.overrides.items()]
        return self.folder / "-".join([self.config.replace("/", "-"), *settings, str(seed)])

    def advance(self) -> None:
        """Train the next seed to its end, from where it is, unless it was trained for other seeds' sake."""
        seed = self.seeds[self.step]
        run = self.place(seed)
        finished = run / FINISHED
        if not finished.is_file():
            last = self.train(seed, run)
            found = {"scores": self.score(last), "seconds": seconds_of_training(last)}
            write_whole(finished, lambda place: Path(place).write_text(json.dumps(found)))
        self.found.append(json.loads(finished.read_text()))

    def train(self, seed: int, run: Path) -> Path:
        """Train a seed in its folder, from where it is, and return its last checkpoint."""
        last = run / "checkpoints" / "last.ckpt"
        if is_finished(run):
            return last
        command_line(
            [
                "fit",
                *("--config", self.config, "--data.root", str(mnist.ROOT), "--seed_everything", str(seed)),
                *("--trainer.accelerator", "cpu", "--trainer.precision", "32-true"),
                "--trainer.callbacks+=lightning.pytorch.callbacks.Timer",  # counts on where a run is resumed
                *([f"--{self.seeded}={seed}"] if self.seeded else []),
                *(f"--{name}={value}" for name, value in self.overrides.items()),
                *("--trainer.default_root_dir", str(run)),
                *(["--ckpt_path", "last"] if last.is_file() else []),
            ]
        )
        return last

    @override
    def measure(self) -> list[dict[str, float]]:
        return [found["scores"] for found in self.found]

    @override
    def seconds(self, measured: float) -> float:
        return sum(found["seconds"] for found in self.found)


def seconds_of_training(checkpoint: Path) -> float:
    """Return the time that a run has taken with its evaluations, whether it was stopped or not."""
    return read_checkpoint(checkpoint)["callbacks"]["Timer"]["time_elapsed"]["train"]


def last_value(checkpoint: Path, name: str) -> float:
    """Return the last value of a metric in a run's metrics.csv.

    Raises:
        ValueError: the run did not log it.
    """
    file = checkpoint.parents[1] / "metrics.csv"
    with file.open(newline="") as lines:
        values = [row[name] for row in csv.DictReader(lines) if row.get(name)]
    if not values:
        raise ValueError(f"{file} has no {name}: the run did not measure it")
    return float(values[-1])


def logged(measure: str, name: str) -> Score:
    """Score a run by the last value of a metric that it logged."""
    return lambda checkpoint: {measure: last_value(checkpoint, name)}


def errors_of_ten_thousand(checkpoint: Path) -> dict[str, float]:
    """Return how many of the 10,000 test digits the model classifies wrongly."""
    return {"errors": 10_000 * (1 - last_value(checkpoint, "val/accuracy"))}


def neighbours_of_codes(checkpoint: Path) -> dict[str, float]:
    """Return the accuracy of the nearest of 50,000 training digits, by Euclidean distance of BiGAN's codes."""
    model = BiGAN.load_from_checkpoint(checkpoint)
    encoder: Any = model.encoder.eval()
    codes = {}
    labels = {}
    with torch.no_grad():
        for split in ("train", "test"):
            images, labels[split] = mnist.load(split)
            codes[split] = torch.cat([encoder.unbounded(part) for part in in_range(images[:50_000]).split(1000)])
    _, nearest = nearest_neighbours(codes["test"], codes["train"])
    return {"accuracy": float((labels["train"][nearest[:, 0]] == labels["test"]).double().mean())}


def error_of_categories(checkpoint: Path) -> dict[str, float]:
    """Return the share of test digits whose category, by InfoGAN's Q, is not that of their class.

    Each category stands for the class that most of its digits have.
    """
    model = InfoGAN.load_from_checkpoint(checkpoint).eval()
    images, labels = mnist.load("test")
    found = []
    with torch.no_grad():
        for part in in_range(images).split(1000):
            ((features,),) = model.discriminator(part, with_features=True).features
            found.append(model.recognition(features)[:, : model.prior.categories].argmax(1))
    counts = torch.zeros(model.prior.categories, 10, dtype=torch.int64)
    counts.index_put_((torch.cat(found), labels), torch.tensor(1), accumulate=True)
    return {"error": 1 - float(counts.max(1).values.sum()) / len(labels)}


def parzen(checkpoint: Path) -> dict[str, float]:
    """Return the mean log-likelihood of the test digits, in nats, by a Parzen window over `SAMPLES` samples.

    The window's width is that of `WIDTHS` with the highest likelihood of the last 1,000 training digits.
    """
    model: Any = GenerativeModule.load_from_checkpoint(checkpoint, map_location="cpu")
    samples = (model.sampler.sample(SAMPLES, seed=0).clamp(-1, 1).flatten(1) + 1) / 2
    tuned_on, test = (mnist.load(split)[0].flatten(1).float() / 255 for split in ("train", "test"))
    width = max(WIDTHS, key=lambda width: float(log_density(tuned_on[-TUNED_ON:], samples, width).mean()))
    return {"nats": float(log_density(test, samples, width).mean())}


def log_density(points: Tensor, samples: Tensor, width: float) -> Tensor:
    """Return the log of a mean of Gaussians around samples (M, D), of one width, at points (N, D): float64 (N,)."""
    dimensions = samples.shape[1]
    constant = torch.tensor(2 * torch.pi).double().log() / 2 + torch.tensor(width).double().log()
    found = []
    for part in points.double().split(500):
        exponents = -torch.cdist(part, samples.double()).square() / (2 * width**2)
        found.append(exponents.logsumexp(1) - torch.tensor(len(samples)).double().log() - dimensions * constant)
    return torch.cat(found)


def in_range(digits: Tensor) -> Tensor:
    """Map uint8 digits (N, H, W) to (N, 1, H, W) in [-1, 1]."""
    return digits[:, None].float() / 127.5 - 1
