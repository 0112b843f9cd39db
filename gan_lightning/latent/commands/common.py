"""Arguments that the commands on latents share."""

from pathlib import Path
from typing import Annotated

from gan_lightning.data.files import shown
from gan_lightning.evaluation.sources import Device, find_device, load_sampler
from gan_lightning.inference import Sampler
from gan_lightning.latent.names import class_numbers
from gan_lightning.ranges import Range

Steps = Annotated[int, Range(1, 256)]
"""Number of images in a row."""


def one_class(classes: str | None, sampler: Sampler) -> int | None:
    """Return the number of the class that all images are of, or None if none is named."""
    if classes is None:
        return None
    numbers = class_numbers(classes, sampler)
    if len(numbers) > 1:
        raise ValueError(f"--classes {classes} names {len(numbers)} classes, and all images are of one: name one")
    return numbers[0]


def check_picture(out: Path) -> None:
    """Raise ValueError unless a path names a picture that ends in .png."""
    if out.suffix.lower() != ".png":
        raise ValueError(f"{shown(out)} cannot be written: name a picture that ends in .png")


def load(checkpoint: Path, device: Device, trusted: list[str] | str | None) -> Sampler:
    """Load the sampler of a trained model onto a device.

    Raises:
        ValueError: the file holds no model that makes images from noise.
        OSError: it cannot be read.
    """
    return load_sampler(checkpoint, find_device(device), trusted or ()).sampler
