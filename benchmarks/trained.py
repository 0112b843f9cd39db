"""Speed of trained models in use: `sample` against a plain loop, the time to load an export, ONNX against PyTorch.

python -m benchmarks.trained sample --json sample.json
python -m benchmarks.trained load
python -m benchmarks.trained onnx --threads 1

Weights are random, since they make no difference to speed. `sample` writes 1,000 digits of the quickstart's DCGAN, or
64 colour images of 64x64 by DCGAN of width 64, as files; the plain loop draws a batch of latents, passes it through the
bare network, and saves each image by Pillow.
"""

import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from itertools import count
from os import devnull
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from PIL import Image

from benchmarks.rounds import compare
from gan_lightning.data.images import to_uint8
from gan_lightning.export import save
from gan_lightning.export.files import Trained
from gan_lightning.export.graphs import export_graph
from gan_lightning.inference import LatentSampler, Translator
from gan_lightning.latent.commands.images import sample
from gan_lightning.networks import DCGANGenerator, ResNetGenerator


class Model(NamedTuple):
    """A model and the number of images that are made by it."""

    sampler: LatentSampler
    images: int


def models() -> dict[str, Model]:
    """Make the digits' and the flowers' generators."""
    torch.manual_seed(0)
    digits = DCGANGenerator(latent_dim=100, image_size=32, channels=1, width=32)
    flowers = DCGANGenerator(latent_dim=100, image_size=64, channels=3, width=64)
    return {"digits": Model(LatentSampler(digits), 1000), "flowers": Model(LatentSampler(flowers), 64)}


@torch.no_grad()
def plain_loop(network: Any, images: int, batch_size: int, out: Path) -> None:
    """Make images as a script would, and write each into a file."""
    network.eval()
    for start in range(0, images, batch_size):
        batch = network(torch.randn(min(batch_size, images - start), network.latent_dim))
        for number, image in enumerate(to_uint8(batch), start):
            pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
            Image.fromarray(pixels.contiguous().numpy()).save(out / f"{number}.png")


def measure_sample(arguments: Namespace) -> None:
    """Compare `gan-lightning sample`, without the start of Python, with the plain loop."""
    size = arguments.batch_size
    with tempfile.TemporaryDirectory() as place:
        numbers = count()

        def folder() -> Path:
            made = Path(place, str(next(numbers)))
            made.mkdir()
            return made

        for name, (sampler, images) in models().items():
            export = save(sampler, Path(place, name))
            plain = partial(plain_loop, sampler.network, images, size)
            ours = partial(sample, export, n=images, seeds="0", batch_size=size)
            variants = {"plain loop": plain, "gan-lightning sample": ours}
            for work in variants.values():
                quietly(partial(work, out=folder()))
            print(f"{images} {name}")
            compare({title: partial(timed, work, folder, images / size) for title, work in variants.items()}, arguments)


def timed(work: Callable[..., object], folder: Callable[[], Path], batches: float) -> float:
    """Measure batches per second of work that writes into a new folder."""
    out = folder()
    start = perf_counter()
    quietly(partial(work, out=out))
    return batches / (perf_counter() - start)


def quietly(work: Callable[[], object]) -> None:
    """Do work, and show nothing that it prints."""
    with Path(devnull).open("w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        work()


def measure_load(arguments: Namespace) -> None:
    """Count whole processes a second that load an export, and those that import torch alone."""
    with tempfile.TemporaryDirectory() as place:
        export = save(models()["digits"].sampler, Path(place, "export"))

        def processes(code: str) -> float:
            start = perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            return 1 / (perf_counter() - start)

        load = f"import gan_lightning; gan_lightning.load({str(export)!r})"
        compare({"import torch": partial(processes, "import torch"), "load": partial(processes, load)}, arguments)


def measure_onnx(arguments: Namespace) -> None:
    """Compare ONNX by onnxruntime with PyTorch."""
    import onnxruntime  # noqa: PLC0415 (an extra)

    torch.set_num_threads(arguments.threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    latents = (torch.randn(arguments.batch_size, 100),)
    image = (2 * torch.rand(1, 3, 128, 128) - 1,)
    for name, maker, inputs in (
        (f"DCGAN, {arguments.batch_size} images of 64x64", models()["flowers"].sampler, latents),
        ("CycleGAN, an image of 128x128", Translator(ResNetGenerator()), image),
    ):
        with tempfile.TemporaryDirectory() as place:
            file = Path(place, "graph.onnx")
            graph, difference = export_graph(Trained(maker), file, "onnx")
            session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        given = dict(zip(graph.names, (value.numpy() for value in inputs), strict=True))
        print(f"{name}; largest difference on random inputs {difference:.1e}")
        variants = {"PyTorch": partial(graph.computed, inputs), "ONNX": partial(session.run, ["images"], given)}
        compare({title: partial(calls, work, arguments.batches) for title, work in variants.items()}, arguments)


def calls(work: Callable[[], object], number: int) -> float:
    """Measure calls per second, after one that does not count."""
    work()
    start = perf_counter()
    for _ in range(number):
        work()
    return number / (perf_counter() - start)


def main() -> None:
    """Run one of the measurements."""
    measures = {"sample": measure_sample, "load": measure_load, "onnx": measure_onnx}
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=measures)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each variant")
    parser.add_argument("--batches", type=int, default=5, help="timed batches in a measurement of ONNX")
    parser.add_argument("--batch-size", type=int, default=64, help="images in a batch")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of PyTorch")
    parser.add_argument("--json", type=Path, help="file to write all measurements into")
    arguments = parser.parse_args()
    measures[arguments.what](arguments)


if __name__ == "__main__":
    main()
