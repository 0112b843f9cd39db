"""Arguments that the commands on latents share."""

from pathlib import Path
from typing import Annotated

from torch import Tensor

from gan_lightning.data.files import shown
from gan_lightning.evaluation.sources import load_sampler
from gan_lightning.inference import Sampler
from gan_lightning.inference.devices import Device, find_device
from gan_lightning.latent.ends import Inverter
from gan_lightning.latent.inversion import Inversion, invert
from gan_lightning.latent.names import class_numbers
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.metrics.perceptual import PerceptualDistance
from gan_lightning.metrics.perceptual_named import DistanceName, make_distance
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


def inverter(space: LatentSpace) -> Inverter:
    """Return a function that finds the points of a user's images, and prints how near their images are."""

    def inverted(images: Tensor, labels: Tensor | None) -> Inversion:
        found = invert(space, images, labels, distance_of("auto", space))
        print(f"{len(images)} images inverted, PSNR {float(found.psnr.mean()):.1f} dB")
        return found

    return inverted


def distance_of(name: DistanceName, space: LatentSpace) -> PerceptualDistance | None:
    """Make a perceptual distance for a model's images, on the model's device; see `make_distance`."""
    distance = make_distance(name, min(space.image_shape[1:]))
    return None if distance is None else distance.to(space.sampler.device)


def check_tensors(out: Path) -> None:
    """Raise ValueError unless a path names a file that ends in .safetensors."""
    if out.suffix.lower() != ".safetensors":
        raise ValueError(f"{shown(out)} cannot be written: name a file that ends in .safetensors")
