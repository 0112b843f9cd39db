"""Training speed and memory of CycleGAN and pix2pix at 256x256: `train.py` itself against a plain loop.

python -m benchmarks.translation --json translation.json

The plain loop has the same networks, and the order of operations of the authors' PyTorch code, on folders of the same
JPEG files. Each measurement is a process of its own, which also reports its peak of memory.
"""

import itertools
import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import Adam
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import (
    Compose,
    InterpolationMode,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    Resize,
    ToTensor,
)

from benchmarks.rounds import compare, quieten_lightning
from benchmarks.training import Stopwatch
from gan_lightning.cli.training import main as command_line
from gan_lightning.data.files import image_files
from gan_lightning.networks import PatchGAN, ResNetGenerator, UNetGenerator
from gan_lightning.training.devices import has_bfloat16_units
from gan_lightning.training.image_pool import ImagePool

CONFIGS = Path(__file__).parents[1] / "configs"
SIZE, LOADED = 256, 286  # pixels
FILES = 8  # of each domain
WARM_UP = 1  # batches before the clock starts
MEBIBYTE = 1024  # ru_maxrss counts KiB on Linux


def make_files(folder: Path) -> None:
    """Write large JPEG files into "a", "b", "test_a" and "test_b"; their content makes no difference to speed."""
    for domain, number in itertools.product(("a", "b", "test_a", "test_b"), range(FILES)):
        pixels = torch.nn.functional.interpolate(torch.rand(1, 3, 16, 16), size=SIZE, mode="bicubic").clamp(0, 1)
        image = Image.fromarray((pixels[0].permute(1, 2, 0) * 255).byte().numpy())
        file = folder / domain / f"{number}.jpg"
        file.parent.mkdir(exist_ok=True)
        image.save(file)


class Pairs(Dataset):
    """The files of both folders, decoded and cut again each time, as in the authors' code."""

    def __init__(self, folder: Path) -> None:
        self.files = [image_files(folder / domain) for domain in "ab"]
        resize = Resize((LOADED, LOADED), InterpolationMode.BICUBIC)
        self.transform = Compose([resize, RandomCrop(SIZE), RandomHorizontalFlip(), ToTensor(), Normalize(0.5, 0.5)])

    def __len__(self) -> int:
        return FILES

    def __getitem__(self, index: int) -> list[Tensor]:
        return [self.transform(Image.open(files[index]).convert("RGB")) for files in self.files]


def batches(folder: Path, count: int) -> Iterator[list[Tensor]]:
    """Yield `count` batches of one image of each domain."""
    loader = DataLoader(Pairs(folder), batch_size=1, shuffle=True)
    return itertools.islice(itertools.chain.from_iterable(itertools.repeat(loader)), count)


def adam(*networks: nn.Module) -> Adam:
    return Adam(itertools.chain(*[n.parameters() for n in networks]), lr=2e-4, betas=(0.5, 0.999))


def plain(network: nn.Module) -> nn.Module:
    """Replace the layers that this library makes faster by PyTorch's own, and return the network."""
    for layer in network.modules():
        for kind in (nn.Conv2d, nn.ConvTranspose2d, nn.InstanceNorm2d):
            if isinstance(layer, kind):
                layer.forward = partial(kind.forward, layer)  # type: ignore[method-assign]
    return network


def trainable(networks: list[nn.Module], value: bool) -> None:
    for parameter in itertools.chain(*[n.parameters() for n in networks]):
        parameter.requires_grad = value


def same(loss: nn.Module, logits: Tensor, label: float) -> Tensor:
    """Compute the loss of a map of logits that all have one label."""
    return loss(logits, torch.tensor(label).expand_as(logits))


def plain_cyclegan(folder: Path, count: int) -> list[float]:
    """Return the time at the end of each batch: generators first, then discriminators, with the authors' backwards."""
    G_A, G_B = plain(ResNetGenerator()), plain(ResNetGenerator())
    D_A, D_B = plain(PatchGAN(3, norm="instance")), plain(PatchGAN(3, norm="instance"))  # D_A judges images of B
    optimizer_G, optimizer_D = adam(G_A, G_B), adam(D_A, D_B)
    gan, l1 = nn.MSELoss(), nn.L1Loss()
    pools = ImagePool(50), ImagePool(50)
    ends = []
    for real_A, real_B in batches(folder, count):
        fake_B = G_A(real_A)
        rec_A = G_B(fake_B)
        fake_A = G_B(real_B)
        rec_B = G_A(fake_A)

        trainable([D_A, D_B], False)
        optimizer_G.zero_grad()
        identity = l1(G_A(real_B), real_B) * 5 + l1(G_B(real_A), real_A) * 5
        fooling = same(gan, D_A(fake_B), 1.0) + same(gan, D_B(fake_A), 1.0)
        loss_G = fooling + l1(rec_A, real_A) * 10 + l1(rec_B, real_B) * 10 + identity
        loss_G.backward()
        optimizer_G.step()

        trainable([D_A, D_B], True)
        optimizer_D.zero_grad()
        for D, real, fake, pool in ((D_A, real_B, fake_B, pools[0]), (D_B, real_A, fake_A, pools[1])):
            shown = pool.exchange(fake.detach())
            loss_D = (same(gan, D(real), 1.0) + same(gan, D(shown), 0.0)) * 0.5
            loss_D.backward()
        optimizer_D.step()
        loss_G.item()
        ends.append(perf_counter())
    return ends


