"""Training speed and memory of translators, mostly at 256x256: `train.py` itself against a plain loop.

python -m benchmarks.translation cyclegan --json cyclegan.json

The plain loop has the same networks, and the order of operations of the authors' PyTorch code, on folders of the same
files. Each measurement is a process of its own, which also reports its peak of memory. Perceptual losses in VGG are
left out on both sides, as the authors' code allows, since its weights may not be there. StarGAN has its own 128x128,
with batches of 4, and SPADE batches of 1.
"""

import itertools
import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
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
from gan_lightning.networks import (
    MultiScale,
    MUNITDiscriminator,
    MUNITGenerator,
    PatchGAN,
    Pix2PixHDGenerator,
    ResNetGenerator,
    SPADEGenerator,
    StarGANDiscriminator,
    StarGANGenerator,
    UNetGenerator,
)
from gan_lightning.training.devices import has_bfloat16_units
from gan_lightning.training.image_pool import ImagePool

CONFIGS = Path(__file__).parents[1] / "configs"
SIZE, LOADED = 256, 286  # pixels
FACES, FACES_AT_ONCE = 128, 4  # pixels, and images in a batch, of StarGAN
DOMAINS = 8  # of StarGAN
CLASSES = 35  # of label maps, as in Cityscapes
FILES = 8  # of each domain
WARM_UP = 1  # batches before the clock starts
CYCLE = {"stargan": 5}  # batches after which a model's turns repeat
MEBIBYTE = 1024  # ru_maxrss counts KiB on Linux


def make_files(folder: Path) -> None:
    """Write large JPEG files, and label maps; their content makes no difference to speed.

    Pictures are in "a", "b", "test_a" and "test_b", those of StarGAN in the sub-folders of "faces", label maps in
    "labels" and "test_labels" and their instances in "instances" and "test_instances".
    """
    domains = ["a", "b", "test_a", "test_b", *(f"faces/{number}" for number in range(DOMAINS))]
    for domain, number in itertools.product(domains, range(FILES)):
        pixels = torch.nn.functional.interpolate(torch.rand(1, 3, 16, 16), size=SIZE, mode="bicubic").clamp(0, 1)
        image = Image.fromarray((pixels[0].permute(1, 2, 0) * 255).byte().numpy())
        file = folder / domain / f"{number}.jpg"
        file.parent.mkdir(exist_ok=True, parents=True)
        image.save(file)
    for kind, number in itertools.product(("labels", "test_labels", "instances", "test_instances"), range(FILES)):
        coarse = Image.fromarray(torch.randint(CLASSES, (16, 16)).byte().numpy())
        (folder / kind).mkdir(exist_ok=True)
        coarse.resize((SIZE, SIZE), Image.Resampling.NEAREST).save(folder / kind / f"{number}.png")


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


class Labelled(Dataset):
    """Label maps with instances, float (3, H, W) as the networks take them, and their pictures, cut at one place."""

    def __init__(self, folder: Path) -> None:
        self.files = [image_files(folder / kind) for kind in ("labels", "instances", "a")]

    def __len__(self) -> int:
        return FILES

    def __getitem__(self, index: int) -> list[Tensor]:
        top, left = torch.randint(LOADED - SIZE + 1, (2,)).tolist()
        mirrored = torch.rand(()) < 0.5
        read = []
        for files, kind in zip(self.files, ("L", "L", "RGB"), strict=True):
            method = InterpolationMode.BICUBIC if kind == "RGB" else InterpolationMode.NEAREST
            image = Resize((LOADED, LOADED), method)(Image.open(files[index]).convert(kind))
            values = ToTensor()(image.crop((left, top, left + SIZE, top + SIZE))) * 2 - 1
            read.append(values.flip(2) if mirrored else values)
        labels, instances, picture = read
        return [torch.cat([labels, torch.full_like(labels, -1), instances]), picture]


class Domains(Dataset):
    """The faces of all domains, and the numbers of their domains."""

    def __init__(self, folder: Path) -> None:
        self.files = [
            (file, number) for number in range(DOMAINS) for file in image_files(folder / "faces" / str(number))
        ]
        resize = Resize((FACES, FACES), InterpolationMode.BICUBIC)
        self.transform = Compose([RandomHorizontalFlip(), resize, ToTensor(), Normalize(0.5, 0.5)])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        file, domain = self.files[index]
        return self.transform(Image.open(file).convert("RGB")), domain


def batches(data: Dataset, count: int, size: int = 1) -> Iterator[list[Tensor]]:
    """Yield `count` batches of `size` items of a data set, shuffled, round after round."""
    loader = DataLoader(data, batch_size=size, shuffle=True)
    return itertools.islice(itertools.chain.from_iterable(itertools.repeat(loader)), count)


