"""The models that have networks of their own on the embedded digits: a table, and a picture.

python -m benchmarks.families --folder runs/families --speed 2 --table docs/results.md --picture docs/families.png \\
    --pictures docs/pictures

Each model is trained by its config `MODEL/digits` as it is: its own networks, losses, optimizers and batch sizes, and
the same number of images for all. The samples are evaluated as in `benchmarks.objectives`. Path lengths are measured in
z, and in w where a model has it, between features of the digit classifier. Finished runs are not trained again, and
stopped runs are resumed.
"""

import itertools
import json
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

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

MODELS = {
    "progan": ("ProGAN", "1710.10196"),
    "stylegan": ("StyleGAN", "1812.04948"),
    "stylegan2": ("StyleGAN2", "1912.04958"),
    "r3gan": ("R3GAN", "2501.05441"),
    "sagan": ("SAGAN", "1805.08318"),
    "biggan": ("BigGAN", "1809.11096"),
}
"""The class and the number of the paper in arXiv of each model, by the folder of its config."""

TIMED = 40  # batches
PATHS = 2000
COLUMNS = {
    "fid": ("FID", 1),
    "inception_score": ("IS", 2),
    "precision": ("precision", 2),
    "recall": ("recall", 2),
    "ppl_z": ("PPL in z", 0),
    "ppl_w": ("PPL in w", 0),
}
MARKS = ("<!-- families: made by benchmarks/families.py -->\n", "\n<!-- /families -->")


def command(name: str, seed: int, folder: Path) -> list[str]:
    """Return the command line that trains a model by its config."""
    return [
        "fit",
        f"--config={name}/digits",
        f"--seed_everything={seed}",
        f"--trainer.default_root_dir={folder}",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        "--best.monitor=null",
        "--validate_before_fit=false",
    ]


def train(name: str, seed: int, folder: Path, overrides: Sequence[str] = ()) -> None:
    """Train and evaluate a model with one seed, or resume it, and write its results into `result.json`."""
    resume = ["--ckpt_path=last"] if (folder / "checkpoints" / "last.ckpt").exists() else []
    run = command_line([*command(name, seed, folder), *resume, *overrides])
    callbacks = run.trainer.callbacks  # type: ignore[attr-defined]
    report = next(callback for callback in callbacks if isinstance(callback, Evaluation)).reports[-1]
    result: dict[str, Any] = {value: report.mean(value) for value in report.values}
    model: Any = run.model  # type: ignore[attr-defined]
    result |= path_lengths(model) | {"images": model.images_seen}
    for player in ("generator", "discriminator"):
        result[player] = sum(p.numel() for p in getattr(model, player).parameters())
    write_whole(folder / "result.json", partial(write_json, result))


def path_lengths(model: Any) -> dict[str, float]:
    """Measure the path length in each space of a model, between features of the digit classifier."""
    found = {}
    for space in model.sampler.spaces:
        length = PerceptualPathLength(space, num_pairs=PATHS, distance=digit_distance(), batch_size=100)
        length.update(model.sampler)
        found[f"ppl_{space}"] = float(length.compute()["ppl"])
    return found


def measure_speed(name: str) -> float:
    """Measure the images per second of a training at its full size, with all other work of a run."""
    grows = ["--model.growth=null", "--data.batch_size=32"] if name in ("progan", "stylegan") else []
    with TemporaryDirectory() as folder:
        run = command_line(
            [
                *command(name, 0, Path(folder)),
                f"--trainer.callbacks={Stopwatch.__module__}.Stopwatch",
                "--samples.count=0",
                "--evaluation.recipe=null",
                "--trainer.max_epochs=1",
                f"--trainer.limit_train_batches={WARM_UP + TIMED}",
                "--trainer.limit_val_batches=0",
                "--trainer.enable_checkpointing=false",
                *grows,
            ]
        )
    stopwatch = next(c for c in run.trainer.callbacks if isinstance(c, Stopwatch))  # type: ignore[attr-defined]
    return run.datamodule.batch_size * rate(stopwatch.ends)  # type: ignore[attr-defined]


def place(folder: Path, name: str, seed: int) -> Path:
    """Return the folder of a run."""
    return folder / name / f"seed{seed}"


