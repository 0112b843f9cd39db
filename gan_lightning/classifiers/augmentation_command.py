"""`gan-lightning augment`."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated

import torch
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.classifiers.augmentation import (
    AugmentationReport,
    LabelledImages,
    augmentation_figure,
    train_on_mixes,
)
from gan_lightning.classifiers.classifier import SMALL, Classifier, check_backbone
from gan_lightning.classifiers.labelled import classes_of
from gan_lightning.classifiers.training import held_back_images
from gan_lightning.data.files import shown, write_whole
from gan_lightning.data.images import as_channels
from gan_lightning.evaluation.pictures.canvas import write_figure
from gan_lightning.evaluation.sources import GeneratedImages, load_sampler
from gan_lightning.extractors.base import FeatureExtractor, NoFeatures
from gan_lightning.inference import Sampler
from gan_lightning.inference.devices import Device, find_device
from gan_lightning.inference.identity import fingerprint
from gan_lightning.metrics.memorisation import Authenticity
from gan_lightning.metrics.named import make_extractor
from gan_lightning.ranges import NonNegativeInt, PositiveInt, Range, checked

Share = Annotated[float, Range(0, 1)]
TENTHS = tuple(i / 10 for i in range(11))


@checked
def augment(
    checkpoint: Path,
    train: Path,
    test: Path,
    out: Path,
    p_real: tuple[Share, ...] = TENTHS,
    seeds: PositiveInt = 3,
    steps: PositiveInt = 1000,
    generated: PositiveInt = 10_000,
    backbone: str = SMALL,
    extractor: str = "auto",
    batch_size: PositiveInt = 128,
    seed: NonNegativeInt = 0,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Measure how much a generator's images help to train a classifier, when they replace a share of the real ones.

    For each p_real, classifiers are trained on as many images as TRAIN has, each real with this probability, else
    generated anew of the same class. One half of TEST chooses the best p_real, the other reports its accuracy. Beside
    stands how far the generated images are copies of TRAIN. Written are the numbers, and under the same name with .png
    a picture.

    Args:
        checkpoint: A model with classes, trained on no other images than TRAIN: a checkpoint (.ckpt), a run's folder
            (its best checkpoint), an export, or hf://owner/name.
        train: Folder of the real training images; its sub-folders are the classes.
        test: Folder of other real images, with the same sub-folders.
        out: File of the numbers (.json) to write.
        p_real: Probabilities that an image is real.
        seeds: Number of classifiers for each p_real.
        steps: Number of training steps of each classifier, at least.
        generated: Number of generated images from which the mixes are drawn.
        backbone: small, or the name of a classifier of torchvision, such as resnet18.
        extractor: Feature extractor for the test of memorisation (`gan-lightning recipes` lists them). none leaves it
            out.
        batch_size: Number of images of a training step, and of those that are generated at a time.
        seed: Seed of the generated images, of the halves of TEST, and the first one of the classifiers.
        device: Device of the networks. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ValueError: the model has no classes, or not those of the folders; or an image cannot be read.
        OSError: a file is missing or cannot be written.
    """
    if out.suffix.lower() != ".json":
        raise ValueError(f"{shown(out)} cannot be written: name a file that ends in .json")
    if not p_real:
        raise ValueError("p_real names no probability: give some, such as [0, 0.5, 1]")
    check_backbone(backbone)
    place = find_device(device)
    features = make_extractor(extractor)
    sampler = load_sampler(checkpoint, place, trusted or ()).sampler
    if not sampler.num_classes:
        raise ValueError(
            f"{shown(checkpoint)} makes images without classes, and a classifier learns classes: give a model that "
            "has them"
        )
    channels, height, width = sampler.render(sampler.sample(1, seed=seed)).shape[1:]
    real, names = _read(train, sampler, (channels, height, width))
    held, _ = _read(test, sampler, (channels, height, width))
    Classifier(names, "classes", (height, width), 1 if channels < 3 and backbone == SMALL else 3, backbone).try_out()
    first = held_back_images(held.labels, 0.5, seed)
    fakes = _generate(sampler, generated, seed, batch_size)
    memorisation = {}
    if not isinstance(features, NoFeatures):
        memorisation = _memorisation(features.to(place), real, fakes, batch_size)
    every_seed = range(seed, seed + seeds)
    real, fakes, chosen_by, tested = (part.to(place) for part in (real, fakes, held.rows(first), held.rows(~first)))
    mixes = train_on_mixes(real, fakes, chosen_by, tested, names, p_real, backbone, every_seed, steps, batch_size)
    report = AugmentationReport(mixes, memorisation)
    settings = {
        "weights": fingerprint(sampler.network),
        "num_real": len(real.images),
        "num_test": int((~first).sum()),
        "generated": generated,
        "steps": steps,
        "batch_size": batch_size,
        "backbone": backbone,
        "seeds": list(every_seed),
    }
    content = {"settings": settings, **report.as_dict()}
    write_whole(out, lambda part: part.write_text(json.dumps(content, indent=2) + "\n"))
    write_figure(augmentation_figure(report, len(real.images)), out.with_suffix(".png"))
    print(_table(report))


