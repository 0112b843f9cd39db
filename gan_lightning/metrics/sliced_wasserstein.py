"""Sliced Wasserstein distance between patches of a Laplacian pyramid."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lightning.metrics.image_sets import PooledImageMetric
from gan_lightning.metrics.progress import progress
from gan_lightning.ranges import NonNegativeInt, PositiveInt

PATCH = 7  # pixels, height and width
COARSEST = 16  # pixels of the smaller side
FLAT = 1e-3  # grey levels: a channel that varies less is constant up to rounding
CHUNK = 128  # number of images at a time
ROWS = 2**13  # number of patches at a time, cast and projected while they are in the processor's cache
BLOCK = 2**26  # number of projections of a set at a time: 256 MiB

_BINOMIAL = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


class SlicedWasserstein(PooledImageMetric):
    """SWD, Karras et al. 2018 (1710.10196), as in their code: a comparison of the patches of both sets at each scale.

    Each image becomes a Laplacian pyramid. It is halved (5x5 binomial filter, mirrored borders; odd sides are rounded
    up) as long as its smaller side keeps 16 pixels. From each level, random 7x7 patches of all channels are normalised
    by their set's mean and standard deviation of each channel, and projected on random directions. The value is the
    mean over directions of the 1-Wasserstein distance between the projected sets, times 1000. The last level is the
    low-pass image itself, and the only level of images below 32 pixels.

    From 0, lower is better. Two samples of one distribution do not have 0 but a value that falls with the number of
    images: compare only values from equally many. A random subset of the larger set is used. Channels without variation
    in a set count as zeros.

    Patches are kept in half precision, one level at a time: 4 GB for 2 x 50,000 colour images, besides the images.

    Args:
        patches: number of patches from each image.
        directions: number of random unit vectors (the publication's 4 repeats of 128 are one mean over 512).
        seed: seed of all draws.
    """

    def __init__(self, patches: PositiveInt = 128, directions: PositiveInt = 512, seed: NonNegativeInt = 0) -> None:
        super().__init__()
        self.patches = patches
        self.directions = directions
        self.seed = seed

    @torch.no_grad()
    def compute(self) -> dict[str, Tensor]:
        """Return `{"swd": ..., "swd_64": ..., ...}`: the mean over levels, and each level's value.

        The names of levels hold their side, or height and width if they are not square (`swd_112x92`).

        Raises:
            ValueError: images have fewer than 7 pixels a side, or two sizes.
        """
        (real, _), (fake, _) = self.sets(1, "to take patches from")
        height, width = real.shape[2:]
        if min(height, width) < PATCH:
            raise ValueError(f"SlicedWasserstein takes patches of 7x7 from images, and these are of {height}x{width}")
        random = torch.Generator().manual_seed(self.seed)
        count = min(len(real), len(fake))
        real, fake = (
            images if len(images) == count else images[torch.randperm(len(images), generator=random)[:count]]
            for images in (real, fake)
        )
        values = {}
        for level, (rows, columns) in enumerate(progress("sliced Wasserstein", _sizes(height, width))):
            directions = F.normalize(torch.randn(PATCH**2 * real.shape[1], self.directions, generator=random), dim=0)
            name = f"swd_{rows}" if rows == columns else f"swd_{rows}x{columns}"
            values[name] = 1000 * sliced_wasserstein(
                self._draw_patches(real, level, random),
                self._draw_patches(fake, level, random),
                directions.to(real.device),
            )
        return {"swd": torch.stack(list(values.values())).mean(), **values}

    def _draw_patches(self, images: Tensor, level: int, random: torch.Generator) -> "Patches":
        """Draw patches of one level of all images (N, C, H, W)."""
        values = torch.empty(
            len(images) * self.patches, images.shape[1] * PATCH**2, dtype=torch.half, device=images.device
        )
        sums, squares = torch.zeros(2, images.shape[1], dtype=torch.float64, device=images.device)
        for chunk, kept in zip(images.split(CHUNK), values.split(CHUNK * self.patches), strict=True):
            detail = _detail(chunk, level)
            windows = detail.unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # (N, C, rows, columns, 7, 7), a view
            shape = (len(chunk), self.patches)
            row, column = (
                torch.randint(side, shape, generator=random).to(images.device) for side in windows.shape[2:4]
            )
            image = torch.arange(len(chunk), device=images.device)[:, None]
            drawn = windows[image, :, row, column].flatten(0, 1)  # (patches, C, 7, 7)
            sums += drawn.sum(dim=(0, 2, 3), dtype=torch.float64)
            squares += drawn.double().square().sum(dim=(0, 2, 3))
            kept.copy_(drawn.flatten(1))
        number = len(values) * PATCH**2
        mean = sums / number
        deviation = (squares / number - mean.square()).clamp_min(0).sqrt()
        return Patches(values, mean, deviation)


class Patches:
    """The patches of a set, which are normalised when they are projected.

    Args:
        values: float16 (P, C * k): k values of each channel.
        mean: mean of each channel, float64 (C,).
        deviation: standard deviation of each channel, float64 (C,); below `FLAT`, the channel is zero.
    """

    def __init__(self, values: Tensor, mean: Tensor, deviation: Tensor) -> None:
        repeats = values.shape[1] // len(mean)
        scale = torch.where(deviation < FLAT, 0, 1 / deviation)
        self.values = values
        self.mean, self.scale = (moment.repeat_interleave(repeats)[:, None] for moment in (mean, scale))

    def project(self, directions: Tensor) -> Tensor:
        """Return the normalised patches projected on unit vectors (C * k, D), sorted: float32 (D, P)."""
        scaled = (self.scale * directions).T
        shift = -(scaled @ self.mean).float()
        projected = torch.empty(directions.shape[1], len(self.values), device=directions.device)
        for some, place in zip(self.values.split(ROWS), projected.split(ROWS, dim=1), strict=True):
            place.copy_(torch.addmm(shift, scaled.float(), some.float().T))
        if projected.device.type == "cpu":
            projected.numpy().sort(axis=1)  # twenty times faster than torch's
            return projected
        return projected.sort(dim=1).values


def sliced_wasserstein(x: Patches, y: Patches, directions: Tensor) -> Tensor:
    """Return the mean over directions (C * k, D) of the 1-Wasserstein distance between equally many patches."""
    blocks = directions.split(max(1, BLOCK // len(x.values)), dim=1)
    gaps = [x.project(block).sub_(y.project(block)).abs_().mean(dim=1) for block in blocks]
    return torch.cat(gaps).double().mean()


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return height and width of the pyramid's levels."""
    sizes = [(height, width)]
    while min(half := _halves(sizes[-1])) >= COARSEST:
        sizes.append(half)
    return sizes


def _halves(size: tuple[int, int]) -> tuple[int, int]:
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def _detail(images: Tensor, level: int) -> Tensor:
    """Return a level of the images' Laplacian pyramid, around grey: float32 (N, C, H / 2^level, W / 2^level)."""
    x = images.float() - 128  # smaller values lose less in half precision
    for _ in range(level):
        x = _down(x)
    last = min(_halves((x.shape[2], x.shape[3]))) < COARSEST
    return x if last else x - _up(_down(x), x.shape[2], x.shape[3])


def _down(x: Tensor) -> Tensor:
    """Return low-pass images (N, C, H, W) at every second row and column."""
    padded = F.pad(x.flatten(0, 1)[:, None], (2, 2, 2, 2), mode="reflect")
    return F.conv2d(padded, _kernel(x), stride=2).unflatten(0, x.shape[:2])[:, :, 0]


def _up(x: Tensor, height: int, width: int) -> Tensor:
    """Return smooth images (N, C, `height`, `width`) whose every second row and column are those of x.

    Mirrored borders of the enlarged image become one more row and column of x on each side.
    """

    def with_borders(count: int, side: int) -> list[int]:
        return [1, *range(count), count - 1 if side % 2 == 0 else count - 2]

    x = x[:, :, with_borders(x.shape[2], height)][:, :, :, with_borders(x.shape[3], width)]
    enlarged = F.conv_transpose2d(x.flatten(0, 1)[:, None], 4 * _kernel(x), stride=2)
    return enlarged.unflatten(0, x.shape[:2])[:, :, 0, 4 : 4 + height, 4 : 4 + width]


def _kernel(x: Tensor) -> Tensor:
    return torch.outer(_BINOMIAL, _BINOMIAL).to(x)[None, None]
