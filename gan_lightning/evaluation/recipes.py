"""Recipes: the settings of a metric, by name.

`fid50k_train` is the FID of 50,000 generated images against the whole training split; `kid10k_test` the KID of 10,000
against the test split; `fid50k_train@dinov2_vitl14` the Fréchet distance over DINOv2's features. A name is

    METRICS NUMBER [_SPLIT] [@EXTRACTOR]

METRICS is a key of `FAMILIES` (`gan-lightning recipes` prints them), or several joined by "+". NUMBER is the
number of generated images ("50k" or "2000"; "full" = as many as there are references). SPLIT is "train" (the default)
or "test". EXTRACTOR is a name that `gan_lightning.metrics.make_extractor` knows (the default is the published one).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from gan_lightning.evaluation.evaluator import MetricChoice
from gan_lightning.metrics import (
    L1,
    PSNR,
    SSIM,
    Authenticity,
    ClassificationAccuracy,
    ClasswiseFID,
    ConditionalInceptionScore,
    DensityCoverage,
    FeatureDistance,
    FeatureMetric,
    FIDInfinity,
    FrechetInceptionDistance,
    GeneratorMetric,
    ImageMetric,
    InceptionScore,
    InceptionScoreInfinity,
    KernelInceptionDistance,
    LPIPSDiversity,
    ModesCovered,
    MultiScaleSSIM,
    NegativeLogLikelihood,
    OutputMetric,
    PairedLPIPS,
    PairMetric,
    PerceptualPathLength,
    PixelDistance,
    PrecisionRecall,
    RPrecision,
    ShapeDistances,
    ShapeIoU,
    SlicedWasserstein,
    StyleDiversity,
    StyleMetric,
)

Split = Literal["train", "test"]

SUITE: tuple[Callable[[int], FeatureMetric], ...] = (
    FrechetInceptionDistance,
    InceptionScore,
    KernelInceptionDistance,
    PrecisionRecall,
)


@dataclass(frozen=True)
class Family:
    """The part of a recipe that its METRICS determine, for any number of images.

    Args:
        summary: a description in one line.
        of_features: classes or functions that make a metric for a width of the features.
        others: functions that make the metrics of images, of pairs, of styles, of outputs, or of the generator.
        extractor: name of the extractor that the metrics were published with; "none" if they need no features.
        equal: compare with as many references as generated images. Otherwise, compare with the whole split.
    """

    summary: str
    of_features: tuple[Callable[[int], FeatureMetric], ...] = ()
    others: tuple[
        Callable[[], ImageMetric | PairMetric | StyleMetric | OutputMetric | GeneratorMetric | NegativeLogLikelihood],
        ...,
    ] = ()
    extractor: str = "none"
    equal: bool = False


def _inception(summary: str, *metrics: Callable[[int], FeatureMetric], extractor: str = "inception") -> Family:
    return Family(summary, metrics, extractor=extractor)


FAMILIES: dict[str, Family] = {
    "suite": _inception("FID, IS, KID, precision and recall in one pass over one extractor", *SUITE),
    "fid": _inception("Fréchet inception distance", FrechetInceptionDistance),
    "cleanfid": _inception("FID with clean-fid's resize", FrechetInceptionDistance, extractor="clean_inception"),
    "classfid": _inception("FID of each class, averaged (intra-FID); needs labels", ClasswiseFID),
    "fidinf": _inception("FID extrapolated to infinitely many images", FIDInfinity),
    "fd_dino": _inception("Fréchet distance over DINOv2", FrechetInceptionDistance, extractor="dinov2_vitl14"),
    "is": _inception("inception score, 10 splits", InceptionScore),
    "isinf": _inception("inception score extrapolated to infinitely many images", InceptionScoreInfinity),
    "kid": _inception("kernel inception distance, 100 subsets of 1,000", KernelInceptionDistance),
    "kid_all": _inception(
        "KID over all images at once, for sets of fewer than 1,000", partial(KernelInceptionDistance, subset_size=None)
    ),
    "pr": Family("improved precision and recall, k = 3", (PrecisionRecall,), extractor="vgg16", equal=True),
    "dc": Family("density and coverage, k = 5", (DensityCoverage,), extractor="vgg16", equal=True),
    "distance": _inception("distance to the nearest real image, and diversity, in features", FeatureDistance),
    "authenticity": _inception("memorisation: share of images that are not copies of real ones", Authenticity),
    "rprecision": _inception("whether images of captions find them again among 100 (R-precision)", RPrecision),
    "modes": _inception("number of classes that are generated", ModesCovered, extractor="digits"),
    "pixels": Family("distance to the nearest real image, and diversity, in pixels", others=(PixelDistance,)),
    "swd": Family("sliced Wasserstein distance of Laplacian patches", others=(SlicedWasserstein,), equal=True),
    "msssim": Family("MS-SSIM between random pairs, beside that of real images", others=(MultiScaleSSIM,)),
    "lpips": Family("LPIPS between random pairs, beside that of real images", others=(LPIPSDiversity,)),
    "paired": Family("PSNR, SSIM and L1 between each image and its target", others=(PSNR, SSIM, L1)),
    "lpips_pairs": Family("LPIPS between each image and its target", others=(PairedLPIPS,)),
    "styles": Family(
        "perceptual distance between outputs for one source in different styles", others=(StyleDiversity,)
    ),
    "cis": Family(
        "conditional inception score: the classes of outputs for one source in different styles",
        others=(ConditionalInceptionScore,),
        extractor="inception",
    ),
    "sr": Family(
        "PSNR and SSIM of pairs as for super-resolution by 4: Y channel, a border of 4 pixels left out",
        others=(partial(PSNR, "y", border=4), partial(SSIM, "y", border=4)),
    ),
    "shapes": Family(
        "minimum matching distance, coverage and 1-NN accuracy of shapes, by IoU and by Chamfer distance",
        others=(partial(ShapeDistances, "iou"), partial(ShapeDistances, "chamfer")),
        equal=True,
    ),
    "iou": Family("IoU of each shape with its target", others=(ShapeIoU,)),
    "cas": Family("classification accuracy score: train on fakes, test on reals", others=(ClassificationAccuracy,)),
    "nll": Family("-log p of real images, of models with a likelihood", others=(NegativeLogLikelihood,)),
    "ppl_z": Family("perceptual path length in z", others=(partial(PerceptualPathLength, "z"),)),
    "ppl_w": Family("perceptual path length in w", others=(partial(PerceptualPathLength, "w"),)),
}

_NAME = re.compile(r"(?P<families>[a-z_+]+?)(?P<number>\d+k?|full)(_(?P<split>train|test))?(@(?P<extractor>.+))?")


@dataclass(frozen=True)
class Recipe:
    """The settings that belong to a number, beside its value.

    Args:
        name: as in the module's docstring.
        metrics: the metrics to compute.
        extractor: name of the feature extractor.
        split: the split of the data that serves as reference. None = any.
        num_fake: number of generated images. None = as many as references.
        num_real: number of reference images, a random subset that is always the same. None = the whole split.
    """

    name: str
    metrics: tuple[MetricChoice, ...]
    extractor: str
    split: Split | None = None
    num_fake: int | None = None
    num_real: int | None = None


def find_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        ValueError: there is no such recipe. The error lists the form of names and the metrics.
        FileNotFoundError: a metric needs a network whose weights are missing.
    """
    match = _NAME.fullmatch(name)
    names = match["families"].split("+") if match else []
    if match is None or not set(names) <= FAMILIES.keys() or set(match["number"]) <= {*"0k"}:
        raise ValueError(
            f"no recipe is named {name!r}: a name is METRICS NUMBER [_train|_test] [@EXTRACTOR], such as fid50k_train, "
            f"fid+kid10k_test or suite2k_test@digits; the metrics are {', '.join(FAMILIES)}"
        )
    families, number = [FAMILIES[name] for name in names], match["number"]
    published = sorted({family.extractor for family in families} - {"none"})
    extractors = [match["extractor"]] if match["extractor"] else published
    if len(extractors) > 1:
        raise ValueError(
            f"the metrics of {name!r} were published with several extractors, and a recipe has one: name it, as in "
            f"{name}@{extractors[0]}"
        )
    count = None if number == "full" else int(number.removesuffix("k")) * (1000 if number.endswith("k") else 1)
    return Recipe(
        name=name,
        metrics=(
            *(make for family in families for make in family.of_features),
            *(make() for family in families for make in family.others),
        ),
        extractor=extractors[0] if extractors else "none",
        split="test" if match["split"] == "test" else "train",
        num_fake=count,
        num_real=count if any(family.equal for family in families) else None,
    )