def _read(folder: Path, sampler: Sampler, shape: tuple[int, int, int]) -> tuple[LabelledImages, tuple[str, ...]]:
    """Read a folder of labelled images at the model's size, with its numbers and names of the classes."""
    found = classes_of(folder)
    names = tuple(sampler.class_names) or tuple(found.names)
    if len(found.names) != sampler.num_classes or {*found.names} != {*names}:
        known = ", ".join(map(str, sampler.class_names[:20])) or f"{sampler.num_classes} without names"
        raise ValueError(
            f"{shown(folder)} has the classes {', '.join(found.names[:20])}, and the model has {known}: give "
            "images of the same classes"
        )
    numbers = torch.tensor([names.index(name) for name in found.names])
    images = as_channels(found.pixels(shape[1:], 3 if shape[0] > 1 else 1), shape[0])
    return LabelledImages(images, numbers[found.targets]), names


def _generate(sampler: Sampler, count: int, seed: int, batch_size: int) -> LabelledImages:
    images, labels = [], []
    made = GeneratedImages(sampler, count, seed, batch_size)
    for batch in tqdm(made, desc="generated images", total=-(-count // batch_size), disable=None):
        assert batch.labels is not None
        images.append(batch.images.cpu())
        labels.append(batch.labels.cpu())
    return LabelledImages(torch.cat(images), torch.cat(labels))


def _memorisation(
    extractor: FeatureExtractor, real: LabelledImages, fakes: LabelledImages, batch_size: int
) -> dict[str, float]:
    """Measure how far generated images are copies of real ones, on equally many of both."""
    count = min(len(real.images), len(fakes.images))
    metric = Authenticity(extractor.num_features)
    for images, is_real in ((real.images, True), (fakes.images[:count], False)):
        for part in tqdm(images.split(batch_size), desc="features", disable=None):
            metric.update(extractor(part.to(next(extractor.parameters()).device)), real=is_real)
    return {name: float(value) for name, value in metric.compute().items()}


def _table(report: AugmentationReport) -> str:
    """Return the accuracies as a table for people."""

    def spread(values: Sequence[float]) -> str:
        return (
            f"{100 * fmean(values):6.2f} ± {100 * stdev(values):.2f}" if len(values) > 1 else f"{100 * values[0]:6.2f}"
        )

    rows = ["p_real   validation %      test %"]
    rows += [f"{mix.p_real:6.3g}   {spread(mix.validation):<15}   {spread(mix.test)}" for mix in report.mixes]
    rows.append(f"the best p_real by validation is {report.best.p_real:g}: test {spread(report.best.test).strip()} %")
    if (only := next((mix for mix in report.mixes if mix.p_real == 1), None)) is not None:
        rows.append(f"real images only: test {spread(only.test).strip()} %")
    if report.memorisation:
        rows.append(", ".join(f"{name} {value:.3g}" for name, value in report.memorisation.items()))
    return "\n".join(rows)
