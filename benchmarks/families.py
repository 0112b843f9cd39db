"""Models with networks of their own on the embedded digits: a table, and a picture.

python -m benchmarks.families --folder runs/families --speed 2 --table docs/results.md --picture docs/families.png \\
    --pictures docs/pictures
python -m benchmarks.families kinds --folder runs/kinds --table docs/results.md --picture docs/kinds.png

`families` (the default) are GANs that see the same number of images. `kinds` are a GAN, a VAE, a VAE-GAN, a PixelCNN, a
RealNVP and a VQ-VAE with its prior, each by its config as it is. The samples are evaluated as in
`benchmarks.objectives`. Path lengths are measured in z, and in w where a model has it, between features of the digit
classifier; nats where a model has a likelihood. Times are of the processor, whatever else runs. Finished runs are not
trained again, and stopped runs are resumed; the training time of these is not known.
"""

import itertools
import json
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from benchmarks.objectives import cell, read_result, write_between_marks, write_json
from benchmarks.rounds import quieten_lightning
from benchmarks.training import WARM_UP, Stopwatch, rate
from gan_lightning.callbacks import Evaluation
from gan_lightning.cli.training import main as command_line
from gan_lightning.data.files import write_whole
from gan_lightning.data.images import to_uint8
from gan_lightning.metrics import PerceptualPathLength
from gan_lightning.metrics.perceptual import digit_distance
from gan_lightning.training.generative import GenerativeModule

TIMED = 40  # batches
PATHS = 2000
SAMPLES = 1000  # timed
NATS = "suite+nll2k_test@digits"
SUITE = {"fid": ("FID", 1), "inception_score": ("IS", 2), "precision": ("precision", 2), "recall": ("recall", 2)}


class Entry(NamedTuple):
    """A row: a model, by its title and the number of its paper in arXiv.

    Attributes:
        config: the config, by its name under configs.
        first: the config of the run whose autoencoder this model takes, if any.
        nats: True = the likelihood is measured too.
        overrides: settings of its own.
    """

    title: str
    paper: str
    config: str
    first: str = ""
    nats: bool = False
    overrides: tuple[str, ...] = ()


class Comparison(NamedTuple):
    """A table: its entries by the names of their folders, and the heads and decimals of its columns, by the values."""

    entries: dict[str, Entry]
    columns: dict[str, tuple[str, int]]
    marks: tuple[str, str]


FAMILIES = Comparison(
    {
        "progan": Entry("ProGAN", "1710.10196", "progan/digits"),
        "stylegan": Entry("StyleGAN", "1812.04948", "stylegan/digits"),
        "stylegan2": Entry("StyleGAN2", "1912.04958", "stylegan2/digits"),
        "r3gan": Entry("R3GAN", "2501.05441", "r3gan/digits"),
        "sagan": Entry("SAGAN", "1805.08318", "sagan/digits"),
        "biggan": Entry("BigGAN", "1809.11096", "biggan/digits"),
    },
    SUITE | {"ppl_z": ("PPL in z", 0), "ppl_w": ("PPL in w", 0), "speed": ("images/s", 0)},
    ("<!-- families: made by benchmarks/families.py -->\n", "\n<!-- /families -->"),
)
KINDS = Comparison(
    {
        "dcgan": Entry("GAN (DCGAN)", "1511.06434", "quickstart"),
        "vae": Entry(
            "VAE",
            "1312.6114",
            "vae/digits",
            nats=True,
            # its Bernoulli likelihood is a probability for black and white digits alone, as PixelCNN's here
            overrides=("--data.binarise=drawn", "--model.importance_samples=50"),
        ),
        "vae_gan": Entry("VAE-GAN", "1512.09300", "vae_gan/digits"),
        "gated_pixelcnn": Entry("PixelCNN (gated)", "1606.05328", "gated_pixelcnn/digits", nats=True),
        "realnvp": Entry("RealNVP", "1605.08803", "realnvp/digits", nats=True),
        "vqvae_prior": Entry("VQ-VAE and prior", "1711.00937", "vqvae_prior/digits", first="vqvae/digits"),
    },
    SUITE | {"nats": ("nats", 1), "minutes": ("minutes to train", 0), "sampling": ("seconds for 1,000", 1)},
    ("<!-- kinds: made by benchmarks/families.py -->\n", "\n<!-- /kinds -->"),
)
COMPARISONS = {"families": FAMILIES, "kinds": KINDS}


