"""Inversion: from images to the points of a latent space that a generator makes them from.

In styles w, the projector of StyleGAN2: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020,
arXiv 1912.04958, appendix D: from the mean style, 1000 steps of Adam; the learning rate rises over the first 5% of the
steps to 0.1 and falls as a half cosine over the last 25%; normal noise on w shrinks from 0.05 standard deviations to 0
over the first 75%. In z, the same steps without noise, from random latents, as in Zhu et al. 2016 (iGAN, arXiv
1609.03552, section 3): several, of which the best end counts, and that of an encoder, if there is one.

NOTE: the projector compares images by LPIPS alone; here the mean squared difference of pixels counts too.
NOTE: the projector also optimises the maps of noise that its generator adds, and regularises them. A sampler has no
    access to such maps: here noise is that of a named image, and stays.
NOTE: iGAN takes L-BFGS; Adam keeps the images of a batch independent of each other.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.data.images import to_float, to_uint8
from gan_lightning.inference import ImageName
from gan_lightning.latent.descent import costs_at, descend, implausible
from gan_lightning.latent.encoder import Encoder
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.metrics.pairs import PSNR, SSIM
from gan_lightning.metrics.perceptual import PairDistance
from gan_lightning.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt, checked

STEPS = {"z": 300, "w": 1000}
"""Number of steps in each space."""
STARTS = {"z": 4, "w": 1}
"""Number of starts of each image in each space."""
PLAUSIBLE = 0.01
"""Weight of the pull of z to the length of latents."""
_PEAK = 0.1  # learning rate
_NOISE = 3  # the stream of the noise on w
SMALLEST_SIDE = 11
"""Side of SSIM's window, in pixels."""
_LARGEST = 256  # pixels of a side that the projector compares


class Inversion(NamedTuple):
    """Images as points of a latent space."""

    points: Tensor  # (N, ...)
    labels: Tensor | None  # class of each, int64 (N,); None = the model has no classes
    noise: list[ImageName]  # the images whose noise the reconstructions have
    images: Tensor  # the reconstructions, uint8 (N, C, H, W)
    psnr: Tensor  # of each reconstruction, in decibels, at most 100, float32 (N,)
    ssim: Tensor  # of each, float32 (N,); NaN = images are smaller than its window
    perceptual: Tensor  # distance of each, float32 (N,); NaN = no network compared them


def rate(done: float) -> float:
    """Return the learning rate after a share of the steps."""
    return _PEAK * min(1.0, done / 0.05) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - done) / 0.25)))


@checked
def invert(
    space: LatentSpace,
    images: Tensor,
    labels: Tensor | None = None,
    distance: PairDistance | None = None,
    encoder: Encoder | None = None,
    steps: NonNegativeInt | None = None,
    starts: PositiveInt | None = None,
    lambda_perceptual: NonNegativeFloat = 0.1,
    seed: NonNegativeInt = 0,
    title: str | None = "inverting",
) -> Inversion:
    """Find points of a latent space from which the generator makes these images.

    An image ends at the same point whatever others there are, up to the rounding of sums.

    Args:
        space: the latent space; its batch size is the number of candidates at a time.
        images: of the model's size and channels, uint8, or float in [-1, 1], (N, C, H, W).
        labels: class of each image, int64 (N,). None = a model with classes tries each, and the best counts.
        distance: a perceptual distance. None = pixels alone are compared.
        encoder: gives the first start of each image. None = that is random, or the mean style in w.
        steps: number of steps. None = 300 in z, 1000 in w.
        starts: number of starts of each image (and class). None = 4 in z, 1 in w.
        lambda_perceptual: weight of the perceptual distance; that of the mean squared difference of pixels is 1.
        seed: start k is image k of this seed, where it is random; and seed of the noise on w.
        title: name of the progress bar. None = there is none.

    Raises:
        ValueError: the images have another size or other channels than the model's, or the encoder is of another model.
    """
    sampler = space.sampler
    if images.ndim != 4 or images.shape[1:] != space.image_shape:
        raise ValueError(
            f"the model makes images of the shape {space.image_shape}, and these have {tuple(images.shape[1:])}: scale "
            "them to that size by gan_lightning.data.images.fit_image"
        )
    if encoder is not None:
        encoder.check(space)
    steps = STEPS[space.name] if steps is None else steps
    starts = starts or STARTS[space.name]
    targets = (images if images.is_floating_point() else to_float(images)).to(sampler.device)

    # candidates: of each image, of each class, each start
    tried = _tried(space, len(images), labels)
    places = _starts(space, tried, starts, seed)  # (images, classes, starts, ...)
    if encoder is not None:
        places[:, :, 0] = encoder.points(space, targets)[:, None]
    of_image = torch.arange(len(images)).repeat_interleave(tried.shape[1] * starts)
    classes = tried.flatten().repeat_interleave(starts).to(sampler.device) if sampler.num_classes else None
    noise = [ImageName(seed)] * len(of_image)

    def cost(made: Tensor, points: Tensor, rows: slice) -> Tensor:
        wanted = targets[of_image[rows]]
        value = (made - wanted).square().mean(dim=(1, 2, 3)) + PLAUSIBLE * implausible(space, points)
        if distance is not None:
            value = value + lambda_perceptual * distance(_reduced(made), _reduced(wanted))
        return value

    shake, sizes = None, None
    if space.name == "w":
        shake = _shake
        spreads = {number: space.spread(number if sampler.num_classes else None) for number in tried.unique().tolist()}
        sizes = torch.tensor([spreads[number] for number in tried.flatten().tolist()]).repeat_interleave(starts)
    streams = [(seed, _NOISE, number) for number in range(tried.shape[1] * starts)] * len(images)
    ends = descend(space, places.flatten(0, 2), cost, noise, classes, steps, rate, shake, sizes, streams, title)
    costs = costs_at(space, ends, cost, noise, classes).view(len(images), -1)
    best = costs.nan_to_num(nan=math.inf).argmin(dim=1).cpu() + torch.arange(len(images)) * costs.shape[1]
    return _measured(
        space, targets, ends[best], None if classes is None else classes[best], noise[: len(images)], distance
    )


