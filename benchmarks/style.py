"""Training speed and memory of StyleGAN2 at 64x64: `StyleGAN2` in a trainer against a plain loop of its authors' order.

python -m benchmarks.style --json style.json          # steps a second, and peak memory
python -m benchmarks.style --parts                    # where the time goes, in milliseconds, with R1 and path length

The plain loop takes four phases, each with fakes and an optimizer step of its own: G, path length on half a batch every
4th time, D, R1 every 16th. Its modulation is one grouped convolution with the weights of each image, and its resampling
inserts zeros, pads and filters by a depthwise 4x4 convolution, as the authors' code does without its compiled kernels.
Parameters and networks are the same; the outputs are compared before the clock starts. Each measurement is a process.
"""

import json
import math
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from resource import RUSAGE_SELF, getrusage
from statistics import median
from time import perf_counter, process_time
from types import MethodType
from typing import Any, ClassVar

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from benchmarks.rounds import compare, parser, quieten_lightning
from benchmarks.training import Stopwatch
from gan_lightning.data.batches import ImageBatch
from gan_lightning.layers.modulation import ModulatedConv2d
from gan_lightning.layers.resampling import FILTER, Double, Halve, Smooth
from gan_lightning.models import StyleGAN2
from gan_lightning.networks import StyleGAN2Discriminator, StyleGAN2Generator

SIZE, GAMMA = 64, 1.0
MEBIBYTE = 1024  # ru_maxrss counts KiB on Linux


def networks(width: int) -> tuple[StyleGAN2Generator, StyleGAN2Discriminator]:
    """Make both networks, with `width` channels at the smallest map and fewer than the published ones everywhere."""
    how: dict[str, Any] = {"image_size": SIZE, "channel_base": 16 * width, "channel_max": width, "mapping_layers": 2}
    return StyleGAN2Generator(128, 128, **how), StyleGAN2Discriminator(SIZE, 3, 16 * width, width)


# ---------------------------------------------------------------------- the authors' fallback


def upfirdn2d(x: Tensor, up: int = 1, down: int = 1, padding: tuple[int, int] = (1, 1), gain: float = 1.0) -> Tensor:
    """Insert zeros, pad, filter, and leave out pixels, as the authors' `_upfirdn2d_ref`."""
    taps = torch.tensor(FILTER)
    kernel = taps.outer(taps) / taps.sum() ** 2 * gain
    n, c, h, w = x.shape
    x = F.pad(x.reshape(n, c, h, 1, w, 1), (0, up - 1, 0, 0, 0, up - 1)).reshape(n, c, h * up, w * up)
    x = F.conv2d(F.pad(x, (*padding, *padding)), kernel[None, None].repeat(c, 1, 1, 1), groups=c)
    return x[:, :, ::down, ::down]


def grouped(self: ModulatedConv2d, x: Tensor, w: Tensor) -> Tensor:
    """Convolve each image with weights of its own, as one convolution of N groups."""
    n, channels, height, width = x.shape
    weight = self.scaled_weight()[None] * self.affine(w)[:, None, :, None, None]  # (N, O, I, k, k)
    if self.demodulate:
        weight = weight * (weight.square().sum(dim=(2, 3, 4)) + 1e-8).rsqrt()[:, :, None, None, None]
    x = x.reshape(1, n * channels, height, width)
    if self.smooth is None:
        x = F.conv2d(x, weight.flatten(0, 1), padding=self.padding, groups=n)
        return x.reshape(n, -1, height, width)
    x = F.conv_transpose2d(x, weight.transpose(1, 2).flatten(0, 1), stride=2, groups=n)
    return upfirdn2d(x.reshape(n, -1, *x.shape[2:]), gain=4.0)


def as_the_authors(network: nn.Module) -> nn.Module:
    """Replace the computations of a network's layers by those of the authors' fallback; parameters stay."""
    for part in network.modules():
        if isinstance(part, ModulatedConv2d):
            part.forward = MethodType(grouped, part)  # type: ignore[method-assign]
        elif isinstance(part, Double):
            part.forward = partial(upfirdn2d, up=2, padding=(2, 1), gain=4.0)
        elif isinstance(part, Halve):
            part.forward = partial(upfirdn2d, down=2)
        elif isinstance(part, Smooth):
            part.forward = partial(upfirdn2d, padding=(part.padding, part.padding))
    return network