def command(config: str, seed: int, folder: Path) -> list[str]:
    """Return the command line that trains a model by its config."""
    return [
        "fit",
        f"--config={config}",
        f"--seed_everything={seed}",
        f"--trainer.default_root_dir={folder}",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        "--best.monitor=null",
        "--validate_before_fit=false",
    ]


def fit(config: str, seed: int, folder: Path, overrides: Sequence[str] = ()) -> tuple[Any, float | None]:
    """Train a model with one seed, or resume it.

    Returns:
        What ran, and the minutes of the processor that it took. None = it was resumed.
    """
    last = folder / "checkpoints" / "last.ckpt"
    resume = ["--ckpt_path=last"] if last.exists() else []
    before = process_time()
    run: Any = command_line([*command(config, seed, folder), *resume, *overrides])
    return run, None if resume else (process_time() - before) / 60


def train(entry: Entry, seed: int, folder: Path, overrides: Sequence[str] = ()) -> None:
    """Train and evaluate a model with one seed, or resume it, and write its results into `result.json`."""
    overrides = [*overrides, *entry.overrides, *([f"--evaluation.recipe={NATS}"] if entry.nats else [])]
    before: float | None = 0.0
    if entry.first:
        autoencoder = folder / "first"
        _, before = fit(entry.first, seed, autoencoder, overrides)
        parts = {"autoencoder": {"generator": str(autoencoder / "checkpoints" / "last.ckpt")}}
        overrides = [*overrides, f"--start_from={json.dumps(parts)}"]
    run, minutes = fit(entry.config, seed, folder, overrides)
    report = next(callback for callback in run.trainer.callbacks if isinstance(callback, Evaluation)).reports[-1]
    model = run.model
    result: dict[str, Any] = {value: report.mean(value) for value in report.values}
    result |= path_lengths(model) | {"images": model.images_seen, "sampling": sampling_time(model)}
    if before is not None and minutes is not None:
        result["minutes"] = before + minutes
    result["parameters"] = [
        sum(p.numel() for p in getattr(model, player).parameters())
        for player in ("generator", "encoder", "autoencoder", "discriminator")
        if isinstance(getattr(model, player, None), nn.Module)
    ]
    write_whole(folder / "result.json", partial(write_json, result))


def sampling_time(model: Any) -> float:
    """Measure the seconds of the processor that 1,000 samples take."""
    before = process_time()
    model.sampler.sample(SAMPLES, seed=0)
    return (process_time() - before) * 1000 / SAMPLES


def path_lengths(model: Any) -> dict[str, float]:
    """Measure the path length in each space of a model, between features of the digit classifier."""
    found = {}
    for space in getattr(model.sampler, "spaces", ()):  # none where values are drawn one by one
        length = PerceptualPathLength(space, num_pairs=PATHS, distance=digit_distance(), batch_size=100)
        length.update(model.sampler)
        found[f"ppl_{space}"] = float(length.compute()["ppl"])
    return found


def measure_speed(config: str) -> float:
    """Measure the images per second of a training at its full size, with all other work of a run."""
    grows = config.startswith(("progan/", "stylegan/"))
    with TemporaryDirectory() as folder:
        run: Any = command_line(
            [
                *command(config, 0, Path(folder)),
                f"--trainer.callbacks={Stopwatch.__module__}.Stopwatch",
                "--samples.count=0",
                "--evaluation.recipe=null",
                "--trainer.max_epochs=1",
                f"--trainer.limit_train_batches={WARM_UP + TIMED}",
                "--trainer.limit_val_batches=0",
                "--trainer.enable_checkpointing=false",
                *(["--model.growth=null", "--data.batch_size=32"] if grows else []),
            ]
        )
    stopwatch = next(c for c in run.trainer.callbacks if isinstance(c, Stopwatch))
    return run.datamodule.batch_size * rate(stopwatch.ends)


def place(folder: Path, name: str, seed: int) -> Path:
    """Return the folder of a run."""
    return folder / name / f"seed{seed}"


def row(comparison: Comparison, folder: Path, name: str) -> str | None:
    """Format a model's row from the seeds that finished. None = no seed did."""
    found = [result for run in sorted((folder / name).glob("seed*")) if (result := read_result(run))]
    if not found:
        return None
    speeds = folder / name / "speed.json"
    values = {key: [result[key] for result in found if key in result] for key in comparison.columns}
    values |= {"speed": json.loads(speeds.read_text()) if speeds.exists() else []}
    cells = [cell(values[key], digits) if values[key] else "" for key, (_, digits) in comparison.columns.items()]
    entry = comparison.entries[name]
    cells.append(" / ".join(f"{count:,}" for count in found[0]["parameters"]))
    return f"| {entry.title} | [{entry.paper}](https://arxiv.org/abs/{entry.paper}) | {' | '.join(cells)} |"


