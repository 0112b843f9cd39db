"""Images, and outputs of other kinds, by their names, in batches."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.inference import ImageName, Sampler
from gan_lightning.inference.pixels import checked_pixels
from gan_lightning.latent.spaces import LatentSpace


def make_images(
    sampler: Sampler,
    names: Sequence[ImageName],
    classes: Sequence[int] | None = None,
    truncation: float | None = None,
    psi: float = 1.0,
    batch_size: int = 64,
    cutoff: int | None = None,
) -> Iterator[Tensor]:
    """Make images by their names, and yield them in batches, uint8 (n, C, H, W); arguments are those of `make_outputs`.

    Raises:
        ValueError: the model has no classes, or no styles for psi; or it makes NaN or infinite pixels.
    """
    for outputs in make_outputs(sampler, names, classes, truncation, psi, batch_size, cutoff):
        yield checked_pixels(sampler.render(outputs))


def make_outputs(
    sampler: Sampler,
    names: Sequence[ImageName],
    classes: Sequence[int] | None = None,
    truncation: float | None = None,
    psi: float = 1.0,
    batch_size: int = 64,
    cutoff: int | None = None,
) -> Iterator[Tensor]:
    """Make outputs by their names, and yield them in batches, float32 (n, ...), of the kind that the model makes.

    Output k of seed s is the same in any list and batch, up to the rounding of sums.

    Args:
        sampler: the model's sampler.
        names: of the images.
        classes: class of each image. None = image k of a conditional model has class k modulo the number of classes.
        truncation: largest magnitude of a component of z, see `gan_lightning.inference.Prior.draw`.
        psi: truncation of styles, see `LatentSpace`.
        batch_size: number of images that pass through the network at a time.
        cutoff: number of layers whose styles psi truncates, see `LatentSpace`.

    Raises:
        ValueError: the model has no classes, or no styles for psi.
    """
    if classes is not None and not sampler.num_classes:
        raise ValueError("classes are given, and this model makes images without classes: leave them out")
    space = None if psi == 1 else LatentSpace(sampler, psi=psi, batch_size=batch_size, cutoff=cutoff)
    with tqdm(total=len(names), desc="images", unit="image", disable=None) as bar:
        for start in range(0, len(names), batch_size):
            part = names[start : start + batch_size]
            labels = None if classes is None else torch.tensor(classes[start : start + batch_size])
            if space is not None:
                yield space.make(part, labels, truncation)
            else:
                yield sampler.make(part, labels, truncation)
            bar.update(len(part))
