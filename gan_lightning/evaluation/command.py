"""`gan-lightning evaluate REAL FAKE` and `gan-lightning recipes`."""

import hashlib
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.data.files import matched, write_whole
from gan_lightning.evaluation.cache import CACHE_VERSION, FeatureCache
from gan_lightning.evaluation.evaluator import Evaluator, MetricChoice
from gan_lightning.evaluation.recipes import FAMILIES, Recipe, find_recipe
from gan_lightning.evaluation.report import Report
from gan_lightning.evaluation.sources import FolderImages, GeneratedImages, Images, Loaded, load_sampler
from gan_lightning.export import is_trained
from gan_lightning.inference.devices import Device, find_device
from gan_lightning.metrics import FeatureMetric, Features, GeneratorMetric, TooFewSamplesError
from gan_lightning.metrics.named import EXTRACTORS, make_extractor
from gan_lightning.networks.growing import resolution
from gan_lightning.ranges import PositiveFloat, PositiveInt, checked
from gan_lightning.recording import describe

Fakes = FolderImages | Loaded


@checked
def evaluate(
    real: Path,
    fake: Path,
    recipe: str = "suitefull",
    metrics: list[MetricChoice] | None = None,
    seeds: PositiveInt = 1,
    labelled: bool = False,
    size: tuple[PositiveInt, PositiveInt] | None = None,
    truncation: PositiveFloat | None = None,
    weights: Path | None = None,
    download: bool = False,
    trusted: list[str] | str | None = None,
    batch_size: PositiveInt = 64,
    device: Device = "auto",
    cache_dir: Path | None = None,
    json: Path | None = None,
) -> None:
    """Compare generated images with real ones, and print the numbers together with how they were made.

    Real features are kept on disk and used again as long as neither the images nor the extractor change. A metric that
    needs more images than there are is left out with a note. Metrics of pairs compare each generated image with the
    real image of the same relative path; the suffixes may differ.

    Args:
        real: Folder of real images, in sub-folders of any depth; sizes may differ.
        fake: Folder of generated images, or a model that makes images from noise: a checkpoint (.ckpt), a run's folder
            (its best checkpoint), or an export.
        recipe: METRICS NUMBER [_SPLIT] [@EXTRACTOR], such as fid50k_train or suite2000@digits (`gan-lightning
            recipes` lists them). From a folder with more images than NUMBER, a random subset is taken; `full` takes
            all. For a checkpoint, `full` generates as many images as REAL has. SPLIT only states which split REAL is.
        metrics: Metrics in place of the recipe's: classes from gan_lightning.metrics, with settings as in a config. The
            recipe's number, split and extractor still apply.
        seeds: Number of evaluations, for mean and standard deviation. Seed 0, 1, ... draws other latents for a
            checkpoint, and another subset of a folder that holds more than NUMBER images. The random draws of a metric
            (subsets, splits) use the metric's own seed in the first evaluation, and the next integer in each further
            one.
        labelled: The sub-folders of REAL are classes. FAKE has the same sub-folders, or its model the same number of
            classes.
        size: Height and width to which all images of folders are resized first, as training does by default (bicubic,
            cut to the middle): [64, 64]. Null: images keep their sizes.
        truncation: Largest magnitude of a latent's component, for a checkpoint. Null: latents are not truncated.
        weights: File of the extractor's weights. Null: the extractor's default place.
        download: Download the extractor's weights if they are missing.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.
        batch_size: Number of images that pass through the networks at a time.
        device: Device of networks and metrics. Auto: the GPU if there is one.
        cache_dir: Folder for real features. Null: the environment variable GAN_LIGHTNING_CACHE, or else
            ~/.cache/gan_lightning.
        json: File to write the numbers to.

    Raises:
        ValueError: the images, the checkpoint and the recipe do not fit together, or no metric can be computed.
        OSError: a file is missing or cannot be written.
    """
    started = time.perf_counter()
    if not is_trained(fake) and not fake.exists():
        raise FileNotFoundError(f"there is no {fake}: name a folder of generated images, or a checkpoint")
    chosen = find_recipe(recipe)
    place = find_device(device)
    every_real = FolderImages(real, batch_size, labelled, size)
    fakes: Fakes = (
        load_sampler(fake, place, trusted or ()) if is_trained(fake) else FolderImages(fake, batch_size, labelled, size)
    )
    num_real, num_fake = _counts(chosen, every_real, fakes)
    reals = every_real.draw(num_real, seed=0)  # the same subset for all seeds

    choices = chosen.metrics if metrics is None else metrics
    if not choices:
        raise ValueError("metrics names none: name one or more, or leave it out for the recipe's")
    evaluator = Evaluator(make_extractor(chosen.extractor, weights, download), choices).to(place)
    _check(evaluator, reals, fakes, fake, truncation)
    partners = dict(zip(*matched(fake, real), strict=True)) if evaluator.compares_pairs else {}
    _feed_reals(evaluator, reals, FeatureCache(cache_dir), place)

    values: dict[str, list[float]] = {}
    left_out: list[str] = []
    before: Images | None = None
    features: Sequence[Features] | None = None
    for seed in range(seeds):
        images: Images = (
            fakes.draw(num_fake, seed)
            if isinstance(fakes, FolderImages)
            else GeneratedImages(fakes.sampler, num_fake, seed, batch_size, truncation)
        )
        features = _take_in(evaluator, images, False, place, known=features if images is before else None)
        before = images
        if isinstance(images, GeneratedImages):
            evaluator.probe(images.sampler)
        elif evaluator.compares_pairs:
            _compare(evaluator, images, every_real.only([partners[file] for file in images.files]), place)
        left_out.clear()
        for name, value in evaluator.compute(lambda error: left_out.append(str(error))).items():
            values.setdefault(name, []).append(float(value))
        evaluator.reset(keep_real=True)
        for metric in evaluator.metrics:
            if "seed" in vars(metric):
                vars(metric)["seed"] += 1
    if not values:
        raise TooFewSamplesError("; ".join(left_out))

    report = Report(
        recipe=chosen.name if metrics is None else f"{chosen.name}, its metrics replaced",
        extractor=type(evaluator.extractor).__name__,
        fingerprint=evaluator.extractor.fingerprint,
        preprocessing=evaluator.extractor.preprocessing,
        real=str(real),
        fake=str(fake),
        num_real=num_real,
        num_fake=num_fake,
        seeds=list(range(seeds)),
        values=values,
        seconds=time.perf_counter() - started,
        settings={
            "metrics": describe(list(choices)),
            "left_out": left_out,
            "real_fingerprint": reals.fingerprint,
            "labelled": labelled,
            "size": size,
            "truncation": truncation,
            "images_seen": None if isinstance(fakes, FolderImages) else fakes.images_seen,
            "resolution": None if isinstance(fakes, FolderImages) else resolution(fakes.sampler.network),
            "batch_size": batch_size,
            "precision": "32-true",
            "device": str(place),
            "torch": torch.__version__,
        },
    )
    print(report.table())
    for reason in left_out:
        print(f"note: left out: {reason}", file=sys.stderr)
    if json is not None:
        write_whole(json, lambda path: path.write_text(report.as_json() + "\n"))


