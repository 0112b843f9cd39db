"""Mixtures of styles: some layers have the styles of one image, and the others those of another.

Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2018, arXiv 1812.04948,
section 3.1 and figure 3.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_lightning.inference import ImageName
from gan_lightning.latent.output import check_size
from gan_lightning.latent.sheets import SMALLEST, sheet
from gan_lightning.latent.spaces import LatentSpace


def check_layers(space: LatentSpace, layers: Sequence[int] | None) -> list[int]:
    """Return numbers of layers of a model with styles, from 0; None = the finer half of them.

    Raises:
        ValueError: the model has no styles, or one for all layers, or not these layers.
    """
    sampler = space.sampler
    network, count = type(sampler.network).__name__, sampler.num_styles
    if space.name != "w":
        raise ValueError(f"{network} has no styles that could be mixed: give a model with a space w, such as StyleGAN")
    if count == 1:
        raise ValueError(f"{network} has one style for all of its layers, so that nothing can be mixed")
    if layers is None:
        return list(range(count // 2, count))
    if wrong := [layer for layer in layers if layer not in range(count)]:
        raise ValueError(f"{network} has no layer {wrong[0]}: its layers with styles are 0 to {count - 1}")
    return list(layers)


def mixed(space: LatentSpace, coarse: Tensor, fine: Tensor, layers: Sequence[int]) -> Tensor:
    """Return styles that are those of `fine` in these layers, and those of `coarse` in all others.

    Args:
        space: the space w of a model whose layers can have different styles.
        coarse: styles (N, d) or (N, L, d).
        fine: as many.
        layers: numbers from 0.

    Returns:
        (N, L, d).
    """
    first, second = space.sampler.each_layer(coarse), space.sampler.each_layer(fine)
    chosen = torch.zeros(first.shape[1], dtype=torch.bool, device=first.device)
    chosen[list(layers)] = True
    return torch.where(chosen[:, None], second, first)


def mixing_sheet(
    space: LatentSpace,
    rows: Sequence[ImageName],
    columns: Sequence[ImageName],
    layers: Sequence[int] | None = None,
    label: int | None = None,
    truncation: float | None = None,
) -> Tensor:
    """Draw the mixtures of each image of the rows with each of the columns, uint8 (3, H, W).

    The images themselves stand at the left and above. Each mixture has the noise of its row.

    Args:
        space: the space w of a model whose layers can have different styles.
        rows: the images that give the styles of all other layers: the coarse ones, if `layers` are the last.
        columns: the images that give the styles of `layers`: the fine ones.
        layers: numbers from 0. None = the finer half.
        label: class of all images. None = as in `LatentSampler.classes_of`.
        truncation: in z, see `gan_lightning.inference.Prior.draw`.

    Raises:
        ValueError: the model's layers have no styles of their own, or the picture would be too large.
    """
    layers = check_layers(space, layers)
    check_size((len(rows) + 1) * SMALLEST, (len(columns) + 1) * SMALLEST)
    names = [*rows, *columns]
    labels = space.sampler.classes_of(names)
    labels = labels if labels is None or label is None else torch.full_like(labels, label)
    points = space.sampler.each_layer(space.points(names, labels, truncation))
    coarse, fine = points[: len(rows)], points[len(rows) :]
    pairs = mixed(space, coarse.repeat_interleave(len(columns), 0), fine.repeat(len(rows), 1, 1), layers)
    noise = [*names, *(name for name in rows for _ in columns)]
    classes = None if labels is None else torch.cat([labels, labels[: len(rows)].repeat_interleave(len(columns))])
    images = torch.cat(list(space.images(torch.cat([points, pairs]), noise, classes)))
    left, above, made = images.split([len(rows), len(columns), len(pairs)])
    cells = [[None, *above], *([image, *line] for image, line in zip(left, made.split(len(columns)), strict=True))]
    return sheet(cells, ["", *map(str, columns)], ["", *map(str, rows)])
