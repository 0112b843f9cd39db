"""Training speed and memory of StyleGAN2 at 64x64: `StyleGAN2` in a trainer against a plain loop of its authors' order.

python -m benchmarks.style --json style.json          # steps a second, and peak memory
python -m benchmarks.style --parts                    # where the time goes, in milliseconds, with R1 and path length
python -m benchmarks.style --model biggan             # or progan: the same for these, at 64x64

The plain loop takes four phases, each with fakes and an optimizer step of its own: G, path length on half a batch every
4th time, D, R1 every 16th. Its modulation is one grouped convolution with the weights of each image, and its resampling
inserts zeros, pads and filters by a depthwise 4x4 convolution, as the authors' code does without its compiled kernels.
Parameters and networks are the same; the outputs are compared before the clock starts. Each measurement is a process.

BigGAN's and ProGAN's plain loops use the networks of this library, and a turn of D, then one of G, each with fakes of
its own.
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
from typing import Any, ClassVar, cast

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
from gan_lightning.models import BigGAN, ProGAN, StyleGAN2
from gan_lightning.networks import (
    BigGANDiscriminator,
    BigGANGenerator,
    ProGANDiscriminator,
    ProGANGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)

SIZE, GAMMA, CLASSES = 64, 1.0, 10
MEBIBYTE = 1024  # ru_maxrss counts KiB on Linux


def networks(width: int) -> tuple[StyleGAN2Generator, StyleGAN2Discriminator]:
    """Make both networks, with `width` channels at the smallest map and fewer than the published ones everywhere."""
    how: dict[str, Any] = {"image_size": SIZE, "channel_base": 16 * width, "channel_max": width, "mapping_layers": 2}
    return StyleGAN2Generator(128, 128, **how), StyleGAN2Discriminator(SIZE, 3, 16 * width, width)


def biggan(width: int) -> tuple[BigGANGenerator, BigGANDiscriminator]:
    """Make BigGAN's networks of a quarter of the width, with attention at 32x32."""
    how: dict[str, Any] = {"image_size": SIZE, "width": max(width // 4, 1), "num_classes": CLASSES, "attention": [32]}
    return BigGANGenerator(latent_dim=120, shared_dim=32, **how), BigGANDiscriminator(**how)


def progan(width: int) -> tuple[ProGANGenerator, ProGANDiscriminator]:
    """Make ProGAN's networks, with `width` channels at the smallest maps."""
    how: dict[str, Any] = {"image_size": SIZE, "width": width, "capacity": 8 * width}
    return ProGANGenerator(latent_dim=128, **how), ProGANDiscriminator(**how)


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


def as_the_authors(network: Any) -> Any:
    """Replace the computations of a network's layers by those of the authors' fallback; parameters stay."""
    for part in network.modules():
        if isinstance(part, ModulatedConv2d):
            part.forward = MethodType(grouped, part)  # type: ignore[method-assign]
        elif isinstance(part, Double):
            part.forward = partial(upfirdn2d, up=2, padding=(2, 1), gain=4.0)  # type: ignore[method-assign]
        elif isinstance(part, Halve):
            part.forward = partial(upfirdn2d, down=2)  # type: ignore[method-assign]
        elif isinstance(part, Smooth):
            part.forward = partial(upfirdn2d, padding=(part.padding,) * 2)  # type: ignore[method-assign]
    return network


class Loop:
    """A plain loop over both players.

    Args:
        G: the generator.
        D: the discriminator.
        count: number of images in a batch.
        g_optimizer: of G.
        d_optimizer: of D.
    """

    def __init__(self, G: Any, D: Any, count: int, g_optimizer: Adam, d_optimizer: Adam) -> None:
        self.G, self.D, self.count = G.train(), D.train(), count
        self.g_optimizer, self.d_optimizer = g_optimizer, d_optimizer

    def z(self, count: int) -> Tensor:
        """Draw latents."""
        return torch.randn(count, self.G.latent_dim)

    def minimise(self, player: nn.Module, optimizer: Adam, loss: Callable[[], Tensor]) -> None:
        """Take a step of one player; the other one's parameters need no gradient."""
        for network in (self.G, self.D):
            network.requires_grad_(network is player)
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()


class PlainBigGAN(Loop):
    """Hinge losses with labels, a step of each player, and the orthogonal regularisation of G's weights."""

    def __init__(self, width: int, count: int) -> None:
        G, D = biggan(width)
        super().__init__(
            G, D, count, Adam(G.parameters(), 5e-5, (0.0, 0.999)), Adam(D.parameters(), 2e-4, (0.0, 0.999))
        )

    def orthogonality(self) -> Tensor:
        """Return the term of all weight matrices: squared products of different rows."""
        terms = []
        for p in self.G.parameters():
            if p.dim() > 1:
                gram = p.flatten(1) @ p.flatten(1).T
                terms.append((gram - torch.diag(gram.diagonal())).square().sum())
        return 1e-4 * torch.stack(terms).sum()

    def __call__(self, batch: ImageBatch) -> None:
        """Train on a batch."""
        G, D, labels = self.G, self.D, batch.labels

        def d_loss() -> Tensor:
            fake, real = D(G(self.z(self.count), labels).detach(), labels), D(batch.images, labels)
            return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

        self.minimise(D, self.d_optimizer, d_loss)
        self.minimise(
            G, self.g_optimizer, lambda: self.orthogonality() - D(G(self.z(self.count), labels), labels).mean()
        )


class PlainProGAN(Loop):
    """The Wasserstein losses with gradient penalty and drift, a step of each player."""

    def __init__(self, width: int, count: int) -> None:
        G, D = progan(width)
        super().__init__(G, D, count, *(Adam(network.parameters(), 1e-3, (0.0, 0.99)) for network in (G, D)))

    def __call__(self, batch: ImageBatch) -> None:
        """Train on a batch."""
        G, D, real = self.G, self.D, batch.images

        def d_loss() -> Tensor:
            fake = G(self.z(self.count)).detach()
            for_real, for_fake = D(real), D(fake)
            between = torch.lerp(real, fake, torch.rand(self.count, 1, 1, 1)).requires_grad_()
            (gradient,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
            penalty = 10 * (gradient.square().sum(dim=(1, 2, 3)).sqrt() - 1).square().mean()
            return for_fake.mean() - for_real.mean() + penalty + 1e-3 * for_real.square().mean()

        self.minimise(D, self.d_optimizer, d_loss)
        self.minimise(G, self.g_optimizer, lambda: -D(G(self.z(self.count))).mean())


class PlainLoop(Loop):
    """StyleGAN2's four phases, in the authors' order."""

    def __init__(self, width: int, count: int) -> None:
        G, D = map(as_the_authors, networks(width))
        super().__init__(
            G,
            D,
            count,
            Adam(G.parameters(), lr=2e-3 * 4 / 5, betas=(0.0, 0.99 ** (4 / 5))),
            Adam(D.parameters(), lr=2e-3 * 16 / 17, betas=(0.0, 0.99 ** (16 / 17))),
        )
        self.step, self.mean = 0, torch.zeros(())

    def path_length(self) -> Tensor:
        """Return the term of a path length step."""
        w = self.G.styles(self.z(self.count // 2))
        made = self.G.synthesis(w)
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

    def __call__(self, batch: ImageBatch) -> None:
        """Train on a batch."""
        G, D, real = self.G, self.D, batch.images
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

    def __init__(self, batches: int, count: int, labelled: bool = False) -> None:
        self.batches, self.count, self.labelled = batches, count, labelled

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[ImageBatch]:
        for _ in range(self.batches):
            images = torch.rand(self.count, 3, SIZE, SIZE) * 2 - 1
            yield ImageBatch(images, torch.randint(CLASSES, (self.count,)) if self.labelled else None)


VARIANTS: dict[str, dict[str, Any]] = {
    "stylegan2": {
        "plain loop, the authors' order": PlainLoop,
        "ours, fakes drawn for each turn": (Redrawn, False),
        "ours, fakes drawn for each turn, channels_last": (Redrawn, True),
        "ours, one set of fakes for both turns": (StyleGAN2, False),
        "ours, channels_last too": (StyleGAN2, True),
    },
    "biggan": {"plain loop": PlainBigGAN, "ours": (BigGAN, False), "ours, channels_last": (BigGAN, True)},
    "progan": {"plain loop": PlainProGAN, "ours": (ProGAN, False), "ours, channels_last": (ProGAN, True)},
}
"""What is measured for each model: a plain loop, or our class and whether its weights are in channels_last."""


def ours(kind: Any, last: bool, width: int) -> Any:
    """Make a model of this library."""
    how: dict[str, Any] = {"ema_half_life": 0, "channels_last": last}
    if issubclass(kind, BigGAN):
        return kind(*biggan(width), n_critic=1, **how)
    if issubclass(kind, ProGAN):
        return kind(*progan(width), **how)
    return kind(*networks(width), gamma=GAMMA, **how)


def rate_of(model: str, variant: str, batches: int, count: int, width: int) -> float:
    """Return steps a second: of `batches`, a multiple of 16, after one for warm-up."""
    torch.manual_seed(0)
    ends: list[float] = []
    chosen = VARIANTS[model][variant]
    images = Images(1 + batches, count, labelled=model == "biggan")
    if isinstance(chosen, type):
        step = chosen(width, count)
        for batch in images:
            step(batch)
            ends.append(perf_counter())
    else:
        watch = Stopwatch()
        quiet: dict[str, Any] = dict.fromkeys(
            ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
        )
        run = L.Trainer(accelerator="cpu", max_epochs=1, callbacks=[watch], limit_val_batches=0, **quiet)
        kind, last = chosen
        run.fit(ours(kind, last, width), images)
        ends = watch.ends
    return batches / (ends[-1] - ends[0])


def in_a_process(variant: str, arguments: Namespace, peaks: dict[str, float]) -> float:
    """Measure steps a second of a variant in a process of its own, and note its peak of memory in MiB."""
    size = (arguments.batches, arguments.batch_size, arguments.width, arguments.threads)
    command = [sys.executable, "-m", "benchmarks.style", "--only", arguments.model, variant, *map(str, size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    peaks[variant] = max(found["peak"], peaks.get(variant, 0))
    return found["rate"]


def largest_difference(width: int) -> float:
    """Return the largest difference between images, and logits, of our layers and the authors'."""
    G, D = cast(tuple[Any, Any], networks(width))
    z, x = torch.randn(4, 128), torch.randn(4, 3, SIZE, SIZE)
    for layer in G.layers:
        nn.init.ones_(layer.strength)
    with torch.no_grad():
        ours = G.synthesis(G.mapping(z), "fixed"), D(x)
        theirs = as_the_authors(G).synthesis(G.mapping(z), "fixed"), as_the_authors(D)(x)
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
    ways = [works_of(G, D, arguments.batch_size) for G, D in (theirs, own, last)]
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
        model, variant, *numbers = args[1:]
        batches, count, width, threads = map(int, numbers)
        torch.set_num_threads(threads)
        rate = rate_of(model, variant, batches, count, width)
        print(json.dumps({"rate": rate, "peak": getrusage(RUSAGE_SELF).ru_maxrss / MEBIBYTE}))
        return
    options = parser(__doc__, batches=16, data=False)
    options.add_argument("--width", type=int, default=64, help="channels of the smallest maps")
    options.add_argument("--model", choices=VARIANTS, default="stylegan2", help="the model to train")
    options.add_argument("--parts", action="store_true", help="measure the parts of a step instead")
    options.set_defaults(batch_size=16)
    arguments = options.parse_args(args)
    torch.set_num_threads(arguments.threads)
    if arguments.model == "stylegan2":
        print(f"largest relative difference of outputs: {largest_difference(arguments.width):.1e}")
    if arguments.parts:
        parts(arguments)
        return
    peaks: dict[str, float] = {}
    compare({name: partial(in_a_process, name, arguments, peaks) for name in VARIANTS[arguments.model]}, arguments)
    print("\n| variant | peak of memory, MiB |\n|---|---:|")
    for variant, peak in peaks.items():
        print(f"| {variant} | {peak:.0f} |")


if __name__ == "__main__":
    main()