def recipes() -> None:
    """List the parts of a recipe's name: metrics, numbers of images, splits, extractors."""
    extractors = {f"@{name}": summary for name, summary in EXTRACTORS.items()}
    metrics = {name: f"{family.summary} (@{family.extractor})" for name, family in FAMILIES.items()}
    width = max(map(len, [*extractors, *metrics]))
    print("METRICS NUMBER [_SPLIT] [@EXTRACTOR]: fid50k_train, fid+kid10k_test, suite2000@digits, ...")
    for title, entries in (
        ("METRICS, or several joined by +; in brackets the extractor that they were published with", metrics),
        ("NUMBER of generated images", {"50k, 2000": "this number", "full": "all that there are"}),
        (
            "SPLIT of the references",
            {"_train": "the images of the training; the default", "_test": "other images"},
        ),
        ("EXTRACTOR of features; by default the published one", extractors),
    ):
        print(f"\n{title}", *(f"  {name:{width}}  {text}" for name, text in entries.items()), sep="\n")


def _counts(recipe: Recipe, reals: FolderImages, fakes: Fakes) -> tuple[int, int]:
    """Return the numbers of real and of generated images to compare: the recipe's, or all there are for `full`."""
    drawn_from = [reals] if recipe.num_real else []
    drawn_from += [fakes] if isinstance(fakes, FolderImages) else []
    for images in drawn_from:
        if recipe.num_fake and recipe.num_fake > len(images):
            fitting = min(map(len, drawn_from))
            number = str(fitting) if fitting % 1000 else f"{fitting // 1000}k"
            raise ValueError(
                f"{images.folder} has only {len(images):,} images, and {recipe.name} takes {recipe.num_fake:,}: "
                f"use --recipe {re.sub('[0-9]+k?', number, recipe.name, count=1)}"
            )
    every = fakes if isinstance(fakes, FolderImages) else reals
    return recipe.num_real or len(reals), recipe.num_fake or len(every)


