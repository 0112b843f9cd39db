"""Every noise-to-image method of this library on the embedded digits, compared fairly, in one table and one picture.

python -m benchmarks.objectives --folder runs/objectives --table docs/results.md --picture docs/objectives.png \\
    --pictures docs/pictures

All methods have the same generator, convolutions of the discriminator, number of images, batch size, moving average,
decay of the learning rate and evaluation. Each method has its own loss, its optimizer, the normalisation of its
discriminator and how often that steps, and the better of two learning rates, by the FID of the first seed. Finished
runs are not trained again, and stopped runs are resumed. If no training is necessary, the program takes seconds.
"""

import itertools
import json
import math
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.rounds import quieten_lightning
from benchmarks.training import WARM_UP, Stopwatch, rate
from gan_lightning.callbacks import Evaluation
from gan_lightning.cli.training import main as command_line
from gan_lightning.data.files import write_whole
from gan_lightning.data.images import to_uint8
from gan_lightning.training.adversarial import NonFiniteLossError
from gan_lightning.training.generative import GenerativeModule

EPOCHS = 16  # of 8,000 digits
BATCH_SIZE = 64
WIDTH = 16
FACTORS = (1, 2)  # on a method's learning rate
TIMED = 40  # batches
RECIPE = "suite+modes2k_test@digits"
COLUMNS = {
    "fid": ("FID", 1),
    "inception_score": ("IS", 2),
    "precision": ("precision", 2),
    "recall": ("recall", 2),
    "modes_covered_fairly": ("modes", 1),
}
MARKS = ("<!-- objectives: made by benchmarks/objectives.py -->\n", "\n<!-- /objectives -->")

Part = dict[str, Any]


def part(class_path: str, **init_args: Any) -> Part:
    return {"class_path": class_path, "init_args": init_args}


network = partial(part, image_size=32, channels=1, width=WIDTH)


def generator(**arguments: Any) -> Part:
    return network("gan_lightning.networks.DCGANGenerator", latent_dim=100, **arguments)


def discriminator(norm: str = "batch", **arguments: Any) -> Part:
    return network("gan_lightning.networks.DCGANDiscriminator", norm=norm, **arguments)


def loss(name: str, **arguments: Any) -> Part:
    return part(f"gan_lightning.losses.{name}", **arguments)


def adam(lr: float = 1e-3, betas: Sequence[float] = (0.5, 0.999)) -> Part:
    return part("torch.optim.Adam", lr=lr, betas=list(betas))


def autoencoder(code_dim: int) -> Part:
    return network("gan_lightning.networks.DCGANAutoencoder", code_dim=code_dim)