def adam(*networks: nn.Module, **how: Any) -> Adam:
    settings: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)} | how
    return Adam(itertools.chain(*[n.parameters() for n in networks]), **settings)


def plain(network: Any) -> Any:
    """Replace the layers that this library makes faster by PyTorch's own, and return the network."""
    for layer in network.modules():
        for kind in (nn.Conv2d, nn.ConvTranspose2d, nn.InstanceNorm2d):
            if isinstance(layer, kind):
                layer.forward = partial(kind.forward, layer)  # type: ignore[method-assign,arg-type]
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
    for real_A, real_B in batches(Pairs(folder), count):
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
    for real_A, real_B in batches(Pairs(folder), count):
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


def matched(real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]) -> Tensor:
    """Return the sum of the authors' feature matching over scales and layers, divided by the number of scales."""
    l1 = nn.L1Loss()
    layers = [l1(f, r.detach()) for fs, rs in zip(fake, real, strict=True) for f, r in zip(fs, rs, strict=True)]
    return torch.stack(layers).sum() / len(real)


def plain_pix2pix_hd(folder: Path, count: int) -> list[float]:
    """Return the time at the end of each batch: one forward makes all losses; then G steps, then D."""
    G = plain(Pix2PixHDGenerator())
    D = plain(MultiScale(partial(PatchGAN, in_channels=39, norm="instance", padding=2), scales=2))
    optimizer_G, optimizer_D = adam(G), adam(D)
    gan = nn.MSELoss()
    ends = []
    for maps, real in batches(Labelled(folder), count):
        fake = G(maps)
        planes = G.planes(maps)
        rejected = D(torch.cat([planes, fake.detach()], 1))
        accepted = D(torch.cat([planes, real], 1), with_features=True)
        judged = D(torch.cat([planes, fake], 1), with_features=True)
        loss_fake: Any = sum(same(gan, logits, 0.0) for logits in rejected.logits)
        loss_real = sum(same(gan, logits, 1.0) for logits in accepted.logits)
        loss_G = sum(same(gan, logits, 1.0) for logits in judged.logits)
        loss_G = loss_G + 10 * matched(accepted.features, judged.features)

        optimizer_G.zero_grad()
        loss_G.backward()
        optimizer_G.step()
        optimizer_D.zero_grad()
        ((loss_fake + loss_real) * 0.5).backward()
        optimizer_D.step()
        loss_G.item()
        ends.append(perf_counter())
    return ends


def plain_spade(folder: Path, count: int) -> list[float]:
    """Return the time at the end of each batch: G steps; then D, on fakes that are made again, all in one batch."""
    G = plain(SPADEGenerator(num_classes=CLASSES, boundaries=True, doublings=6))
    patch = partial(PatchGAN, in_channels=CLASSES + 4, norm="instance", padding=2, spectral=True, init="xavier")
    D = plain(MultiScale(patch, scales=2))
    optimizer_G, optimizer_D = adam(G, lr=1e-4, betas=(0.0, 0.9)), adam(D, lr=4e-4, betas=(0.0, 0.9))

    def judged(maps: Tensor, fake: Tensor, real: Tensor) -> tuple[Any, Any]:
        planes = G.planes(maps)
        both = torch.cat([torch.cat([planes, fake], 1), torch.cat([planes, real], 1)])
        output = D(both, with_features=True)
        halves = [[each.chunk(2)[i] for each in output.logits] for i in range(2)]
        features = [[[each.chunk(2)[i] for each in layers] for layers in output.features] for i in range(2)]
        return tuple(zip(halves, features, strict=True))  # type: ignore[return-value]

    ends = []
    for maps, real in batches(Labelled(folder), count):
        optimizer_G.zero_grad()
        (fooling, layers), (_, real_layers) = judged(maps, G(maps), real)
        loss_G = -sum(logits.mean() for logits in fooling) / len(fooling) + 10 * matched(real_layers, layers)
        loss_G.backward()
        optimizer_G.step()

        optimizer_D.zero_grad()
        with torch.no_grad():
            fake = G(maps)
        (rejected, _), (accepted, _) = judged(maps, fake.requires_grad_(), real)
        losses = [(1 + no).relu().mean() + (1 - yes).relu().mean() for no, yes in zip(rejected, accepted, strict=True)]
        (sum(losses) / len(losses)).backward()
        optimizer_D.step()
        loss_G.item()
        ends.append(perf_counter())
    return ends