def plain_pix2pix(folder: Path, count: int) -> list[float]:
    """Return the time at the end of each batch."""
    G, D = plain(UNetGenerator()), plain(PatchGAN())
    optimizer_G, optimizer_D = adam(G), adam(D)
    gan, l1 = nn.BCEWithLogitsLoss(), nn.L1Loss()
    ends = []
    for real_A, real_B in batches(folder, count):
        fake_B = G(real_A)

        trainable([D], True)
        optimizer_D.zero_grad()
        loss_fake = same(gan, D(torch.cat([real_A, fake_B.detach()], 1)), 0.0)
        loss_real = same(gan, D(torch.cat([real_A, real_B], 1)), 1.0)
        ((loss_fake + loss_real) * 0.5).backward()
        optimizer_D.step()

        trainable([D], False)
        optimizer_G.zero_grad()
        loss_G = same(gan, D(torch.cat([real_A, fake_B], 1)), 1.0) + l1(fake_B, real_B) * 100
        loss_G.backward()
        optimizer_G.step()
        loss_G.item()
        ends.append(perf_counter())
    return ends


def ours(config: str, data: list[str], overrides: list[str], folder: Path, count: int) -> list[float]:
    """Return the time at the end of each batch of `train.py fit`; its output goes into a file of the run."""
    with (folder / "printed.txt").open("w") as printed, redirect_stdout(printed), redirect_stderr(printed):
        run = command_line(
            [
                "fit",
                f"--config={CONFIGS / config}",
                f"--trainer.default_root_dir={folder / 'run'}",
                "--trainer.accelerator=cpu",
                f"--trainer.callbacks=[{{class_path: {Stopwatch.__module__}.Stopwatch}}]",
                "--evaluation.recipe=null",
                "--samples.count=0",
                f"--trainer.max_steps={count}",
                "--trainer.limit_val_batches=0",
                "--trainer.enable_checkpointing=false",
                "--validate_before_fit=false",
                *[f"--data.init_args.{setting}" for setting in data],
                f"--data.init_args.cache_dir={folder / 'cache'}",
                *overrides,
            ]
        )
    return next(c for c in run.trainer.callbacks if isinstance(c, Stopwatch)).ends  # type: ignore[attr-defined]


def paths(folder: Path, *settings: str) -> list[str]:
    """Return four settings of a datamodule: the folders of both domains, for training and for tests."""
    return [f"{each}={folder / name}" for each, name in zip(settings, ("a", "b", "test_a", "test_b"), strict=True)]


def our_cyclegan(overrides: list[str], folder: Path, count: int) -> list[float]:
    data = paths(folder, "train_a", "train_b", "test_a", "test_b")
    return ours("cyclegan/horse2zebra.yaml", data, overrides, folder, count)


def our_pix2pix(overrides: list[str], folder: Path, count: int) -> list[float]:
    data = paths(folder, "train", "train_b", "test", "test_b")
    return ours("pix2pix/facades.yaml", data, overrides, folder, count)


LAYOUTS = {"": "auto", ", channels_last": "true", ", channels_last off": "false"}
PRECISIONS = {"fp32": "32-true"} | ({"bf16-mixed": "bf16-mixed"} if has_bfloat16_units(torch.device("cpu")) else {})
OURS = {
    f"ours, {name}{layout}": [f"--trainer.precision={precision}", f"--model.init_args.channels_last={stated}"]
    for name, precision in PRECISIONS.items()
    for layout, stated in LAYOUTS.items()
}

Variants = dict[str, Callable[[Path, int], list[float]]]
VARIANTS: dict[str, Variants] = {
    "cyclegan": {"plain loop, fp32": plain_cyclegan} | {name: partial(our_cyclegan, OURS[name]) for name in OURS},
    "pix2pix": {"plain loop, fp32": plain_pix2pix} | {name: partial(our_pix2pix, OURS[name]) for name in OURS},
}


def measure(model: str, variant: str, arguments: Namespace, peaks: dict[str, float]) -> float:
    """Measure batches per second of a variant in a process of its own, and note its peak of memory."""
    command = [sys.executable, "-m", __spec__.name, model, "--variant", variant, "--threads", str(arguments.threads)]
    done = subprocess.run([*command, "--batches", str(arguments.batches)], check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    peaks[variant] = max(found["peak"], peaks.get(variant, 0))
    return found["rate"]


def measure_here(model: str, variant: str, count: int) -> dict[str, float]:
    """Measure batches per second after the warm-up, and the peak of memory in MiB, in this process."""
    with tempfile.TemporaryDirectory() as name:
        make_files(Path(name))
        ends = VARIANTS[model][variant](Path(name), WARM_UP + count)
    rate = (len(ends) - WARM_UP) / (ends[-1] - ends[WARM_UP - 1])
    return {"rate": rate, "peak": getrusage(RUSAGE_SELF).ru_maxrss / MEBIBYTE}


def main(args: list[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=VARIANTS)
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each variant")
    parser.add_argument("--batches", type=int, default=3, help="timed batches in a measurement, after a warm-up")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of PyTorch")
    parser.add_argument("--json", type=Path, help="file to write all measurements into")
    parser.add_argument("--variant", help="measure only this one, here, and print it as JSON")
    arguments = parser.parse_args(args, Namespace(batch_size=1))
    torch.set_num_threads(arguments.threads)
    quieten_lightning()
    if arguments.variant:
        print(json.dumps(measure_here(arguments.model, arguments.variant, arguments.batches)))
        return
    peaks: dict[str, float] = {}
    compare({v: partial(measure, arguments.model, v, arguments, peaks) for v in VARIANTS[arguments.model]}, arguments)
    print("\n| variant | peak of memory, MiB |\n|---|---:|")
    for variant, peak in peaks.items():
        print(f"| {variant} | {peak:.0f} |")


if __name__ == "__main__":
    main()
