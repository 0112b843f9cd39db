"""Generated images beside the real ones nearest to them, to show whether the generator memorised its training set."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from gan_lightning.data.images import to_channels
from gan_lightning.evaluation.pictures.canvas import check_suffix, show_image, write_figure
from gan_lightning.evaluation.pictures.sets import open_images, with_features
from gan_lightning.evaluation.sources import FolderImages
from gan_lightning.inference.devices import Device, find_device
from gan_lightning.metrics.named import make_extractor
from gan_lightning.metrics.neighbours import nearest_neighbours
from gan_lightning.ranges import NonNegativeInt, PositiveInt, checked

SUSPICIOUS = 0.5  # ratio to the distance between real images, below which it is printed in bold
COPY = 0.01  # ratio to the mean distance between neighbours, below which two images are the same
INCHES, GAP, CAPTIONED, MARGIN, HEADINGS = 1.1, 0.25, 1.2, 0.25, 1.3  # of an image; in images; in inches
LETTERS = 14  # per inch


@dataclass(frozen=True)
class Neighbours:
    """R generated images and the k real images nearest to each, by features and by pixels, the most suspicious first.

    Args:
        fake: generated images, uint8 (R, C, H, W).
        suspicion: (R,), the distance to the nearest real image by features, divided by the distance from that real
            image to its own nearest neighbour among the real ones (or by the mean of such distances, if that neighbour
            is a copy). About 1: as far away as real images are; near 0: a copy.
        by_features: nearest real images by features, uint8 (R, k, C, H, W), nearest first.
        feature_distances: (R, k), Euclidean.
        by_pixels: nearest real images by pixels, uint8 (R, k, C, H, W), nearest first.
        pixel_distances: (R, k), root mean square difference of the pixels, in levels of 0 to 255.
    """

    fake: Tensor
    suspicion: Tensor
    by_features: Tensor
    feature_distances: Tensor
    by_pixels: Tensor
    pixel_distances: Tensor


def find_neighbours(
    fake: Tensor, real: Tensor, fake_features: Tensor, real_features: Tensor, k: int = 4, rows: int = 8
) -> Neighbours:
    """Return the `rows` most suspicious generated images with their nearest real images.

    Args:
        fake: generated images, uint8 (M, C, H, W).
        real: training images, uint8 (N, C, H, W), of the same shape; see `bring_to`.
        fake_features: features of the generated images, (M, d).
        real_features: features of the training images, (N, d), by the same extractor.
        k: number of real images shown for each generated one, in each space.
        rows: number of generated images chosen; all, if there are fewer.

    Raises:
        ValueError: there are no generated images, or fewer real ones than k or than 2, or all real ones have copies.
    """
    if len(fake) == 0 or len(real) < max(k, 2):
        raise ValueError(
            f"{k} nearest neighbours of a generated image among real ones need {max(k, 2)} real images or more, and 1 "
            f"generated one: there are {len(real)} real and {len(fake)} generated"
        )
    distances, indices = nearest_neighbours(fake_features, real_features, k)
    # the nearest neighbour of a real image in its own set is itself, or a copy of it
    apart = nearest_neighbours(real_features[indices[:, 0]], real_features, 2)[0][:, 1]
    typical = apart.mean()
    if typical == 0:
        raise ValueError(
            "each real image has a copy among the real ones, so there is no distance to compare with: remove the "
            "duplicates"
        )
    # the distance to a copy says nothing about how close different images come
    suspicion = distances[:, 0] / torch.where(apart < COPY * typical, typical, apart)
    chosen = suspicion.argsort(stable=True)[:rows]

    shown = fake[chosen]
    pixel_distances, pixel_indices = nearest_neighbours(shown.flatten(1), real.flatten(1), k)
    return Neighbours(
        fake=shown,
        suspicion=suspicion[chosen],
        by_features=real[indices[chosen]],
        feature_distances=distances[chosen],
        by_pixels=real[pixel_indices],
        pixel_distances=pixel_distances / shown[0].numel() ** 0.5,
    )


def bring_to(images: Tensor, shape: Sequence[int]) -> Tensor:
    """Resize uint8 images (N, C', H', W') to a `shape` (C, H, W), in grey or RGB, and return uint8 (N, C, H, W).

    The resize is bilinear and antialiased, without a crop.
    """
    channels, *size = shape
    images = to_channels(images, 1 if channels < 3 else 3)
    if list(images.shape[2:]) == size:
        return images
    return F.interpolate(images.float(), size, mode="bilinear", antialias=True).round_().to(torch.uint8)


def neighbour_figure(found: Neighbours) -> Figure:
    """Draw a row for each generated image: itself | its nearest real images by features | its nearest by pixels."""
    rows, k = found.feature_distances.shape
    widths = [1, GAP, *[1] * k, GAP, *[1] * k]
    width, height = INCHES * sum(widths), INCHES * CAPTIONED * rows
    figure = Figure(figsize=(width + 2 * MARGIN, height + HEADINGS + MARGIN))
    cells = figure.subplots(
        rows,
        len(widths),
        squeeze=False,
        width_ratios=widths,
        gridspec_kw={
            "left": MARGIN / figure.get_figwidth(),
            "right": 1 - MARGIN / figure.get_figwidth(),
            "bottom": MARGIN / figure.get_figheight(),
            "top": 1 - HEADINGS / figure.get_figheight(),
            "wspace": 0.08,
            "hspace": 0.25,
        },
    )
    for axes in cells.flat:
        axes.axis("off")
    for column, heading in (
        (0, "generated"),
        (2, "by features\n(distance)"),
        (k + 3, "by pixels\n(RMS, of 255)"),
    ):
        cells[0, column].set_title(heading, fontsize=10, loc="left")
    for row, line in enumerate(cells):
        ratio = float(found.suspicion[row])
        show_image(line[0], found.fake[row], f"ratio {ratio:.2f}", bold=ratio < SUSPICIOUS)
        for axes, image, distance in zip(line[2:], found.by_features[row], found.feature_distances[row], strict=False):
            show_image(axes, image, f"{distance:.3g}")
        for axes, image, distance in zip(line[k + 3 :], found.by_pixels[row], found.pixel_distances[row], strict=True):
            show_image(axes, image, f"{distance:.3g}")
    figure.text(
        MARGIN / figure.get_figwidth(),
        1 - MARGIN / figure.get_figheight(),
        textwrap.fill(
            "Generated images and the training images nearest to them, most suspicious first. ratio: distance by "
            "features to the nearest training image, over that image's own distance to its nearest (bold below "
            f"{SUSPICIOUS}; 0: a copy).",
            width=int(LETTERS * width),
        ),
        fontsize=9,
        va="top",
    )
    return figure


@checked
def plot_neighbours(
    real: Path,
    fake: Path,
    out: Path,
    extractor: str = "inception",
    num: PositiveInt = 1000,
    rows: PositiveInt = 8,
    k: PositiveInt = 4,
    seed: NonNegativeInt = 0,
    trusted: list[str] | str | None = None,
    device: Device = "auto",
) -> None:
    """Draw generated images beside the training images nearest to them, by features and by pixels.

    The picture shows the generated images that come closest to a training image, relative to how close training images
    come to each other. For pixels, training images are resized to the size of the generated ones, not cropped, and all
    of them are held in memory at that size.

    Args:
        real: Folder of the training images, in sub-folders of any depth; sizes may differ.
        fake: Folder of generated images, all of one size; or checkpoint (.ckpt), or exported folder, of a model
            that makes images from noise.
        out: The picture: .png, .pdf or .svg.
        extractor: Name of the feature extractor (`gan-lightning recipes` lists them).
        num: Number of generated images to search; a random subset if a folder holds more.
        rows: Number of generated images to show.
        k: Number of training images beside each, in either space.
        seed: Seed of the subset and of the generator's latents.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.
        device: Device of the networks. Auto: the GPU if there is one.

    Raises:
        ValueError: the images and the checkpoint do not fit together, or there are too few images.
        OSError: a file is missing or cannot be written.
    """
    check_suffix(out)
    place = find_device(device)
    network = make_extractor(extractor).to(place)
    fakes: list[Tensor] = []
    fake_features: list[Tensor] = []
    for batch, features in with_features(open_images(fake, num, seed, place, trusted), network, place, "generated"):
        images = bring_to(batch, batch.shape[1:])  # without alpha
        if fakes and images.shape[1:] != fakes[0].shape[1:]:
            raise ValueError(
                f"{fake} holds images of {_size(fakes[0])} and of {_size(images)} (channels x height x width): give "
                "generated images of one size"
            )
        fakes.append(images.cpu())
        fake_features.append(features.pooled.cpu())
    reals: list[Tensor] = []
    real_features: list[Tensor] = []
    for images, features in with_features(FolderImages(real), network, place, "real"):
        reals.append(bring_to(images, fakes[0].shape[1:]).cpu())
        real_features.append(features.pooled.cpu())
    found = find_neighbours(
        torch.cat(fakes), torch.cat(reals), torch.cat(fake_features), torch.cat(real_features), k, rows
    )
    write_figure(neighbour_figure(found), out)


def _size(images: Tensor) -> str:
    return "x".join(map(str, images.shape[1:]))
