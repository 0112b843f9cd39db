"""Images to start from or to go between: images of seeds, images in files, and latents of images inverted before.

Seeds are named as in `gan_lightning.latent.names`. A word that begins with @ is a path: of an image, of a folder of
images, or of a file that `gan-lightning invert` wrote, which all its images are taken of, or some:
`3,@me.jpg,@photos,@latents.safetensors,@latents.safetensors:0-2`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.data.files import Page, pages, pages_of, read_image, shown
from gan_lightning.data.images import fit_image
from gan_lightning.inference import ImageName
from gan_lightning.latent.inversion import Inversion, invert
from gan_lightning.latent.names import image_names
from gan_lightning.latent.points import SavedPoints
from gan_lightning.latent.spaces import LatentSpace

_SAVED = re.compile(r"(?P<file>.*\.safetensors)(?::(?P<places>[\d\s-]+))?", re.IGNORECASE | re.DOTALL)


class OwnImages(NamedTuple):
    """Images of the user: a path to an image, a folder or a file of latents."""

    path: Path
    places: tuple[int, ...] | None = None  # in a file of latents, from 0. None = all


End = ImageName | OwnImages
Inverter = Callable[[Tensor, Tensor | None], Inversion]
"""Maps images, uint8 (N, C, H, W), and their classes (N,), or None, to their points."""


class Placed(NamedTuple):
    """Images as points of a latent space."""

    points: Tensor  # float32 (N, ...)
    labels: Tensor | None  # class of each, int64 (N,); None = the model has no classes
    noise: list[ImageName]  # the images whose noise they have

    def weights(self, space: LatentSpace) -> Tensor | None:
        """Return the classes as one-hot vectors, (N, num_classes); None where there are none, or in w."""
        if self.labels is None or space.name == "w":
            return None
        return F.one_hot(self.labels, space.sampler.num_classes).float()


def read_ends(text: str, count: int = 1) -> list[End]:
    """Read a list of images, separated by commas; see the module.

    Args:
        text: the list.
        count: number of images of each seed that is given without a number of an image.

    Raises:
        ValueError: the text is none such.
    """
    ends: list[End] = []
    for word in map(str.strip, text.strip().strip("[]").split(",")):
        if not word.startswith("@"):
            try:
                ends += image_names(word, count)
            except ValueError as error:
                raise ValueError(f"{error}, or images of your own such as @me.jpg") from error
            continue
        if word == "@":
            raise ValueError("'@' names no image: put the path of an image, a folder or a file of latents behind it")
        saved = _SAVED.fullmatch(word[1:].strip())
        if saved is None or saved["places"] is None:
            ends.append(OwnImages(Path(word[1:].strip())))
        else:
            places = tuple(name.seed for name in image_names(saved["places"]))
            ends.append(OwnImages(Path(saved["file"]), places))
    return ends


def are_own(ends: Iterable[End]) -> bool:
    """Return whether there are images of the user among them."""
    return any(isinstance(end, OwnImages) for end in ends)


def image_pages(path: Path) -> list[Page]:
    """Return the images in a file, or in a folder and its sub-folders.

    Raises:
        FileNotFoundError: there is no such file or folder, or no image in it.
        PermissionError: the folder may not be listed.
    """
    if path.is_dir():
        return pages(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no image or folder {shown(path)}: name one")
    return pages_of(path)


def read_images(files: Sequence[Page], shape: Sequence[int]) -> Tensor:
    """Read images, fitted to a model's as in `fit_image`, uint8 (N, C, H, W).

    Raises:
        ValueError: a file is no image.
    """
    return torch.stack([fit_image(read_image(file), shape) for file in files])


def place(
    space: LatentSpace,
    ends: Sequence[End],
    label: int | None = None,
    truncation: float | None = None,
    inverter: Inverter | None = None,
) -> Placed:
    """Return images as points of a latent space, those of the user inverted first.

    Args:
        space: the latent space.
        ends: the images.
        label: the class of images of seeds and of inverted images. None = image k of a seed has class k modulo the
            number of classes, and images are inverted with each class, of which the best counts. Those of a file of
            latents keep their class.
        truncation: of seeds in z, see `gan_lightning.inference.Prior.draw`.
        inverter: finds the points of images of the user. None = `invert`.

    Raises:
        ValueError: a file is no image, or holds latents of another model.
        OSError: a file is missing or cannot be read.
    """
    files = {end: image_pages(end.path) for end in ends if isinstance(end, OwnImages) and not _is_saved(end)}
    parts = []
    for kind, group in groupby(ends, lambda end: "seeds" if isinstance(end, ImageName) else _is_saved(end)):
        run: list[Any] = [*group]
        if kind == "seeds":
            labels = space.sampler.classes_of(run)
            if labels is not None and label is not None:
                labels = torch.full_like(labels, label)
            parts.append(Placed(space.points(run, labels, truncation), labels, run))
        elif kind:
            parts += [_saved(space, end) for end in run]
        else:
            images = read_images([file for end in run for file in files[end]], space.image_shape)
            classes = None if label is None else torch.full((len(images),), label)
            inverted = invert(space, images, classes) if inverter is None else inverter(images, classes)
            parts.append(Placed(inverted.points, inverted.labels, inverted.noise))
    known = [part.labels for part in parts if part.labels is not None]
    return Placed(
        torch.cat([part.points for part in parts]),
        torch.cat(known) if known else None,
        [name for part in parts for name in part.noise],
    )


def _is_saved(own: OwnImages) -> bool:
    return own.path.suffix.lower() == ".safetensors"


def _saved(space: LatentSpace, own: OwnImages) -> Placed:
    """Return some of the points of a file, or all."""
    saved = SavedPoints.load(own.path)
    saved.check(space)
    rows = [*(range(len(saved)) if own.places is None else own.places)]
    if max(rows) >= len(saved):
        raise ValueError(f"{shown(own.path)} holds the latents of images 0 to {len(saved) - 1}, and not of {max(rows)}")
    device = space.sampler.device
    labels = None if saved.labels is None else saved.labels[rows].to(device)
    return Placed(saved.points[rows].to(device), labels, [saved.noise[row] for row in rows])
