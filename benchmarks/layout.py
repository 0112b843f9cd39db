"""Training steps in channels_last against PyTorch's default layout, the measurements behind `channels_last: auto`.

python -m benchmarks.layout --json layout.json                        # all
python -m benchmarks.layout --only cyclegan/horse2zebra --batches 2   # some

Each model is that of a config, trained by its own code on batches of noise of the config's size. CPU time is compared,
so that other programs on the machine have less effect, and of all rounds the shortest step. To imitate another CPU, set
ATEN_CPU_CAPABILITY and ONEDNN_MAX_CPU_ISA (avx2 and AVX2; default and SSE41).
"""

import itertools
import json
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import jsonargparse
import lightning as L
import torch
import yaml

from benchmarks.rounds import machine, quieten_lightning
from gan_lightning.data.batches import Batch, DomainBatch, ImageBatch, PairedBatch, UnpairedBatch
from gan_lightning.training.generative import GenerativeModule
from gan_lightning.training.trainer import Trainer

CONFIGS = Path(__file__).parents[1] / "configs"
WARM_UP = 1


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape) * 2 - 1


def labels(count: int) -> torch.Tensor:
    return torch.arange(count) % 10


BATCHES: dict[str, Callable[[], Batch]] = {
    "dcgan/mnist": lambda: ImageBatch(noise(64, 1, 32, 32)),
    "acgan/digits": lambda: ImageBatch(noise(128, 1, 32, 32), labels(128)),
    "began/digits": lambda: ImageBatch(noise(128, 1, 32, 32)),
    "infogan/digits": lambda: ImageBatch(noise(128, 1, 28, 28)),
    "vae/digits": lambda: ImageBatch(noise(128, 1, 32, 32)),
    "vae_gan/digits": lambda: ImageBatch(noise(128, 1, 32, 32)),
    "sngan/digits": lambda: ImageBatch(noise(128, 1, 32, 32)),
    "projection/digits": lambda: ImageBatch(noise(128, 1, 32, 32), labels(128)),
    "dann/digits": lambda: DomainBatch(noise(64, 3, 28, 28), labels(64), noise(64, 3, 28, 28)),
    "pix2pix/facades": lambda: PairedBatch(noise(1, 3, 256, 256), noise(1, 3, 256, 256)),
    "pix2pix/membranes": lambda: PairedBatch(noise(8, 1, 128, 128), noise(8, 1, 128, 128)),
    "cyclegan/flowers": lambda: UnpairedBatch(noise(4, 3, 64, 64), noise(4, 3, 64, 64)),
    "cyclegan/horse2zebra": lambda: UnpairedBatch(noise(1, 3, 256, 256), noise(1, 3, 256, 256)),
    "cut/flowers": lambda: UnpairedBatch(noise(4, 3, 64, 64), noise(4, 3, 64, 64)),
    "srresnet/flowers": lambda: PairedBatch(noise(16, 3, 16, 16), noise(16, 3, 64, 64)),
    "srgan/flowers": lambda: PairedBatch(noise(16, 3, 16, 16), noise(16, 3, 64, 64)),
    "unet/membranes": lambda: PairedBatch(noise(4, 1, 192, 192), noise(4, 1, 192, 192).sign()),
}


class CPUTime(L.Callback):
    """Records the CPU seconds of the process at the end of each training batch."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *args: Any) -> None:
        """Record the time; the trainer calls this when the model's own work on a batch is done."""
        self.ends.append(process_time())


def seconds(config: str, channels_last: bool, precision: Any, batches: int) -> list[float]:
    """Measure the CPU seconds of each training step."""
    described = yaml.safe_load((CONFIGS / f"{config}.yaml").read_text())["model"]
    described["init_args"] |= {"channels_last": channels_last}
    described["init_args"].pop("pretrained", None)  # the checkpoint of another run
    parser = jsonargparse.ArgumentParser()
    parser.add_subclass_arguments(GenerativeModule, "model")
    model = parser.instantiate(parser.parse_object({"model": described})).model
    clock = CPUTime()
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        precision=precision,
        callbacks=[clock],
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, [BATCHES[config]()] * (WARM_UP + batches))
    ends = clock.ends[WARM_UP - 1 :]
    return [end - start for start, end in itertools.pairwise(ends)]


def main(args: list[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BATCHES, default=list(BATCHES), help="configs to measure")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each layout, in turn")
    parser.add_argument("--batches", type=int, default=5, help="timed batches in a measurement, after a warm-up")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    parser.add_argument("--precision", default="auto", help="precision of the trainer")
    parser.add_argument("--json", type=Path, help="file to write all measurements into")
    arguments = parser.parse_args(args)
    torch.set_num_threads(arguments.threads)
    quieten_lightning()
    found: dict[str, Any] = {"machine": machine()}
    print(
        f"{found['machine']}\n\n| config | seconds a step | in channels_last | times as fast |\n|---|---:|---:|---:|",
        flush=True,
    )
    for config in arguments.only:
        taken: dict[bool, list[float]] = {False: [], True: []}
        for channels_last in [False, True] * arguments.rounds:
            taken[channels_last] += seconds(config, channels_last, arguments.precision, arguments.batches)
        # other programs on the machine make a step longer and never shorter
        own, last = min(taken[False]), min(taken[True])
        print(f"| {config} | {own:.3g} | {last:.3g} | {own / last:.2f} |", flush=True)
        found[config] = {"own": taken[False], "channels_last": taken[True]}
        if arguments.json:
            arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