def _check(evaluator: Evaluator, reals: FolderImages, fakes: Fakes, fake: Path, truncation: float | None) -> None:
    """Raise ValueError where the arguments do not fit together."""
    if evaluator.metrics_of_outputs:
        raise ValueError(
            "metrics of shapes compare voxels, which `gan-lightning validate` does, and not images: leave `shapes` and "
            "`iou` out"
        )
    if evaluator.metrics_of_styles:
        raise ValueError(
            "metrics of styles compare several translations of one source, which `gan-lightning validate` makes: leave "
            "`styles` and `cis` out"
        )
    if evaluator.asks_likelihoods:
        raise ValueError(
            "likelihoods are those of a model's real images, which `gan-lightning validate` measures: leave `nll` out"
        )
    if isinstance(fakes, FolderImages):
        if truncation is not None:
            raise ValueError(f"--truncation is for a checkpoint's latents, and {fake} is a folder: leave it out")
        for metric in evaluator.metrics:
            if isinstance(metric, GeneratorMetric):
                raise ValueError(
                    f"{type(metric).__name__} probes a generator, and {fake} is a folder of images: give a checkpoint, "
                    "or leave it out"
                )
    elif evaluator.compares_pairs:
        raise ValueError(
            f"metrics of pairs compare images of equal names, and {fake} is a checkpoint: leave them out, or give a "
            "folder"
        )
    if reals.classes is None:
        return
    if not isinstance(fakes, FolderImages):
        known = fakes.sampler.num_classes if fakes.sampler.kind == "class" else 0
        if known != len(reals.classes):
            raise ValueError(
                f"{reals.folder} has {len(reals.classes)} classes, and the model of {fake} knows {known}: "
                "give the folder of its training images, or set --labelled false"
            )
    elif alone := set(reals.classes) ^ set(fakes.classes or ()):
        raise ValueError(
            f"{reals.folder} and {fake} must have the same sub-folders, their classes; only one of them has "
            f"{', '.join(sorted(alone)[:5])}"
        )


def _feed_reals(evaluator: Evaluator, images: FolderImages, cache: FeatureCache, device: torch.device) -> None:
    """Give the real images to all metrics, with features from the cache if they are there."""
    extractor = evaluator.extractor
    name = hashlib.sha256(f"{CACHE_VERSION} {images.fingerprint} {extractor.fingerprint}".encode()).hexdigest()
    kept = cache.load(name, extractor)
    features = _take_in(evaluator, images, True, device, known=None if kept is None else [kept])
    if kept is None and features:
        cache.save(name, features)


def _take_in(
    evaluator: Evaluator,
    images: Images,
    real: bool,
    device: torch.device,
    known: Sequence[Features] | None,
) -> Sequence[Features]:
    """Give images to all metrics and return their features on the CPU.

    The features are `known` ones if given, or else computed here if any metric needs them.
    """
    if not any(isinstance(metric, FeatureMetric) for metric in evaluator.metrics):
        known = ()
    computed: list[Features] = []
    for features in known or ():
        evaluator.feed(features.to(device), real)
    if known is None or evaluator.looks_at_images:
        with tqdm(total=len(images), desc="real" if real else "generated", unit="image", disable=None) as bar:
            for batch in images:
                pixels = batch.images.to(device)
                labels = None if batch.labels is None else batch.labels.to(device)
                if known is None:
                    features = evaluator.features(pixels, labels, bar.update)
                    evaluator.feed(features, real)
                    computed.append(features.to("cpu"))
                else:
                    bar.update(len(pixels))
                evaluator.show(pixels, real, labels)
    return computed if known is None else known


def _compare(evaluator: Evaluator, fakes: FolderImages, targets: FolderImages, device: torch.device) -> None:
    """Give generated images and their targets, in the same order, to the metrics of pairs."""
    files = zip(fakes.files, targets.files, strict=True)
    pixels = zip(fakes.decoded(), targets.decoded(), strict=True)
    pairs = tqdm(zip(files, pixels, strict=True), total=len(fakes), desc="pairs", unit="pair", disable=None)
    for (file, partner), (fake, target) in pairs:
        if fake.shape[1:] != target.shape[1:]:
            (height, width), (high, wide) = fake.shape[1:], target.shape[1:]
            raise ValueError(
                f"{file} has {height}x{width} pixels and {partner} {high}x{wide}, but pairs are compared at one size: "
                f"resize all images, as by --size [{high},{wide}]"
            )
        evaluator.compare(fake[None].to(device), target[None].to(device))
