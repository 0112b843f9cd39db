"""Scatter plots of a few features of real and generated images, each feature against another."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure
from pandas import DataFrame, concat
from seaborn import move_legend, pairplot
from torch import Tensor

from gan_lightning.evaluation.pictures.canvas import FAKE_COLOUR, REAL_COLOUR, check_suffix, write_figure
from gan_lightning.evaluation.pictures.sets import open_images, pooled_features
from gan_lightning.inference.devices import Device, find_device
from gan_lightning.metrics.named import make_extractor
from gan_lightning.ranges import NonNegativeInt, PositiveInt, checked

SHOWN = 3  # number of features, if none are named
MOST_POINTS = 2000  # of each set; with more, points hide one another


def most_different(real: Tensor, fake: Tensor, count: int) -> list[int]:
    """Return the features, of real (N, d) and generated (M, d) images, whose distributions differ most.

    The difference is (μ - μ')² + (σ - σ')², the Fréchet distance of each feature alone: its contribution to FID.
    """
    means = real.double().mean(dim=0) - fake.double().mean(dim=0)
    deviations = real.double().std(dim=0, correction=0) - fake.double().std(dim=0, correction=0)
    return (means.square() + deviations.square()).topk(min(count, real.shape[1])).indices.tolist()


def pair_figure(real: Tensor, fake: Tensor, features: Sequence[int] | None = None, seed: int = 0) -> Figure:
    """Draw every pair of some features as a scatter plot, with each feature's density on the diagonal.

    Args:
        real: features (N, d) of real images.
        fake: features (M, d) of generated ones.
        features: indices of the features to show. None = the three that differ most (`most_different`).
        seed: seed of the choice of points, at most 2,000 of each set, and of their order, so that neither set covers
            the other.

    Raises:
        ValueError: a set is empty, the two differ in width, or there is no such feature.
    """
    if real.shape[1:] != fake.shape[1:] or 0 in (*real.shape, *fake.shape):
        raise ValueError(
            f"a pair plot needs features of real and of generated images by one extractor, and was given "
            f"{tuple(real.shape)} and {tuple(fake.shape)}"
        )
    width = real.shape[1]
    features = most_different(real, fake, SHOWN) if features is None else features
    if wrong := [feature for feature in features if not 0 <= feature < width]:
        raise ValueError(f"there is no feature {wrong[0]}: the extractor has {width}, numbered from 0")
    rng = np.random.default_rng(seed)
    sets = []
    for name, values in (("real", real), ("generated", fake)):
        chosen = rng.permutation(len(values))[:MOST_POINTS]
        columns = {f"feature {feature}": values[chosen, feature].cpu().numpy() for feature in features}
        sets.append(DataFrame(columns).assign(images=name))
    shuffled = concat(sets).sample(frac=1, random_state=seed)
    grid = pairplot(
        shuffled,
        hue="images",
        hue_order=["real", "generated"],
        palette=[REAL_COLOUR, FAKE_COLOUR],
        corner=True,
        diag_kind="hist",
        plot_kws={"s": 9, "alpha": 0.4, "linewidth": 0},
        diag_kws={"stat": "density", "common_norm": False, "element": "step", "bins": 40},
    )
    for axes in grid.diag_axes:
        axes.set_yscale("log")  # many features are mostly 0, and differ where they are not
    move_legend(grid, "upper right", bbox_to_anchor=(0.97, 0.97), markerscale=3, title="on the diagonal: log density")
    grid.figure.tight_layout()
    pyplot.close(grid.figure)  # the figure belongs to the caller, not to a window
    return grid.figure


@checked
def plot_pairs(
    real: Path,
    fake: Path,
    out: Path,
    features: list[NonNegativeInt] | None = None,
    extractor: str = "inception",
    num: PositiveInt = MOST_POINTS,
    seed: NonNegativeInt = 0,
    trusted: list[str] | str | None = None,
    device: Device = "auto",
) -> None:
    """Draw real and generated images as points in feature space: a scatter plot of each pair of some features.

    Args:
        real: Folder of real images, in sub-folders of any depth; sizes may differ.
        fake: Folder of generated images, or the checkpoint (.ckpt) of a model that makes images from noise.
        out: The picture: .png, .pdf or .svg.
        features: Indices of the features to show, from 0. Null: the three that differ most.
        extractor: Name of the feature extractor (`gan-lightning recipes` lists them).
        num: Number of images of each set; a random subset if a folder holds more.
        seed: Seed of all random choices and of the generator's latents.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.
        device: Device of the networks. Auto: the GPU if there is one.

    Raises:
        ValueError: the images, the checkpoint and the features do not fit together.
        OSError: a file is missing or cannot be written.
    """
    check_suffix(out)
    if features is not None and not features:
        raise ValueError("--features is empty: name one or more by their numbers, or leave it out")
    place = find_device(device)
    network = make_extractor(extractor).to(place)
    reals, fakes = (
        pooled_features(open_images(path, num, seed, place, trusted), network, place, name)
        for path, name in ((real, "real"), (fake, "generated"))
    )
    write_figure(pair_figure(reals, fakes, features, seed), out)
