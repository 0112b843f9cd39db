"""The speed of 3D-GAN's training step against a plain loop, and of the loop's layers in another order of sums.

python -m benchmarks.shapes --size 32 --width 16 --batch 20 --seconds 20

Three loops train equal networks on equal random shapes, in turn, on one thread: this library's step, without and with
weights in channels_last; and a plain loop with PyTorch's own layers, which steps as the DCGAN tutorial of PyTorch does.
The numbers are shapes a second of processor time, medians over rounds, which other work of the machine hardly changes.
"""

import statistics
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.optim import Adam

from benchmarks.rounds import quieten_lightning
from gan_lightning.data.batches import VoxelBatch
from gan_lightning.models import ThreeDGAN
from gan_lightning.networks import ThreeDGANDiscriminator, ThreeDGANGenerator
from gan_lightning.training.trainer import Trainer

LATENT = 64


def plain_networks(size: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Return G and D of PyTorch's own layers, with this library's widths."""
    levels = (size // 4).bit_length() - 1
    widths = [width * min(2**level, 8) for level in range(levels)]
    up: list[nn.Module] = [nn.ConvTranspose3d(LATENT, widths[-1], 4, bias=False)]
    down: list[nn.Module] = []
    for inputs, outputs in zip([1, *widths], widths, strict=False):
        down += [nn.Conv3d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm3d(outputs), nn.LeakyReLU(0.2, True)]
    for inputs, outputs in zip(widths[::-1], [*widths[-2::-1], 1], strict=True):
        up += [nn.BatchNorm3d(inputs), nn.ReLU(True), nn.ConvTranspose3d(inputs, outputs, 4, 2, 1, bias=False)]
    return nn.Sequential(*up, nn.Sigmoid()), nn.Sequential(
        *down, nn.Conv3d(widths[-1], 1, 4, bias=False), nn.Flatten(0)
    )


def plain_step(size: int, width: int) -> Callable[[Tensor], None]:
    """Return a step of the plain loop, on shapes in [0, 1]."""
    g, d = plain_networks(size, width)
    of_g, of_d = Adam(g.parameters(), 2e-3, (0.5, 0.999)), Adam(d.parameters(), 2e-4, (0.5, 0.999))

    def step(real: Tensor) -> None:
        one, zero = torch.ones(len(real)), torch.zeros(len(real))
        of_d.zero_grad()
        bce(d(real), one).backward()
        fake = g(torch.rand(len(real), LATENT, 1, 1, 1))
        bce(d(fake.detach()), zero).backward()
        of_d.step()
        of_g.zero_grad()
        bce(d(fake), one).backward()
        of_g.step()

    return step


class Batches:
    """The same batch again and again, with the time that the processor has spent at each."""

    def __init__(self, batch: VoxelBatch, count: int) -> None:
        self.batch, self.count = batch, count
        self.marks: list[float] = []

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Any:
        for _ in range(self.count):
            self.marks.append(time.process_time())
            yield self.batch


def library(size: int, width: int, batch: VoxelBatch, count: int, channels_last: bool) -> float:
    """Return the seconds of a step of this library, the median of `count` but the first two."""
    networks = ThreeDGANGenerator(LATENT, size, width), ThreeDGANDiscriminator(size, width)
    model = ThreeDGAN(*networks, accuracy_limit=1, channels_last=channels_last)
    batches = Batches(batch, count + 3)
    Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(model, batches)
    seconds = [b - a for a, b in zip(batches.marks, batches.marks[1:], strict=False)]
    return statistics.median(seconds[2:])


def plain(size: int, width: int, batch: VoxelBatch, count: int) -> float:
    """Return the seconds of a step of the plain loop, the median of `count`."""
    step, real = plain_step(size, width), (batch.voxels + 1) / 2
    step(real)
    seconds = []
    for _ in range(count):
        start = time.process_time()
        step(real)
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def main() -> None:
    """Measure and print."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    quieten_lightning()
    batch = VoxelBatch((torch.rand(given.batch, 1, *(given.size,) * 3) - 0.8).sign())
    found: dict[str, list[float]] = {}
    for _ in range(given.rounds):
        for name, seconds in (
            ("plain loop", plain(given.size, given.width, batch, given.steps)),
            ("library", library(given.size, given.width, batch, given.steps, False)),
            ("library, channels_last", library(given.size, given.width, batch, given.steps, True)),
        ):
            found.setdefault(name, []).append(given.batch / seconds)
    base = statistics.median(found["plain loop"])
    for name, rates in found.items():
        rate = statistics.median(rates)
        print(f"{name:24} {rate:7.1f} shapes a second, {rate / base:.2f} times the plain loop")


if __name__ == "__main__":
    main()
