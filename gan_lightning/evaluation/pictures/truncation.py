"""The effect of truncation on one generator: fidelity against diversity."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from gan_lightning.data.files import write_whole
from gan_lightning.evaluation.evaluator import Evaluator
from gan_lightning.evaluation.pictures.canvas import check_suffix, write_figure
from gan_lightning.evaluation.pictures.sets import open_images, with_features
from gan_lightning.evaluation.report import Report
from gan_lightning.evaluation.sources import GeneratedImages, Images, load_sampler
from gan_lightning.inference.devices import Device, find_device
from gan_lightning.metrics import FrechetInceptionDistance, PrecisionRecall
from gan_lightning.metrics.named import make_extractor
from gan_lightning.ranges import NonNegativeInt, PositiveFloat, PositiveInt, checked


def truncation_figure(reports: Sequence[Report]) -> Figure:
    """Draw FID over truncation, and precision over recall.

    Args:
        reports: one for each truncation, which its `settings["truncation"]` states (None = no truncation), with values
            of `fid`, `precision` and `recall`.
    """

    def limit(report: Report) -> float:
        truncation = report.settings["truncation"]
        return math.inf if truncation is None else truncation

    reports = sorted(reports, key=limit)
    labels = [f"{limit(report):g}".replace("inf", "none") for report in reports]
    fid, precision, recall = ([report.mean(name) for report in reports] for name in ("fid", "precision", "recall"))
    colours = colormaps["viridis"](np.linspace(0, 0.9, len(reports)))
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)

    places = range(len(reports))
    left.plot(places, fid, color="grey", zorder=1)
    left.scatter(places, fid, color=colours, s=50)
    best = min(places, key=fid.__getitem__)
    left.annotate(f"{fid[best]:.4g}", (best, fid[best]), (0, -16), textcoords="offset points", ha="center")
    left.set_xticks(places, labels)
    left.set_xlabel("truncation: largest magnitude of a latent's component")
    left.set_ylabel("FID")
    left.set_title("FID  ↓ lower is better; the lowest is printed", loc="left", fontsize=11)

    right.plot(recall, precision, color="grey", zorder=1)
    for place in places:
        right.scatter(recall[place], precision[place], color=colours[place], s=50, label=labels[place])
    right.legend(title="truncation", fontsize=9)
    right.set_xlabel("recall (diversity)  → higher is better")
    right.set_ylabel("precision (fidelity)")
    right.set_title("precision  ↑ higher is better", loc="left", fontsize=11)
    for axes in (left, right):
        axes.margins(0.12)
        axes.grid(alpha=0.25)
    return figure


@checked
def plot_truncation(
    real: Path,
    checkpoint: Path,
    out: Path,
    truncations: tuple[PositiveFloat, ...] = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0),
    extractor: str = "inception",
    num: PositiveInt = 10_000,
    seed: NonNegativeInt = 0,
    trusted: list[str] | str | None = None,
    device: Device = "auto",
) -> None:
    """Draw FID, precision and recall over the truncation of the latents, and write the numbers beside, as .jsonl.

    For each truncation, and without any, as many images are generated as there are real ones. All metrics use the
    features of one extractor, which are computed once for the real images.

    Args:
        real: Folder of real images, in sub-folders of any depth; sizes may differ.
        checkpoint: A model that makes images from noise: a checkpoint (.ckpt), a run's folder (its best checkpoint), or
            an export.
        out: The picture: .png, .pdf or .svg. The numbers go into the file of the same name that ends in .jsonl.
        truncations: Largest magnitudes of a latent's component, each in turn; then no truncation.
        extractor: Name of the feature extractor (`gan-lightning recipes` lists them).
        num: Number of images of each set; as many as `real` holds, if it has fewer.
        seed: Seed of the latents, the same for all truncations, and of the subset of real images.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.
        device: Device of the networks. Auto: the GPU if there is one.

    Raises:
        ValueError: the checkpoint's model does not make images from noise, or a metric has too few images.
        OSError: a file is missing or cannot be written.
    """
    check_suffix(out)
    place = find_device(device)
    model = load_sampler(checkpoint, place, trusted or ())
    reals = open_images(real, num, seed, place, trusted)
    metrics = (FrechetInceptionDistance, PrecisionRecall)
    evaluator = Evaluator(make_extractor(extractor), metrics).to(place)

    def take_in(images: Images, name: str, is_real: bool) -> None:
        for _, features in with_features(images, evaluator.extractor, place, name):
            evaluator.feed(features, real=is_real)

    take_in(reals, "real", True)
    reports = []
    for truncation in (*truncations, None):
        started = time.perf_counter()
        images = GeneratedImages(model.sampler, len(reals), seed, truncation=truncation)
        take_in(images, f"truncation {'none' if truncation is None else f'{truncation:g}'}", False)
        values = {name: [float(value)] for name, value in evaluator.compute().items()}
        evaluator.reset(keep_real=True)
        reports.append(
            Report(
                recipe="truncation",
                extractor=type(evaluator.extractor).__name__,
                fingerprint=evaluator.extractor.fingerprint,
                preprocessing=evaluator.extractor.preprocessing,
                real=str(real),
                fake=str(checkpoint),
                num_real=len(reals),
                num_fake=len(images),
                seeds=[seed],
                values=values,
                seconds=time.perf_counter() - started,
                settings={"truncation": truncation, "images_seen": model.images_seen},
            )
        )
    lines = "".join(report.as_json() + "\n" for report in reports)
    write_whole(out.with_suffix(".jsonl"), lambda path: path.write_text(lines))
    write_figure(truncation_figure(reports), out)
