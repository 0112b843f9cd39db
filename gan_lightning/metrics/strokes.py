"""Measures of the strokes of handwritten digits, and of any other bright lines on a dark ground.

The idea and the choice of measures are those of Castro et al., "Morpho-MNIST: Quantitative Assessment and Diagnostics
for Representation Learning", 2019, arXiv 1809.10780.

NOTE: Morpho-MNIST measures the thickness along the skeleton. Here it is four times the mean distance of all points of
    the stroke to its edge, which is the thickness of a ribbon of constant width, and needs no skeleton.
NOTE: Morpho-MNIST leaves 2% of the image's mass outside of width and height; here the whole stroke counts.
"""

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.data.images import to_channels

SCALE = 4
"""Enlargement, bilinear, before images are cut into stroke and ground."""
_BLOCK = 256  # images at a time


@torch.no_grad()
def stroke_measures(images: Tensor) -> dict[str, Tensor]:
    """Measure bright strokes on a dark ground.

    Pixels of the image, enlarged four times, that are at least halfway between its darkest and brightest value are the
    stroke. An image without any contrast has no stroke, and all its measures are 0.

    - area: of the stroke, in pixels².
    - thickness: 4 · mean over the stroke of the distance to the ground, in pixels.
    - slant: arctan(-μ11 / μ02) in degrees, above 0 if the stroke leans to the right; μ11 and μ02 are the central
      moments of the grey values over the ground, Σ v (x - x̄)(y - ȳ) and Σ v (y - ȳ)², y downwards.
    - width: extent of the stroke along x after its slant is removed by x + y · tan(slant), in pixels.
    - height: extent of the stroke along y, in pixels.

    Args:
        images: uint8 (N, C, H, W); colours are converted to grey.

    Returns:
        float64 (N,) on the CPU for each measure, by name.
    """
    names = ("area", "thickness", "slant", "width", "height")
    blocks = [_measure(to_channels(block, 1)[:, 0].cpu().double()) for block in images.split(_BLOCK)]
    columns = [torch.cat(parts) for parts in zip(*blocks, strict=True)] or [torch.zeros(0).double()] * len(names)
    return dict(zip(names, columns, strict=True))


def _measure(images: Tensor) -> tuple[Tensor, ...]:
    """Return area, thickness, slant, width and height of grey images float64 (N, H, W)."""
    large = F.interpolate(images[:, None].float(), scale_factor=SCALE, mode="bilinear", align_corners=False)[:, 0]
    low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
    stroke = (large >= (low + high) / 2) & (high > low)
    count = stroke.sum((1, 2))
    some = count.clamp_min(1)

    # one transform of all images below each other, each with a frame of ground
    framed = F.pad(stroke, (1, 1, 1, 1))
    distance = torch.from_numpy(distance_transform_edt(framed.flatten(0, 1).numpy())).view(framed.shape)
    # a pixel's centre lies half a pixel nearer to the edge than to the centre of the next pixel
    thickness = 4 * ((distance.sum((1, 2)) - 0.5 * count) / some) / SCALE

    y, x = (torch.arange(length, dtype=torch.float64) for length in images.shape[1:])
    value = images - images.amin((1, 2), keepdim=True)
    mass = value.sum((1, 2)).clamp_min(1e-12)
    down = y[None] - (value.sum(2) * y).sum(1, keepdim=True) / mass[:, None]  # (N, H)
    across = x[None] - (value.sum(1) * x).sum(1, keepdim=True) / mass[:, None]  # (N, W)
    shared = torch.einsum("nhw,nh,nw->n", value, down, across)
    spread = torch.einsum("nhw,nh->n", value, down.square())
    shear = torch.where(spread > 0, -shared / spread.clamp_min(1e-12), 0.0)

    height, width = large.shape[1:]
    rows, columns = torch.arange(height).float(), torch.arange(width).float()
    upright = columns + rows[:, None] * shear.float()[:, None, None]  # (N, H, W)
    return (
        count.double() / SCALE**2,
        thickness,
        shear.atan().rad2deg(),
        _extent(upright, stroke) / SCALE,
        _extent(rows[:, None].expand(height, width), stroke) / SCALE,
    )


def _extent(places: Tensor, stroke: Tensor) -> Tensor:
    """Return the extent (N,) of the stroke along an axis, from the places of the pixels' centres; 0 without one."""
    last = places.where(stroke, -torch.inf).amax((1, 2))
    first = places.where(stroke, torch.inf).amin((1, 2))
    return torch.where(stroke.any(2).any(1), last - first + 1, 0.0).double()
