"""Training speed of DCGAN on MNIST at 32x32: `train.py` itself against a plain PyTorch loop with the same networks.

python -m benchmarks.training --root data --json training.json
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import Compose, Normalize, Pad, ToTensor

from benchmarks.rounds import compare, parser, quieten_lightning
from gan_lightning.cli.training import main as command_line
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from gan_lightning.training.devices import has_bfloat16_units

CONFIG = Path(__file__).parents[1] / "configs/dcgan/mnist.yaml"
LATENT_DIM = 100
WARM_UP = 5  # batches before the clock starts: kernels are chosen, buffers allocated, the first batch is checked
LOG_INTERVAL = 50  # batches; the default of Lightning and of our command line

WITH_FLOAT32 = ["--trainer.precision=32-true"]
WITH_AVERAGE = ["--model.init_args.ema_half_life=10000"]
WITH_BFLOAT16 = ["--trainer.precision=bf16-mixed"]


class Stopwatch(L.Callback):
    """Records the time, in seconds, at the end of each training batch."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *args: Any) -> None:
        """Record the time; the trainer calls this when the model's own work on a batch is done."""
        self.ends.append(perf_counter())


def rate(ends: list[float]) -> float:
    """Return batches per second after the warm-up."""
    return (len(ends) - WARM_UP) / (ends[-1] - ends[WARM_UP - 1])


def ours(root: Path, batches: int, batch_size: int, overrides: list[str]) -> float:
    """Measure batches per second of `train.py fit` with the config for MNIST; its output goes into a file."""
    with TemporaryDirectory() as folder, Path(folder, "printed.txt").open("w") as printed:
        with redirect_stdout(printed), redirect_stderr(printed), warnings.catch_warnings():
            run: Any = command_line(
                [
                    "fit",
                    f"--config={CONFIG}",
                    f"--trainer.default_root_dir={folder}",
                    "--trainer.accelerator=cpu",
                    f"--trainer.callbacks+={__name__}.Stopwatch",
                    "--trainer.max_epochs=1",
                    f"--trainer.limit_train_batches={WARM_UP + batches}",
                    "--trainer.limit_val_batches=0",
                    "--validate_before_fit=false",
                    f"--data.init_args.root={root}",
                    f"--data.init_args.batch_size={batch_size}",
                    *overrides,
                ]
            )
        callbacks = run.trainer.callbacks
        (stopwatch,) = (callback for callback in callbacks if isinstance(callback, Stopwatch))
        return rate(stopwatch.ends)


def plain(root: Path, batches: int, batch_size: int, workers: int) -> float:
    """Measure batches per second of a loop in the style of tutorials."""
    transform = Compose([Pad(2), ToTensor(), Normalize(0.5, 0.5)])
    loader = DataLoader(MNIST(root, transform=transform), batch_size, shuffle=True, drop_last=True, num_workers=workers)
    G = DCGANGenerator(LATENT_DIM, image_size=32, channels=1)
    D = DCGANDiscriminator(image_size=32, channels=1)
    g_optimizer = Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d_optimizer = Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(batch_size), torch.zeros(batch_size)
    losses, ends = [], []
    for real in islice(_images(loader), WARM_UP + batches):
        d_optimizer.zero_grad()
        fake = G(torch.randn(batch_size, LATENT_DIM))
        d_loss = criterion(D(real), ones) + criterion(D(fake.detach()), zeros)
        d_loss.backward()
        d_optimizer.step()

        g_optimizer.zero_grad()
        fake = G(torch.randn(batch_size, LATENT_DIM))
        g_loss = criterion(D(fake), ones)
        g_loss.backward()
        g_optimizer.step()

        losses.append((d_loss.item(), g_loss.item()))
        if len(losses) % LOG_INTERVAL == 0:
            print(f"{len(losses)}: D {losses[-1][0]:.3f}, G {losses[-1][1]:.3f}")
        ends.append(perf_counter())
    return rate(ends)


def _images(loader: DataLoader) -> Iterator[Tensor]:
    """Yield the images, one epoch after the other."""
    while True:
        for images, _ in loader:
            yield images


def main(args: list[str] | None = None) -> None:
    quieten_lightning()
    arguments = parser(__doc__, batches=LOG_INTERVAL).parse_args(args)
    size = (arguments.root, arguments.batches, arguments.batch_size)
    variants: dict[str, Callable[[], float]] = {
        "plain loop, fp32, 2 workers": partial(plain, *size, 2),
        "plain loop, fp32, 0 workers": partial(plain, *size, 0),
        "ours, fp32, channels_last off": partial(ours, *size, [*WITH_FLOAT32, "--model.init_args.channels_last=false"]),
        "ours, fp32": partial(ours, *size, WITH_FLOAT32),
        "ours, fp32, EMA": partial(ours, *size, WITH_FLOAT32 + WITH_AVERAGE),
    }
    if has_bfloat16_units(torch.device("cpu")):
        variants["ours, bf16-mixed"] = partial(ours, *size, WITH_BFLOAT16)
        variants["ours, bf16-mixed, EMA"] = partial(ours, *size, WITH_BFLOAT16 + WITH_AVERAGE)
    compare(variants, arguments)


if __name__ == "__main__":
    main()
