"""Rows that a config of the library gives, trained by the command line."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from typing_extensions import override

from benchmarks.published import mnist
from benchmarks.published.run import Run
from gan_lightning.cli.training import main as command_line
from gan_lightning.metrics import nearest_neighbours
from gan_lightning.models import BiGAN


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
                *("--config", self.config, "--data.root", str(mnist.ROOT), "--seed_everything", str(seed)),
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
            images, labels[split] = mnist.load(split)
            parts = (images[:50_000, None].float() / 127.5 - 1).split(1000)
            codes[split] = torch.cat([encoder.unbounded(part) for part in parts])
    _, nearest = nearest_neighbours(codes["test"], codes["train"])
    return {"accuracy": float((labels["train"][nearest[:, 0]] == labels["test"]).double().mean())}
