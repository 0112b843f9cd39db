"""Speed of models of likelihoods: PixelCNN's samples with kept activations, and RealNVP's training.

python -m benchmarks.pixels sampling --batches 1      # gated PixelCNN at 28x28, against the whole network each time
python -m benchmarks.pixels realnvp                   # RealNVP's steps at 28x28 in a trainer, against a plain loop

Sampling: both ways draw the same images from the same noise, which is checked before the clock starts. The naive way
evaluates the network for the whole image at each of 784 pixels; `--share` times only every n-th pixel of it. A batch is
one set of images.

RealNVP: the plain loop has torchvision's MNIST in a `DataLoader`, the same network, dequantisation, Adam and clipped
gradients, and `.item()` on the loss. Ours is `gan-lightning fit --config realnvp/mnist` with smaller networks.
"""

import math
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
from torch import nn
from torch.optim import Adam
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

from benchmarks.rounds import compare, parser, quieten_lightning
from benchmarks.training import WARM_UP, Stopwatch, rate
from gan_lightning.cli.training import main as command_line
from gan_lightning.inference import AutoregressiveSampler
from gan_lightning.networks import GatedPixelCNNNetwork, RealNVPNetwork
from gan_lightning.training.devices import has_bfloat16_units

NETWORK = {"image_size": 28, "channels": 1, "scales": 2, "width": 16, "blocks": 2}


def sampler(width: int, layers: int) -> AutoregressiveSampler:
    """Make the sampler of a gated PixelCNN for black and white images of 28x28, which has not learnt."""
    torch.manual_seed(0)
    return AutoregressiveSampler(GatedPixelCNNNetwork(28, 1, 2, width, layers).eval())


def cached(made: AutoregressiveSampler, batches: int, count: int) -> float:
    """Measure sets of images a second, with kept activations."""
    noise = torch.rand(count, *made.network.noise_shape)
    start = perf_counter()
    for _ in range(batches):
        made.values(noise)
    return batches / (perf_counter() - start)


@torch.no_grad()
def naive(made: AutoregressiveSampler, batches: int, count: int, share: int) -> float:
    """Measure sets of images a second, with the whole network for each pixel; only every `share`-th is computed."""
    values = torch.zeros(count, *made.network.image_shape, dtype=torch.int64)
    noise = torch.rand(count, *made.network.noise_shape)
    pixels = range(0, 28 * 28, share)
    start = perf_counter()
    for _ in range(batches):
        for pixel in pixels:
            row, column = divmod(pixel, 28)
            output = made.network(values)[..., row, column]
            made.network.draw(output, noise[..., row, column], values[..., row, column], 0)
    return batches / (perf_counter() - start) * len(pixels) / (28 * 28)


def same_images(width: int, layers: int) -> None:
    """Raise AssertionError unless both ways draw the same images, of 12x12."""
    torch.manual_seed(0)
    small = AutoregressiveSampler(GatedPixelCNNNetwork(12, 1, 2, width, layers).eval())
    noise = torch.rand(2, *small.network.noise_shape)
    assert torch.equal(small.values(noise), small.values(noise, cached=False)), "the two ways draw different images"


def plain(root: Path, batches: int, batch_size: int) -> float:
    """Measure batches a second of a plain loop over RealNVP."""
    loader = DataLoader(MNIST(root, transform=ToTensor()), batch_size, shuffle=True, drop_last=True)
    network = RealNVPNetwork(**NETWORK)
    optimizer = Adam(network.parameters(), lr=1e-3)
    sizes = [p for name, p in network.named_parameters() if name.endswith(("weight.original0", ".size"))]
    ends: list[float] = []
    for images, _ in islice(loader, WARM_UP + batches):
        x = (images * 255 + torch.rand_like(images)) / 256
        z, log_det = network(x, inverse=True)
        log_prior = -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
        loss = (784 * math.log(256) - log_prior - log_det).mean()
        loss = loss + 5e-5 * 784 * torch.stack([p.square().sum() for p in sizes]).sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1000.0)
        optimizer.step()
        loss.item()
        ends.append(perf_counter())
    return rate(ends)


def ours(root: Path, batches: int, batch_size: int, precision: str) -> float:
    """Measure batches a second of `gan-lightning fit` in a precision, with its logger and callbacks."""
    with TemporaryDirectory() as folder:
        run: Any = command_line(
            [
                "fit",
                "--config=realnvp/mnist",
                f"--trainer.default_root_dir={folder}",
                "--trainer.accelerator=cpu",
                f"--trainer.precision={precision}",
                f"--trainer.callbacks+={Stopwatch.__module__}.Stopwatch",
                "--trainer.max_epochs=1",
                f"--trainer.limit_train_batches={WARM_UP + batches}",
                "--trainer.limit_val_batches=0",
                "--validate_before_fit=false",
                f"--data.root={root}",
                f"--data.batch_size={batch_size}",
                *(f"--model.generator.{name}={value}" for name, value in NETWORK.items()),
            ]
        )
    callbacks = run.trainer.callbacks
    return rate(next(each for each in callbacks if isinstance(each, Stopwatch)).ends)


def variants(given: Namespace) -> dict[str, Callable[[], float]]:
    """Return what is measured, by name."""
    size = (given.batches, given.batch_size)
    if given.what == "realnvp":
        found: dict[str, Callable[[], float]] = {"plain loop, fp32": partial(plain, given.root, *size)}
        found["ours, fp32"] = partial(ours, given.root, *size, "32-true")
        if has_bfloat16_units(torch.device("cpu")):
            found["ours, bf16-mixed"] = partial(ours, given.root, *size, "bf16-mixed")
        return found
    same_images(given.width, given.layers)
    made = sampler(given.width, given.layers)
    return {
        "the whole network for each pixel": partial(naive, made, *size, given.share),
        "activations kept": partial(cached, made, *size),
    }


def main(args: list[str] | None = None) -> None:
    quieten_lightning()
    arguments = parser(__doc__, batches=5)
    arguments.add_argument("what", choices=("sampling", "realnvp"))
    arguments.add_argument("--width", type=int, default=32, help="maps of a stack of the gated PixelCNN")
    arguments.add_argument("--layers", type=int, default=6, help="its layers")
    arguments.add_argument("--share", type=int, default=16, help="compute only every n-th pixel of the naive way")
    given = arguments.parse_args(args)
    compare(variants(given), given)


if __name__ == "__main__":
    main()