def table(comparison: Comparison, folder: Path) -> str:
    """Format the Markdown table of all finished runs."""
    heads = [*(head for head, _ in comparison.columns.values()), "parameters by network"]
    lines = [f"| model | paper | {' | '.join(heads)} |", f"|---|---|{'---:|' * len(heads)}"]
    return "\n".join(lines + [line for name in comparison.entries if (line := row(comparison, folder, name))])


def samples(comparison: Comparison, folder: Path, count: int) -> dict[str, np.ndarray]:
    """Return images of each model's averaged generator, first seed, side by side: uint8 (H, W count) each."""
    found = {}
    for name in comparison.entries:
        path = place(folder, name, 0) / "checkpoints" / "last.ckpt"
        if path.exists():
            model: Any = GenerativeModule.load_from_checkpoint(path, map_location="cpu")
            classes = model.sampler.num_classes
            labels = torch.arange(count) % classes if classes else None
            images = to_uint8(model.sampler.sample(count, labels=labels, seed=1))
            found[name] = images[:, 0].permute(1, 0, 2).flatten(1).numpy()
    return found


def picture(comparison: Comparison, folder: Path, file: Path, count: int = 16) -> None:
    """Draw samples of each model's first seed, one labelled row each, as one picture."""
    rows = samples(comparison, folder, count)
    figure = Figure(figsize=(count * 0.5 + 2, len(rows) * 0.5))
    axes = figure.subplots(len(rows), squeeze=False)[:, 0]
    for axis, (name, images) in zip(axes, rows.items(), strict=True):
        axis.imshow(images, cmap="gray", vmin=0, vmax=255)
        axis.set_ylabel(comparison.entries[name].title, rotation=0, ha="right", va="center")
        axis.set(xticks=[], yticks=[])
    figure.savefig(file, bbox_inches="tight", dpi=60)


def pictures(comparison: Comparison, folder: Path, into: Path, count: int = 16) -> None:
    """Write samples of each model's first seed, twice as large, as `MODEL.png`."""
    into.mkdir(parents=True, exist_ok=True)
    for name, images in samples(comparison, folder, count).items():
        Image.fromarray(images.repeat(2, axis=0).repeat(2, axis=1)).save(into / f"{comparison.entries[name].title}.png")


def main(arguments: Sequence[str] | None = None, train: Callable[..., None] = train) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("comparison", nargs="?", choices=COMPARISONS, default="families")
    parser.add_argument("--folder", type=Path, help="folder of the runs (default: runs/COMPARISON)")
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="models to train (default: all)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each")
    parser.add_argument(
        "--speed", type=int, default=0, help="then measure the speed of all models in this number of rounds"
    )
    parser.add_argument("--table", type=Path, help="file to write the table into, between its two marks")
    parser.add_argument("--picture", type=Path, help="file to write samples of all models into")
    parser.add_argument("--pictures", type=Path, help="folder to write samples into, a file for each model")
    given = parser.parse_args(arguments)
    comparison = COMPARISONS[given.comparison]
    entries, folder = comparison.entries, given.folder or Path("runs", given.comparison)
    chosen = given.only or list(entries)
    if unknown := set(chosen) - set(entries):
        parser.error(f"--only: {given.comparison} has no {', '.join(sorted(unknown))}, but {', '.join(entries)}")
    quieten_lightning()
    for seed, name in itertools.product(range(given.seeds), chosen):
        run = place(folder, name, seed)
        if not read_result(run):
            print(f"{entries[name].title}, seed {seed}", flush=True)
            train(entries[name], seed, run)
    measured: dict[str, list[float]] = {name: [] for name in chosen}
    for _, name in itertools.product(range(given.speed), chosen):
        measured[name].append(measure_speed(entries[name].config))
        write_whole(folder / name / "speed.json", partial(write_json, measured[name]))
    made = table(comparison, folder)
    print(made)
    if given.table:
        write_between_marks(given.table, made, comparison.marks)
    if given.picture:
        picture(comparison, folder, given.picture)
    if given.pictures:
        pictures(comparison, folder, given.pictures)


if __name__ == "__main__":
    main()