def row(folder: Path, name: str) -> str | None:
    """Format a model's row from the seeds that finished. None = no seed did."""
    found = [result for run in sorted((folder / name).glob("seed*")) if (result := read_result(run))]
    if not found:
        return None
    speeds = folder / name / "speed.json"
    title, paper = MODELS[name]
    cells = [
        cell([result[key] for result in found], digits) if key in found[0] else ""
        for key, (_, digits) in COLUMNS.items()
    ]
    cells.append(cell(json.loads(speeds.read_text()), 0) if speeds.exists() else "")
    cells.append(f"{found[0]['generator']:,} / {found[0]['discriminator']:,}")
    return f"| {title} | [{paper}](https://arxiv.org/abs/{paper}) | {' | '.join(cells)} |"


def table(folder: Path) -> str:
    """Format the Markdown table of all finished runs."""
    heads = [*(head for head, _ in COLUMNS.values()), "images/s", "parameters of G / D"]
    lines = [f"| model | paper | {' | '.join(heads)} |", f"|---|---|{'---:|' * len(heads)}"]
    return "\n".join(lines + [line for name in MODELS if (line := row(folder, name))])


def samples(folder: Path, count: int) -> dict[str, np.ndarray]:
    """Return images of each model's averaged generator, first seed, side by side: uint8 (32, 32 count) each."""
    found = {}
    for name in MODELS:
        path = place(folder, name, 0) / "checkpoints" / "last.ckpt"
        if path.exists():
            model: Any = GenerativeModule.load_from_checkpoint(path, map_location="cpu")
            classes = model.sampler.num_classes
            labels = torch.arange(count) % classes if classes else None
            images = to_uint8(model.sampler.sample(count, labels=labels, seed=1))
            found[name] = images[:, 0].permute(1, 0, 2).flatten(1).numpy()
    return found


def picture(folder: Path, file: Path, count: int = 16) -> None:
    """Draw samples of each model's first seed, one labelled row each, as one picture."""
    rows = samples(folder, count)
    figure = Figure(figsize=(count * 0.5 + 2, len(rows) * 0.5))
    axes = figure.subplots(len(rows), squeeze=False)[:, 0]
    for axis, (name, images) in zip(axes, rows.items(), strict=True):
        axis.imshow(images, cmap="gray", vmin=0, vmax=255)
        axis.set_ylabel(MODELS[name][0], rotation=0, ha="right", va="center")
        axis.set(xticks=[], yticks=[])
    figure.savefig(file, bbox_inches="tight", dpi=60)


def pictures(folder: Path, into: Path, count: int = 16) -> None:
    """Write samples of each model's first seed, twice as large, as `MODEL.png`."""
    into.mkdir(parents=True, exist_ok=True)
    for name, images in samples(folder, count).items():
        Image.fromarray(images.repeat(2, axis=0).repeat(2, axis=1)).save(into / f"{MODELS[name][0]}.png")


def main(arguments: Sequence[str] | None = None, train: Callable[..., None] = train) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/families"), help="folder of the runs")
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS), help="models to train")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each")
    parser.add_argument(
        "--speed", type=int, default=0, help="then measure the speed of all models in this number of rounds"
    )
    parser.add_argument("--table", type=Path, help="file to write the table into, between its two marks")
    parser.add_argument("--picture", type=Path, help="file to write samples of all models into")
    parser.add_argument("--pictures", type=Path, help="folder to write samples into, a file for each model")
    given = parser.parse_args(arguments)
    quieten_lightning()
    for seed, name in itertools.product(range(given.seeds), given.only):
        run = place(given.folder, name, seed)
        if not read_result(run):
            print(f"{MODELS[name][0]}, seed {seed}", flush=True)
            train(name, seed, run)
    measured: dict[str, list[float]] = {name: [] for name in given.only}
    for _, name in itertools.product(range(given.speed), given.only):
        measured[name].append(measure_speed(name))
        write_whole(given.folder / name / "speed.json", partial(write_json, measured[name]))
    print(table(given.folder))
    if given.table:
        write_between_marks(given.table, table(given.folder), MARKS)
    if given.picture:
        picture(given.folder, given.picture)
    if given.pictures:
        pictures(given.folder, given.pictures)


if __name__ == "__main__":
    main()
