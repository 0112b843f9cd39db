"""`gan-lightning disentangle`."""

import json
from pathlib import Path
from typing import Annotated, Literal

from gan_lightning.classifiers import Classifier
from gan_lightning.data.files import shown, write_whole
from gan_lightning.evaluation.pictures.canvas import write_figure
from gan_lightning.inference.devices import Device, find_device
from gan_lightning.inference.identity import fingerprint
from gan_lightning.latent.commands.common import load
from gan_lightning.latent.disentanglement import (
    BINS,
    ClassifierFactors,
    DigitFactors,
    Measurer,
    disentanglement,
    information_figure,
    table,
)
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.metrics.perceptual import LPIPS, PairDistance, digit_distance
from gan_lightning.ranges import NonNegativeInt, PositiveInt, Range, checked

DistanceName = Literal["alex", "vgg", "squeeze", "digits"]


@checked
def disentangle(
    checkpoint: Path,
    out: Path,
    factors: str,
    n: Annotated[int, Range(100, 1_000_000)] = 10_000,
    paths: NonNegativeInt = 10_000,
    distance: DistanceName = "vgg",
    weights: Path | None = None,
    download: bool = False,
    bins: Annotated[int, Range(2, 1000)] = BINS,
    seed: NonNegativeInt = 0,
    batch_size: PositiveInt = 64,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Measure how far the latents of a model control single factors of its images, each for itself.

    The table has a column for each latent space, z and, for models with styles, w: the mutual information gap, the
    separability, and the perceptual path length. Beside the file, under the same name with .png, is a picture of the
    components that tell most of each factor. Nothing is truncated.

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), an export, or
            hf://owner/name.
        out: File of the numbers (.json) to write.
        factors: The factors. digits measures class and strokes of handwritten digits; a file that `gan-lightning
            train-classifier` wrote, its classes or attributes.
        n: Number of images.
        paths: Number of paths whose perceptual length is measured. 0: none.
        distance: Distance between the images on a path: LPIPS by vgg (as published), alex or squeeze, whose weights
            torchvision downloads; digits is that of the features of the digit classifier.
        weights: File of the weights of vgg, alex or squeeze. Null: its default place.
        download: Download these weights if they are missing.
        bins: Number of values that a continuous component or measure is cut into.
        seed: Seed of the images and paths.
        batch_size: Number of images that pass through the network at a time.
        device: Device of the network. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ValueError: the model makes no images from latents, or the factors do not fit them.
        OSError: a file is missing or cannot be written.
        ModuleNotFoundError: scikit-learn is missing.
    """
    if out.suffix.lower() != ".json":
        raise ValueError(f"{shown(out)} cannot be written: name a file that ends in .json")
    apart = _distance(distance, weights, download) if paths else None
    measure = _measurer(factors, device)
    sampler = load(checkpoint, device, trusted)
    first = LatentSpace(sampler, "z", batch_size=batch_size)
    spaces = [first, *(LatentSpace(sampler, name, batch_size=batch_size) for name in first.sampler.spaces[1:])]
    reports = disentanglement(spaces, measure, n, bins, seed, paths, apart)
    settings = {
        "weights": fingerprint(sampler.network),
        "factors": factors,
        "n": n,
        "bins": bins,
        "seed": seed,
        "paths": paths,
        "distance": distance if paths else None,
    }
    content = {"settings": settings, "spaces": {name: report.as_dict() for name, report in reports.items()}}
    write_whole(out, lambda part: part.write_text(json.dumps(content, indent=2) + "\n"))
    write_figure(information_figure(reports), out.with_suffix(".png"))
    print(table(reports))


def _distance(name: DistanceName, weights: Path | None, download: bool) -> PairDistance:
    if name == "digits":
        return digit_distance()
    try:
        return LPIPS(name, weights, download)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}; or choose --distance digits, or measure no path by --paths 0") from error


def _measurer(factors: str, device: Device) -> Measurer:
    if factors == "digits":
        return DigitFactors()
    return ClassifierFactors(Classifier.load(Path(factors), find_device(device)))