DECAY = part("gan_lightning.schedules.LinearToZero", start=EPOCHS // 2, end=EPOCHS)
CLASSIFIER = part("torch.nn.Linear", out_features=10)


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Args:
        title: name of the row in the table.
        paper: number of the paper in arXiv.
        model: name of the model's class.
        settings: arguments of the model, in addition to those that all methods have.
        optimizer: optimizer of all its networks, with the lower of the two learning rates.
        data: arguments of the datamodule.
        solo: there is no adversary, and one optimizer.
    """

    title: str
    paper: str
    model: str
    settings: Part = field(default_factory=dict)
    optimizer: Part = field(default_factory=adam)
    data: Part = field(default_factory=dict)
    solo: bool = False

    def arguments(self, factor: float = 1) -> Part:
        """Return the model in the form of the command line, with a factor on all learning rates."""
        common: Part = {"generator": generator(), "ema_half_life": 2000}
        if self.solo:
            common |= {"optimizer": self.optimizer, "schedule": DECAY}
        else:
            common |= {"discriminator": discriminator()}
            for player in ("generator", "discriminator"):
                common |= {f"{player}_optimizer": self.optimizer, f"{player}_schedule": DECAY}
        settings = deepcopy(common | self.settings)
        for name in settings:
            if name.endswith("optimizer"):
                settings[name]["init_args"]["lr"] *= factor
        return part(f"gan_lightning.models.{self.model}", **settings)


def f_gan(divergence: str, title: str) -> Method:
    """Return the method with the paper's alternative step; for its Jensen-Shannon and GAN divergences that is "dcgan".

    Gradients are clipped. If D is sure of a sample, these games give the sample a weight of exp |v|. After one such
    gradient, Adam's second moment keeps steps small for a thousand more. Without clipping, squared Hellinger ended in
    one mode.
    """
    clip = {f"{player}_clip_norm": 1.0 for player in ("generator", "discriminator")}
    settings = clip | {"loss": loss("AlternativeUpdate", divergence=loss(divergence))}
    return Method(f"f-GAN, {title}", "1606.00709", "FGAN", settings)


RMSPROP = part("torch.optim.RMSprop", lr=5e-4)  # ten times the papers', since there are few steps
LABELLED = {"generator": generator(num_classes=10)}

METHODS = {
    "minimax": Method("GAN, saturating", "1406.2661", "DCGAN", {"loss": loss("Minimax")}),
    "dcgan": Method("GAN, non-saturating (DCGAN)", "1511.06434", "DCGAN"),
    "lsgan": Method("LSGAN", "1611.04076", "LSGAN"),
    "wgan": Method("WGAN, clipped", "1701.07875", "WGAN", {"head_start": 1}, RMSPROP),
    "wgan_gp": Method(
        "WGAN-GP", "1704.00028", "WGANGP", {"discriminator": discriminator("none")}, adam(betas=(0, 0.9))
    ),
    "sngan": Method(
        "SN-GAN, hinge",
        "1802.05957",
        "SNGAN",
        {"discriminator": discriminator("spectral"), "n_critic": 1},
        adam(betas=(0, 0.9)),
    ),
    "fgan_kl": f_gan("KL", "KL"),
    "fgan_reverse_kl": f_gan("ReverseKL", "reverse KL"),
    "fgan_pearson": f_gan("PearsonChiSquared", "Pearson χ²"),
    "fgan_neyman": f_gan("NeymanChiSquared", "Neyman χ²"),
    "fgan_hellinger": f_gan("SquaredHellinger", "squared Hellinger"),
    "ragan": Method("RaGAN", "1807.00734", "RaGAN"),
    "r3gan": Method(
        "R3GAN's objective",
        "2501.05441",
        "R3GAN",
        {"discriminator": discriminator("none"), "gamma": 1.0},
        adam(betas=(0, 0.9)),
    ),
    # the paper has 5 steps for each of G's; with 5, G has 400 in all, and learns nothing
    "mmd_gan": Method("MMD-GAN", "1705.08584", "MMDGAN", {"discriminator": autoencoder(32), "n_critic": 2}, RMSPROP),
    # λ_k is fifty times the paper's, since k has only 2,000 steps to settle; with ten times, G collapses before that
    "began": Method("BEGAN", "1703.10717", "BEGAN", {"discriminator": autoencoder(32), "gamma": 0.7, "lambda_k": 0.05}),
    "infogan": Method("InfoGAN", "1606.03657", "InfoGAN", {"generator_optimizer": adam(2e-3)}, adam(4e-4)),
    "vae_gan": Method(
        "VAE-GAN",
        "1512.09300",
        "VAEGAN",
        {"encoder": network("gan_lightning.networks.VAEGANEncoder", latent_dim=100, hidden=256), "gamma": 1e-3},
    ),
    "ssgan": Method(
        "SSGAN, 100 labels",
        "1606.03498",
        "SSGAN",
        {"discriminator": discriminator("none", head=CLASSIFIER)},
        data={"labels_per_class": 10},
    ),
    "cgan": Method("cGAN", "1411.1784", "CGAN", LABELLED | {"discriminator": discriminator(num_classes=10)}),
    "acgan": Method("AC-GAN", "1610.09585", "ACGAN", LABELLED),
    "projection": Method(
        "projection, hinge",
        "1802.05637",
        "ProjectionGAN",
        LABELLED
        | {
            "discriminator": part(
                "gan_lightning.networks.projection.Projection",
                discriminator=discriminator("spectral"),
                num_classes=10,
            ),
            "n_critic": 1,
        },
        adam(betas=(0, 0.9)),
    ),
    "gmmn": Method("GMMN", "1502.02761", "GMMN", solo=True),
    "vae": Method(
        "VAE",
        "1312.6114",
        "VAE",
        {
            "encoder": network("gan_lightning.networks.VAEGANEncoder", latent_dim=100, hidden=256),
            "likelihood": loss("Gaussian", std=0.3),
        },
        solo=True,
    ),
}

SHOWN = {method.model: name for name, method in METHODS.items() if method.model not in ("DCGAN", "R3GAN")} | {
    "GAN": "minimax",
    "FGAN": "fgan_hellinger",
}
"""The method whose samples stand for a model. DCGAN's are the quickstart's, and R3GAN's those of its own networks."""


def command(method: Method, factor: float, seed: int, folder: Path) -> list[str]:
    """Return the command line that trains a method."""
    return [
        "fit",
        f"--seed_everything={seed}",
        f"--trainer.default_root_dir={folder}",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        f"--trainer.max_epochs={EPOCHS}",
        f"--trainer.check_val_every_n_epoch={EPOCHS}",
        "--best.monitor=null",
        "--validate_before_fit=false",
        f"--model={json.dumps(method.arguments(factor))}",
        f"--data={json.dumps(part('datamodules.Digits', batch_size=BATCH_SIZE, **method.data))}",
    ]


def train(method: Method, factor: float, seed: int, folder: Path, overrides: Sequence[str] = ()) -> None:
    """Train and evaluate one method with one seed, or resume it, and write its results into `result.json`."""
    resume = ["--ckpt_path=last"] if (folder / "checkpoints" / "last.ckpt").exists() else []
    try:
        run: Any = command_line(
            [*command(method, factor, seed, folder), f"--evaluation.recipe={RECIPE}", *resume, *overrides]
        )
    except NonFiniteLossError as error:
        result: dict[str, Any] = {"diverged": str(error)}
    else:
        callbacks = run.trainer.callbacks
        report = next(callback for callback in callbacks if isinstance(callback, Evaluation)).reports[-1]
        result = {name: report.mean(name) for name in report.values}
    write_whole(folder / "result.json", partial(write_json, result))


def measure_speed(method: Method) -> float:
    """Measure the images per second of a training from its sixth batch on, with all other work of a run."""
    with TemporaryDirectory() as folder:
        run: Any = command_line(
            [
                *command(method, 1, 0, Path(folder)),
                f"--trainer.callbacks={Stopwatch.__module__}.Stopwatch",
                "--samples.count=0",
                "--trainer.max_epochs=1",
                f"--trainer.limit_train_batches={WARM_UP + TIMED}",
                "--trainer.limit_val_batches=0",
                "--trainer.enable_checkpointing=false",
            ]
        )
    stopwatch = next(c for c in run.trainer.callbacks if isinstance(c, Stopwatch))
    return BATCH_SIZE * rate(stopwatch.ends)


def speeds(folder: Path, name: str) -> list[float]:
    """Read the measured speeds of a method, in images per second, one for each round."""
    file = folder / name / "speed.json"
    return json.loads(file.read_text()) if file.exists() else []


def write_json(content: Any, path: Path) -> None:
    """Write content as JSON."""
    path.write_text(json.dumps(content, indent=2))


def place(folder: Path, name: str, factor: float, seed: int) -> Path:
    """Return the folder of a run."""
    return folder / name / f"rate-x{factor}" / f"seed{seed}"


def read_result(run: Path) -> dict[str, Any]:
    """Read the results of a run; return none if it is not finished."""
    file = run / "result.json"
    return json.loads(file.read_text()) if file.exists() else {}


def better_factor(folder: Path, name: str) -> int:
    """Return the factor on the learning rate with which the method's first seed has the lower FID."""
    return min(FACTORS, key=lambda factor: read_result(place(folder, name, factor, 0)).get("fid", math.inf))


def results(folder: Path, name: str) -> list[dict[str, Any]]:
    """Read the results of a method's runs with the better learning rate, by seed."""
    runs = sorted(place(folder, name, better_factor(folder, name), 0).parent.glob("seed*"))
    return [result for run in runs if (result := read_result(run))]


def cell(values: Sequence[float], digits: int) -> str:
    """Format mean and standard deviation."""
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{spread}"


def row(name: str, found: Sequence[dict[str, Any]], speed: Sequence[float]) -> str:
    """Format a method's row from the seeds that finished, with their number if others diverged."""
    method = METHODS[name]
    ended = [result for result in found if "diverged" not in result]
    title = method.title if len(ended) == len(found) else f"{method.title} ({len(ended)} of {len(found)} seeds)"
    cells = [
        cell([result[key] for result in ended], digits) if ended else "diverged" for key, (_, digits) in COLUMNS.items()
    ]
    cells.append(cell(speed, 0) if speed else "")
    return f"| {title} | [{method.paper}](https://arxiv.org/abs/{method.paper}) | {' | '.join(cells)} |"


def table(folder: Path) -> str:
    """Format the Markdown table of all finished runs."""
    found = {name: results(folder, name) for name in METHODS}
    heads = [*(head for head, _ in COLUMNS.values()), "images/s"]
    lines = [f"| method | paper | {' | '.join(heads)} |", f"|---|---|{'---:|' * len(heads)}"]
    return "\n".join(
        lines + [row(name, of_seeds, speeds(folder, name)) for name, of_seeds in found.items() if of_seeds]
    )


def write_between_marks(file: Path, text: str, marks: tuple[str, str] = MARKS) -> None:
    """Replace the table in a file.

    Raises:
        ValueError: the file has no place for it.
    """
    before, begin, rest = file.read_text().partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not end:
        raise ValueError(f"{file} has no place for the table: write the two lines {marks[0]!r} and {marks[1]!r} there")
    file.write_text(before + begin + text + end + after)


def samples(folder: Path, count: int) -> dict[str, np.ndarray]:
    """Return images of each method's averaged generator, first seed, side by side: uint8 (32, 32 count) each."""
    runs = {name: place(folder, name, better_factor(folder, name), 0) for name in METHODS}
    checkpoints = {name: run / "checkpoints" / "last.ckpt" for name, run in runs.items()}
    found = {}
    for name, path in checkpoints.items():
        if path.exists():
            model = GenerativeModule.load_from_checkpoint(path, map_location="cpu")
            classes = getattr(model, "num_classes", 0)
            labels = torch.arange(count) % classes if classes else None
            images = to_uint8(model.sample(count, labels=labels, seed=1))  # type: ignore[operator]
            found[name] = images[:, 0].permute(1, 0, 2).flatten(1).numpy()
    return found


def picture(folder: Path, file: Path, count: int = 16) -> None:
    """Draw samples of each method's first seed, one labelled row each, as one picture."""
    rows = samples(folder, count)
    figure = Figure(figsize=(count * 0.5 + 3, len(rows) * 0.5))
    axes = figure.subplots(len(rows), squeeze=False)[:, 0]
    for axis, (name, images) in zip(axes, rows.items(), strict=True):
        axis.imshow(images, cmap="gray", vmin=0, vmax=255)
        axis.set_ylabel(METHODS[name].title, rotation=0, ha="right", va="center")
        axis.set(xticks=[], yticks=[])
    figure.savefig(file, bbox_inches="tight", dpi=60)


def pictures(folder: Path, into: Path, count: int = 16) -> None:
    """Write samples of the method that stands for each model, twice as large, as `MODEL.png`."""
    rows = samples(folder, count)
    into.mkdir(parents=True, exist_ok=True)
    for model, name in SHOWN.items():
        if name in rows:
            Image.fromarray(rows[name].repeat(2, axis=0).repeat(2, axis=1)).save(into / f"{model}.png")


def main(arguments: Sequence[str] | None = None, train: Callable[..., None] = train) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/objectives"), help="folder of the runs")
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS), help="methods to train")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each")
    parser.add_argument(
        "--speed", type=int, default=0, help="then measure the speed of all methods in this number of rounds"
    )
    parser.add_argument("--table", type=Path, help="file to write the table into, between its two marks")
    parser.add_argument("--picture", type=Path, help="file to write samples of all methods into")
    parser.add_argument("--pictures", type=Path, help="folder to write samples into, a file for each model")
    given = parser.parse_args(arguments)
    quieten_lightning()
    for seed, name in itertools.product(range(given.seeds), given.only):
        for factor in FACTORS if seed == 0 else [better_factor(given.folder, name)]:
            run = place(given.folder, name, factor, seed)
            if not read_result(run):
                print(f"{METHODS[name].title}, seed {seed}, learning rate times {factor}", flush=True)
                train(METHODS[name], factor, seed, run)
    measured: dict[str, list[float]] = {name: [] for name in given.only}
    for _, name in itertools.product(range(given.speed), given.only):
        measured[name].append(measure_speed(METHODS[name]))
        write_whole(given.folder / name / "speed.json", partial(write_json, measured[name]))
    print(table(given.folder))
    if given.table:
        write_between_marks(given.table, table(given.folder))
    if given.picture:
        picture(given.folder, given.picture)
    if given.pictures:
        pictures(given.folder, given.pictures)


if __name__ == "__main__":
    main()
