"""Perceptual distances by name, for the command line."""

import warnings
from collections.abc import Callable
from typing import Literal

from torch import nn
from torchmetrics.utilities import rank_zero_info

from gan_lightning.extractors.digits import DigitClassifier
from gan_lightning.extractors.efficientnet import EfficientNetLite0
from gan_lightning.metrics.perceptual import LPIPS, PerceptualDistance

DistanceName = Literal["auto", "none", "lpips", "efficientnet_lite0", "digits"]
"""lpips = LPIPS of VGG16; efficientnet_lite0 and digits = unit-length features of the first layers of these extractors;
auto = the first of lpips and efficientnet_lite0 whose weights are there, else none."""


def make_distance(name: DistanceName, smallest: int) -> PerceptualDistance | None:
    """Make a perceptual distance by its name.

    Args:
        name: see `DistanceName`. "auto" says on standard error which one it takes.
        smallest: the shorter side of the images to compare, in pixels.

    Returns:
        The distance. None = there is none.

    Raises:
        FileNotFoundError: there is no file of weights.
        ModuleNotFoundError: a package that it needs is missing.
        ValueError: its network needs larger images.
    """
    if name == "auto":
        return _best_distance(smallest)
    if name == "none":
        return None
    distance = _MAKERS[name]()
    if smallest < distance.features.smallest:
        side = distance.features.smallest
        raise ValueError(
            f"the perceptual distance {name!r} needs images of at least {side}x{side} pixels, and these have sides of "
            f"{smallest}: take another, or none"
        )
    return distance


def _best_distance(smallest: int) -> PerceptualDistance | None:
    for name in ("lpips", "efficientnet_lite0"):
        try:
            distance = make_distance(name, smallest)
        except (FileNotFoundError, ModuleNotFoundError, ValueError):
            continue
        rank_zero_info(f"perceptual distance: {name}")
        return distance
    rank_zero_info("perceptual distance: none, since no network's weights are there, or the images are too small")
    return None


def _lpips() -> PerceptualDistance:
    return LPIPS("vgg")


def _efficientnet() -> PerceptualDistance:
    """Compare the outputs of strides 2, 4 and 8; the network sees (pixel - 127) / 128."""
    layers = ["_swish", "_blocks.2.add", "_blocks.4.add"]
    with warnings.catch_warnings():  # of training mode, which is never entered
        warnings.simplefilter("ignore", UserWarning)
        return PerceptualDistance(
            EfficientNetLite0().network, layers, mean=(-0.5 / 127.5,), std=(128 / 127.5,), smallest=16
        )


def _digits() -> PerceptualDistance:
    """Compare the outputs of both convolutions, which see the mean of the colours in [0, 1], at any size."""
    network = DigitClassifier().network
    first = nn.Conv2d(3, network.conv1.out_channels, 5)
    first.weight = nn.Parameter(network.conv1.weight.expand(-1, 3, -1, -1) / 3)
    first.bias = network.conv1.bias
    layers = nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(2), network.conv2, nn.ReLU())
    return PerceptualDistance(layers, ["1", "4"], mean=(-1.0,), std=(2.0,), smallest=14)


_MAKERS: dict[str, Callable[[], PerceptualDistance]] = {
    "lpips": _lpips,
    "efficientnet_lite0": _efficientnet,
    "digits": _digits,
}