def plain_stargan(folder: Path, count: int) -> list[float]:
    """Return the time at the end of each batch: D steps in each, G in every fifth, on fakes of its own."""
    G, D = plain(StarGANGenerator(DOMAINS)), plain(StarGANDiscriminator(DOMAINS, image_size=FACES))
    optimizer_G, optimizer_D = adam(G, lr=1e-4), adam(D, lr=1e-4)
    classified, l1 = nn.CrossEntropyLoss(), nn.L1Loss()
    ends = []
    for batch, (real, labels) in enumerate(batches(Domains(folder), count, FACES_AT_ONCE), start=1):
        targets = labels[torch.randperm(len(labels))]
        code, target = (nn.functional.one_hot(each, DOMAINS).float() for each in (labels, targets))
        output = D(real)
        loss_D = -output.logits[0].mean() + classified(output.class_logits, labels)
        fake = G(real, target)
        loss_D = loss_D + D(fake.detach()).logits[0].mean()
        alpha = torch.rand(len(real), 1, 1, 1)
        between = (alpha * real.data + (1 - alpha) * fake.data).requires_grad_(True)
        logits = D(between).logits[0]
        (gradient,) = torch.autograd.grad(
            logits, between, torch.ones_like(logits), create_graph=True, retain_graph=True
        )
        loss_D = loss_D + 10 * ((gradient.flatten(1).square().sum(dim=1).sqrt() - 1) ** 2).mean()
        optimizer_G.zero_grad()
        optimizer_D.zero_grad()
        loss_D.backward()
        optimizer_D.step()
        loss_D.item()
        if batch % CYCLE["stargan"] == 0:
            fake = G(real, target)
            output = D(fake)
            loss_G = -output.logits[0].mean() + classified(output.class_logits, targets)
            loss_G = loss_G + 10 * l1(real, G(fake, code))
            optimizer_G.zero_grad()
            optimizer_D.zero_grad()
            loss_G.backward()
            optimizer_G.step()
            loss_G.item()
        ends.append(perf_counter())
    return ends


def plain_munit(folder: Path, count: int) -> list[float]:
    """Return the time at the end of each batch: D's turn, then G's, which encodes and decodes anew."""
    A_B, B_A = plain(MUNITGenerator()), plain(MUNITGenerator())
    D_A, D_B = plain(MUNITDiscriminator()), plain(MUNITDiscriminator())
    how: dict[str, Any] = {"lr": 1e-4, "weight_decay": 1e-4}
    optimizer_G, optimizer_D = adam(A_B, B_A, **how), adam(D_A, D_B, **how)
    l1 = nn.L1Loss()

    def squares(discriminator: nn.Module, images: Tensor, label: float) -> Any:
        return sum((logits - label).square().mean() for logits in discriminator(images).logits)

    def codes(real_A: Tensor, real_B: Tensor) -> tuple[Tensor, ...]:
        """Encode both images, contents and styles, whether or not both are used."""
        return A_B.content(real_A), B_A.style(real_A), B_A.content(real_B), A_B.style(real_B)

    ends = []
    for real_A, real_B in batches(Pairs(folder), count):
        optimizer_D.zero_grad()
        style_A, style_B = torch.randn(1, 8), torch.randn(1, 8)
        content_A, _, content_B, _ = codes(real_A, real_B)
        fake_A, fake_B = B_A.decoder(content_B, style_A).detach(), A_B.decoder(content_A, style_B).detach()
        loss_D = squares(D_A, fake_A, 0.0) + squares(D_A, real_A, 1.0)
        loss_D = loss_D + squares(D_B, fake_B, 0.0) + squares(D_B, real_B, 1.0)
        loss_D.backward()
        optimizer_D.step()

        optimizer_G.zero_grad()
        style_A, style_B = torch.randn(1, 8), torch.randn(1, 8)
        content_A, own_A, content_B, own_B = codes(real_A, real_B)
        again_A, again_B = B_A.decoder(content_A, own_A), A_B.decoder(content_B, own_B)
        fake_A, fake_B = B_A.decoder(content_B, style_A), A_B.decoder(content_A, style_B)
        back_A, found_A, back_B, found_B = (
            A_B.content(fake_B),
            B_A.style(fake_A),
            B_A.content(fake_A),
            A_B.style(fake_B),
        )
        loss_G = squares(D_A, fake_A, 1.0) + squares(D_B, fake_B, 1.0)
        loss_G = loss_G + 10 * (l1(again_A, real_A) + l1(again_B, real_B))
        loss_G = loss_G + l1(found_A, style_A) + l1(found_B, style_B) + l1(back_A, content_A) + l1(back_B, content_B)
        loss_G.backward()
        optimizer_G.step()
        loss_G.item()
        ends.append(perf_counter())
    return ends