class PlainLoop:
    """The four phases, in the authors' order."""

    def __init__(self, width: int, count: int) -> None:
        G, D = networks(width)
        self.G, self.D = as_the_authors(G).train(), as_the_authors(D).train()
        self.count, self.step, self.mean = count, 0, torch.zeros(())
        self.g_optimizer = Adam(G.parameters(), lr=2e-3 * 4 / 5, betas=(0.0, 0.99 ** (4 / 5)))
        self.d_optimizer = Adam(D.parameters(), lr=2e-3 * 16 / 17, betas=(0.0, 0.99 ** (16 / 17)))

    def z(self, count: int) -> Tensor:
        """Draw latents."""
        return torch.randn(count, 128)

    def minimise(self, player: nn.Module, optimizer: Adam, loss: Callable[[], Tensor]) -> None:
        """Take a step of one player; the other one's parameters need no gradient."""
        for network in (self.G, self.D):
            network.requires_grad_(network is player)
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    def path_length(self) -> Tensor:
        """Return the term of a path length step."""
        w = self.G.styles(self.z(self.count // 2))  # type: ignore[operator]
        made = self.G.synthesis(w)  # type: ignore[operator]
        y = torch.randn_like(made) / math.sqrt(SIZE * SIZE)
        (gradient,) = torch.autograd.grad((made * y).sum(), w, create_graph=True)
        lengths = gradient.square().sum(dim=2).mean(dim=1).sqrt()
        self.mean = self.mean.lerp(lengths.mean().detach(), 0.01)
        return 4 * 2 * (lengths - self.mean).square().mean()

    def r1(self, real: Tensor) -> Tensor:
        """Return the term of an R1 step."""
        real = real.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.D(real).sum(), real, create_graph=True)
        return 16 * GAMMA / 2 * gradient.square().sum(dim=(1, 2, 3)).mean()

    def __call__(self, real: Tensor) -> None:
        """Train on a batch."""
        G, D = self.G, self.D
        self.minimise(G, self.g_optimizer, lambda: F.softplus(-D(G(self.z(self.count)))).mean())
        if self.step % 4 == 0:
            self.minimise(G, self.g_optimizer, self.path_length)
        self.minimise(
            D,
            self.d_optimizer,
            lambda: F.softplus(D(G(self.z(self.count)))).mean() + F.softplus(-D(real)).mean(),
        )
        if self.step % 16 == 0:
            self.minimise(D, self.d_optimizer, lambda: self.r1(real))
        self.step += 1


# ---------------------------------------------------------------------- measurements


class Redrawn(StyleGAN2):
    """StyleGAN2 whose turns draw fakes of their own, as the authors'."""

    redraws: ClassVar[bool] = True


class Images:
    """Random images in batches."""

    def __init__(self, batches: int, count: int) -> None:
        self.batches, self.count = batches, count

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[ImageBatch]:
        return (ImageBatch(torch.rand(self.count, 3, SIZE, SIZE) * 2 - 1) for _ in range(self.batches))


VARIANTS = {
    "plain loop, the authors' order": None,
    "ours, fakes drawn for each turn": (Redrawn, False),
    "ours, one set of fakes for both turns": (StyleGAN2, False),
    "ours, channels_last too": (StyleGAN2, True),
}


def rate_of(variant: str, batches: int, count: int, width: int) -> float:
    """Return steps a second: of `batches`, a multiple of 16, after one for warm-up."""
    torch.manual_seed(0)
    ends: list[float] = []
    chosen = VARIANTS[variant]
    if chosen is None:
        step = PlainLoop(width, count)
        for batch in Images(1 + batches, count):
            step(batch.images)
            ends.append(perf_counter())
    else:
        kind, last = chosen
        model = kind(*networks(width), gamma=GAMMA, ema_half_life=0, channels_last=last)
        watch = Stopwatch()
        quiet: dict[str, Any] = dict.fromkeys(
            ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
        )
        run = L.Trainer(accelerator="cpu", max_epochs=1, callbacks=[watch], limit_val_batches=0, **quiet)
        run.fit(model, Images(1 + batches, count))
        ends = watch.ends
    return batches / (ends[-1] - ends[0])


def in_a_process(variant: str, arguments: Namespace, peaks: dict[str, float]) -> float:
    """Measure steps a second of a variant in a process of its own, and note its peak of memory in MiB."""
    size = (arguments.batches, arguments.batch_size, arguments.width, arguments.threads)
    command = [sys.executable, "-m", "benchmarks.style", "--only", variant, *map(str, size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    peaks[variant] = max(found["peak"], peaks.get(variant, 0))
    return found["rate"]


def largest_difference(width: int) -> float:
    """Return the largest difference between images, and logits, of our layers and the authors'."""
    G, D = networks(width)
    z, x = torch.randn(4, 128), torch.randn(4, 3, SIZE, SIZE)
    for layer in G.layers:
        nn.init.ones_(layer.strength)
    with torch.no_grad():
        ours = G.synthesis(G.mapping(z), "fixed"), D(x)
        theirs = as_the_authors(G).synthesis(G.mapping(z), "fixed"), as_the_authors(D)(x)  # type: ignore[operator]
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs, strict=True))


def works_of(G: StyleGAN2Generator, D: StyleGAN2Discriminator, count: int) -> dict[str, Callable[[], Any]]:
    """Return the parts of a step by their names."""
    loop = PlainLoop(1, count)
    loop.G, loop.D = G.train(), D.train()
    real, z = torch.randn(count, 3, SIZE, SIZE), torch.randn(count, 128)
    fake, adam = G(z).detach(), Adam(G.parameters(), lr=0.0)
    return {
        "mapping, forward": lambda: G.mapping(z),
        "mapping and synthesis, forward": lambda: G(z),
        "mapping and synthesis, forward and backward": lambda: G(z).sum().backward(),
        "D, forward": lambda: D(real),
        "D, forward and backward": lambda: D(real).sum().backward(),
        "G's turn: forward and backward through both": lambda: F.softplus(-D(G(z))).mean().backward(),
        "D's turn, without making fakes": lambda: (F.softplus(D(fake)) + F.softplus(-D(real))).mean().backward(),
        "path length on half a batch (every 4th step)": lambda: loop.path_length().backward(),
        "R1 (every 16th step)": lambda: loop.r1(real).backward(),
        "Adam of G": adam.step,
    }


def parts(arguments: Namespace) -> None:
    """Print where a step's time of the processor goes, all threads together: medians in milliseconds, in turn."""
    own, last = networks(arguments.width), networks(arguments.width)
    for network in last:
        network.to(memory_format=torch.channels_last)
    theirs: Any = map(as_the_authors, networks(arguments.width))
    ways = [works_of(*both, arguments.batch_size) for both in (theirs, own, last)]
    print("| part | the authors', ms | ours, ms | ours, channels_last, ms | ratio of the first to the last |")
    print("|---|---:|---:|---:|---:|")
    for name in ways[0]:
        times: list[list[float]] = [[] for _ in ways]
        for _ in range(1 + arguments.rounds):  # the first is a warm-up
            for works, taken in zip(ways, times, strict=True):
                begun = process_time()  # not disturbed by other work of the machine
                works[name]()
                taken.append(1000 * (process_time() - begun))
        found = [median(taken[1:]) for taken in times]
        print(f"| {name} | {' | '.join(f'{each:.1f}' for each in found)} | {found[0] / found[-1]:.2f} |")


def main(args: list[str] | None = None) -> None:
    quieten_lightning()
    args = sys.argv[1:] if args is None else args
    if args[:1] == ["--only"]:
        variant, *numbers = args[1:]
        batches, count, width, threads = map(int, numbers)
        torch.set_num_threads(threads)
        rate = rate_of(variant, batches, count, width)
        print(json.dumps({"rate": rate, "peak": getrusage(RUSAGE_SELF).ru_maxrss / MEBIBYTE}))
        return
    options = parser(__doc__, batches=16, data=False)
    options.add_argument("--width", type=int, default=64, help="channels of the smallest maps")
    options.add_argument("--parts", action="store_true", help="measure the parts of a step instead")
    options.set_defaults(batch_size=16)
    arguments = options.parse_args(args)
    torch.set_num_threads(arguments.threads)
    print(f"largest relative difference of outputs: {largest_difference(arguments.width):.1e}")
    if arguments.parts:
        parts(arguments)
        return
    peaks: dict[str, float] = {}
    compare({name: partial(in_a_process, name, arguments, peaks) for name in VARIANTS}, arguments)
    print("\n| variant | peak of memory, MiB |\n|---|---:|")
    for variant, peak in peaks.items():
        print(f"| {variant} | {peak:.0f} |")


if __name__ == "__main__":
    main()
