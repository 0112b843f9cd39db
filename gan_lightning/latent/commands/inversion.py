"""`gan-lightning invert` and `train-encoder`."""

import math
from pathlib import Path

import torch

from gan_lightning.data.files import shown
from gan_lightning.data.images import write_png
from gan_lightning.inference import Space
from gan_lightning.inference.devices import Device
from gan_lightning.latent import encoder as encoders
from gan_lightning.latent import inversion
from gan_lightning.latent.commands.common import check_tensors, distance_of, load, one_class
from gan_lightning.latent.encoder import Encoder
from gan_lightning.latent.ends import image_pages, read_images
from gan_lightning.latent.points import SavedPoints
from gan_lightning.latent.sheets import sheet
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.metrics.perceptual_named import DistanceName
from gan_lightning.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, checked

_LISTED = 20  # images whose scores are printed


@checked
def invert(
    checkpoint: Path,
    images: Path,
    out: Path,
    encoder: Path | None = None,
    space: Space | None = None,
    classes: str | None = None,
    steps: NonNegativeInt | None = None,
    starts: PositiveInt | None = None,
    perceptual: DistanceName = "auto",
    lambda_perceptual: NonNegativeFloat = 0.1,
    seed: NonNegativeInt = 0,
    show: PositiveInt = 10,
    batch_size: PositiveInt = 64,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Find the latents from which a model makes images that you give.

    Two files are written: the latents, which `interpolate`, `arithmetic` and `paint` take as @FILE.safetensors, and
    beside them, under the same name with .png, the images above their reconstructions. Images of any size and channels
    are fitted to the model's: transparency is laid over white, colours become grey or grey is repeated, and the image
    is scaled until it covers the model's size, of which the middle is kept.

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), an export, or
            hf://owner/name.
        images: Image or folder of images.
        out: File of the latents (.safetensors) to write.
        encoder: File that `train-encoder` wrote for this model: it gives the first start. Null: none.
        space: z or w. Null: w for models with styles, else z.
        classes: One class for all images. Null: each class is tried for each image, and the best kept.
        steps: Number of steps of the optimisation. 0: the best start. Null: 300 in z, 1000 in w.
        starts: Number of starts for each image and class, of which the best end counts. Null: 4 in z, 1 in w.
        perceptual: Network in whose features images are compared besides their pixels: lpips (VGG16),
            efficientnet_lite0 or digits. auto: the first of the former two whose weights are there, else none; it is
            printed. none: pixels alone.
        lambda_perceptual: Weight of that distance; that of the mean squared difference of pixels in [-1, 1] is 1.
        seed: Seed of random starts, which are the images of this seed.
        show: Number of images in the picture.
        batch_size: Number of candidates that pass through the network at a time.
        device: Device of the network. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ValueError: the model makes no images from latents, a file is no image, or the encoder is of another model.
        OSError: a file is missing or cannot be written.
        ModuleNotFoundError: the perceptual network needs a package that is not there.
    """
    check_tensors(out)
    files = image_pages(images)
    given = None if encoder is None else Encoder.load(encoder)
    sampler = load(checkpoint, device, trusted)
    label = one_class(classes, sampler)
    where = LatentSpace(sampler, space, batch_size=batch_size)
    if given is not None:
        given.check(where)
    distance = distance_of(perceptual, where)
    wanted = read_images(files, where.image_shape)
    labels = None if label is None else torch.full((len(files),), label)
    found = inversion.invert(where, wanted, labels, distance, given, steps, starts, lambda_perceptual, seed)
    folder = images if images.is_dir() else images.parent
    names = [file.name(folder) for file in files]
    about = {"images": str(images), "seed": str(seed), "perceptual": perceptual, "encoder": str(encoder or "")}
    columns = range(min(show, len(files)))
    cells = [[wanted[i] for i in columns], [found.images[i] for i in columns]]
    picture = sheet(cells, [f"{float(found.psnr[i]):.1f} dB" for i in columns], ["image", "reconstruction"])
    SavedPoints.of(where, found, names, about).save(out)
    write_png(picture, out.with_suffix(".png"))
    scores = [*zip(names, found.psnr.tolist(), found.ssim.tolist(), found.perceptual.tolist(), strict=True)]
    for i, (name, *values) in enumerate(scores[:_LISTED]):
        kind = "" if found.labels is None else f"  class {int(found.labels[i])}"
        print(f"{shown(name)}{kind}  {_said(values)}")
    means = [float(values.mean()) for values in (found.psnr, found.ssim, found.perceptual)]
    print(f"mean of {len(scores)} in {where.name}: {_said(means)}")


def _said(values: list[float]) -> str:
    psnr, ssim, perceptual = values
    parts = [f"PSNR {psnr:.2f} dB"]
    parts += [f"SSIM {ssim:.4f}"] if math.isfinite(ssim) else []
    parts += [f"perceptual distance {perceptual:.4f}"] if math.isfinite(perceptual) else []
    return "  ".join(parts)


@checked
def train_encoder(
    checkpoint: Path,
    out: Path,
    space: Space | None = None,
    steps: PositiveInt = 2000,
    batch_size: PositiveInt = 64,
    learning_rate: PositiveFloat = 1e-3,
    lambda_pixels: NonNegativeFloat = 10.0,
    width: PositiveInt = 32,
    seed: NonNegativeInt = 0,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Train a small convolutional network that estimates the latents of images, on the model's own samples.

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), an export, or
            hf://owner/name.
        out: File of the encoder (.safetensors) to write.
        space: z or w. Null: w for models with styles, else z.
        steps: Number of steps.
        batch_size: Number of samples of a step.
        learning_rate: Adam's at the beginning; it falls to 0 as a half cosine.
        lambda_pixels: Weight of the squared error of pixels in [-1, 1]; that of the latents, in units of their
            variance, is 1.
        width: Channels of the first layer.
        seed: Seed of the samples and of the first weights.
        device: Device of the networks. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ValueError: the model makes no images from latents, or the training diverged.
        OSError: a file is missing or cannot be written.
    """
    check_tensors(out)
    where = LatentSpace(load(checkpoint, device, trusted), space, batch_size=batch_size)
    found, quality = encoders.train_encoder(where, steps, batch_size, learning_rate, lambda_pixels, width, seed)
    found.save(out)
    print(
        f"an encoder into {found.space} written to {shown(out)}; on further samples it explains "
        f"{100 * quality.explained:.1f} % of the latents' variance; PSNR of their images {quality.psnr:.1f} dB"
    )