def ours(config: str, data: list[str], overrides: list[str], folder: Path, count: int) -> list[float]:
    """Return the time at the end of each batch of `train.py fit`; its output goes into a file of the run."""
    with (folder / "printed.txt").open("w") as printed, redirect_stdout(printed), redirect_stderr(printed):
        run: Any = command_line(
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
    return next(c for c in run.trainer.callbacks if isinstance(c, Stopwatch)).ends


def paths(folder: Path, *settings: str) -> list[str]:
    """Return four settings of a datamodule: the folders of both domains, for training and for tests."""
    return [f"{each}={folder / name}" for each, name in zip(settings, ("a", "b", "test_a", "test_b"), strict=True)]


def our_cyclegan(overrides: list[str], folder: Path, count: int) -> list[float]:
    data = paths(folder, "train_a", "train_b", "test_a", "test_b")
    return ours("cyclegan/horse2zebra.yaml", data, overrides, folder, count)


def our_pix2pix(overrides: list[str], folder: Path, count: int) -> list[float]:
    data = paths(folder, "train", "train_b", "test", "test_b")
    return ours("pix2pix/facades.yaml", data, overrides, folder, count)


def our_pix2pix_hd(overrides: list[str], folder: Path, count: int) -> list[float]:
    data = [*label_paths(folder), f"image_size={SIZE}", f"load_size={LOADED}"]
    return ours("pix2pix_hd/cityscapes.yaml", data, ["--model.init_args.perceptual=null", *overrides], folder, count)


def our_spade(overrides: list[str], folder: Path, count: int) -> list[float]:
    data = [*label_paths(folder), f"image_size={SIZE}", f"load_size={LOADED}", "batch_size=1"]
    return ours("spade/cityscapes.yaml", data, ["--model.init_args.perceptual=null", *overrides], folder, count)


def label_paths(folder: Path) -> list[str]:
    """Return the settings of a folder of label maps."""
    named = {"train": "labels", "images": "a", "instances": "instances"}
    named |= {"test": "test_labels", "test_images": "test_a", "test_instances": "test_instances"}
    return [f"{setting}={folder / name}" for setting, name in named.items()]


def our_stargan(overrides: list[str], folder: Path, count: int) -> list[float]:
    data = [f"train={folder / 'faces'}", f"image_size={FACES}", f"batch_size={FACES_AT_ONCE}"]
    return ours("stargan/folder.yaml", data, overrides, folder, count)


def our_munit(overrides: list[str], folder: Path, count: int) -> list[float]:
    data = [*paths(folder, "train_a", "train_b", "test_a", "test_b"), f"image_size={SIZE}", f"load_size={LOADED}"]
    return ours("munit/edges2shoes.yaml", data, overrides, folder, count)


LAYOUTS = {"": "auto", ", channels_last": "true", ", channels_last off": "false"}
PRECISIONS = {"fp32": "32-true"} | ({"bf16-mixed": "bf16-mixed"} if has_bfloat16_units(torch.device("cpu")) else {})
OURS = {
    f"ours, {name}{layout}": [f"--trainer.precision={precision}", f"--model.init_args.channels_last={stated}"]
    for name, precision in PRECISIONS.items()
    for layout, stated in LAYOUTS.items()
}

Variants = dict[str, Callable[[Path, int], list[float]]]
BOTH: dict[str, tuple[Callable[[Path, int], list[float]], Callable[[list[str], Path, int], list[float]]]] = {
    "cyclegan": (plain_cyclegan, our_cyclegan),
    "pix2pix": (plain_pix2pix, our_pix2pix),
    "pix2pix_hd": (plain_pix2pix_hd, our_pix2pix_hd),
    "spade": (plain_spade, our_spade),
    "stargan": (plain_stargan, our_stargan),
    "munit": (plain_munit, our_munit),
}
VARIANTS: dict[str, Variants] = {
    model: {"plain loop, fp32": theirs} | {name: partial(own, OURS[name]) for name in OURS}
    for model, (theirs, own) in BOTH.items()
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
        warm_up, timed = (each * CYCLE.get(model, 1) for each in (WARM_UP, count))
        ends = VARIANTS[model][variant](Path(name), warm_up + timed)
    rate = (len(ends) - warm_up) / (ends[-1] - ends[warm_up - 1])
    return {"rate": rate, "peak": getrusage(RUSAGE_SELF).ru_maxrss / MEBIBYTE}


def main(args: list[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=VARIANTS)
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each variant")
    parser.add_argument(
        "--batches", type=int, default=3, help="timed batches of a measurement, after one more; StarGAN: times 5"
    )
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