def _shake(done: float) -> float:
    return 0.05 * max(0.0, 1 - done / 0.75) ** 2


def _tried(space: LatentSpace, count: int, labels: Tensor | None) -> Tensor:
    """Return the classes to try for each image, int64 (count, K); 0 alone, which is not used, without classes."""
    classes = space.sampler.num_classes
    if labels is not None:
        if not classes:
            raise ValueError("classes are given, and this model makes images without classes: leave them out")
        return labels.cpu().view(count, 1)
    return torch.arange(max(1, classes)).expand(count, -1)


@torch.no_grad()
def _starts(space: LatentSpace, tried: Tensor, starts: int, seed: int) -> Tensor:
    """Return where the candidates of each image start, by their classes (N, K): points (N, K, starts, ...)."""
    sampler = space.sampler
    names = [ImageName(seed, number) for number in range(starts)]
    kinds, places = tried.unique(return_inverse=True)
    found = []
    for number in kinds.tolist():
        label = number if sampler.num_classes else None
        labels = None if label is None else torch.full((starts,), label, device=sampler.device)
        points = space.points(names, labels)
        if space.name == "w":
            points[0] = space.mean_style(label)
        found.append(points)
    return torch.stack(found)[places.to(sampler.device)]


def _reduced(images: Tensor) -> Tensor:
    """Return images that a perceptual distance compares, with sides of 256 pixels at most, as the projector does."""
    factor = math.ceil(max(images.shape[2:]) / _LARGEST)
    return images if factor == 1 else F.avg_pool2d(images, factor)


@torch.no_grad()
def _measured(
    space: LatentSpace,
    targets: Tensor,
    points: Tensor,
    labels: Tensor | None,
    noise: list[ImageName],
    distance: PairDistance | None,
) -> Inversion:
    """Make the reconstructions, and compare them with the images as they are stored."""
    stored = to_uint8(targets).cpu()
    images = torch.cat([part.cpu() for part in space.images(points, noise, labels, None)])
    perceptual = torch.full((len(points),), float("nan"))
    if distance is not None:
        pairs = zip(images.split(space.batch_size), targets.split(space.batch_size), strict=True)
        perceptual = torch.cat(
            [distance(_reduced(to_float(made).to(real)), _reduced(real)).cpu() for made, real in pairs]
        )
    similar = torch.full((len(points),), float("nan"))
    if min(images.shape[2:]) >= SMALLEST_SIDE:
        similar = SSIM().measure(images, stored).float()
    return Inversion(points, labels, noise, images, PSNR().measure(images, stored).float(), similar, perceptual)
