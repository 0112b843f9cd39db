"""Painting with a generator: an image moves through a latent space until it has the strokes of the user.

Zhu, Krähenbühl, Shechtman, Efros, "Generative Visual Manipulation on the Natural Image Manifold" (iGAN), 2016, arXiv
1609.03552, section 4, equation 5; settings are those of the authors' code. With z0 the point of the image before,

    z* = argmin Σ_g ‖f_g(G(z)) - v_g‖² + λ ‖z - z0‖²

where f_g is the colour, or the histogram of oriented gradients (HOG), of the pixels where constraint g was painted.

NOTE: the authors' pull to z0 has the weight 10 in latents that are uniform in [-1, 1], whose variance is 1/3. Here
    squares are in units of the variance of the latents, for any prior and for styles, which makes it 10/3; the weight
    is 1, since 25 steps hardly show a stroke with 10/3. Their random starts lie in ±0.5 round z0, here accordingly in
    ±0.5 · √3 standard deviations. The first candidate starts at z0 itself.
NOTE: the authors' realism term, of weight 0 in their editor, is left out, since an exported model has no discriminator.
NOTE: cells of the HOG have 8 pixels at their size of 64, here an eighth of the image's shorter side. The authors pad
    images with black, which makes an edge of the border; here the border's pixels are repeated.
NOTE: the way from z0 to the result is an arc in z, on which latents keep their length; theirs is a straight line.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.data.images import as_uint8, to_channels, to_float
from gan_lightning.draws import ImageDraws
from gan_lightning.inference import ImageName
from gan_lightning.latent.descent import costs_at, descend, implausible
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.ranges import NonNegativeFloat, PositiveInt, Share, checked

RATE = 0.1
"""Adam's learning rate."""
EDGES = 0.2
"""Weight of the distance of edges; that of colours is 1."""
PLAUSIBLE = 0.1
"""Weight of the pull of z to the length of latents, where nothing is held."""
_AROUND = 0.5 * math.sqrt(3)  # standard deviations of the latents
_SMALL = 1e-5
_STARTS = 2  # the stream of the random starts
_ORIENTATIONS = 8


class Warp(NamedTuple):
    """A square region that moves: all in shares of the image's sides, from its left upper corner.

    Its colours and edges are to be found where it moves to.
    """

    x: Share  # middle of the region
    y: Share
    to_x: Share  # and where it goes
    to_y: Share
    side: Share  # its side, as a share of the shorter side of the image


@dataclass(frozen=True)
class Painting:
    """Images that follow the strokes, the best first.

    Args:
        space: the latent space.
        starts: point where each image's way begins, (K, ...).
        points: point of each image, (K, ...).
        images: uint8 (K, C, H, W).
        costs: of each, float32 (K,), ascending.
        noise: the image whose noise all have, of a generator with noise of its own.
        label: the class of all. None = the model has no classes.
    """

    space: LatentSpace
    starts: Tensor
    points: Tensor
    images: Tensor
    costs: Tensor
    noise: ImageName
    label: int | None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.points)

    @torch.no_grad()
    def morph(self, number: int = 0, frames: int = 16) -> Tensor:
        """Return images on the way from the start to an image, with both, float32 (frames, C, H, W) in [-1, 1]."""
        t = torch.linspace(0, 1, frames, device=self.points.device)
        start, end = (part[number].expand(frames, *part.shape[1:]) for part in (self.starts, self.points))
        points = self.space.between(start, end, t)
        made = []
        for part in points.split(self.space.batch_size):
            labels = labels_of(self.space, self.label, len(part))
            made.append(self.space.synthesize(part, [self.noise] * len(part), labels))
        return torch.cat(made)


@checked
def paint(
    space: LatentSpace,
    start: Tensor | None,
    strokes: Tensor | None = None,
    edges: Tensor | None = None,
    warps: Sequence[Warp] = (),
    label: int | None = None,
    noise: ImageName | None = None,
    steps: PositiveInt = 25,
    candidates: PositiveInt = 32,
    keep: PositiveInt = 16,
    hold: NonNegativeFloat = 1.0,
    seed: int = 0,
    title: str | None = "painting",
) -> Painting:
    """Move an image through the latent space until it follows strokes, lines and moved regions.

    Canvases may have any size; as images are, they are scaled until they cover the model's, and their middle is kept.

    Args:
        space: the latent space.
        start: point of the image before, (1, ...). None = there is none: each candidate starts at a random image, and
            none is held.
        strokes: colours where a canvas is painted, by its alpha channel, uint8 (4, H, W).
        edges: edges where a canvas has lines, by its alpha channel; their colours do not count, uint8 (4, H, W).
        warps: regions that move. They need a start.
        label: the class of all images. None = class 0, of a model with classes.
        noise: the image whose noise is used by a generator with noise of its own. None = image 0 of the seed.
        steps: number of steps.
        candidates: number of starts: the first at `start`, and others around it.
        keep: number of results at most.
        hold: weight λ of the pull to the start.
        seed: seed of the random starts.
        title: name of the progress bar. None = there is none.

    Raises:
        ValueError: a canvas has no alpha channel, a region moves and there is no start, or pixels are NaN or infinite.
    """
    noise = ImageName(seed) if noise is None else noise
    label = label or 0 if space.sampler.num_classes else None
    if start is None and warps:
        raise ValueError("a region moves from a start, and there is none: name a seed, or an image to start from")
    constraints = _Constraints(space.image_shape, space.sampler.device)
    for warp in warps:
        assert start is not None
        image = space.synthesize(start, [noise], labels_of(space, label, 1)).detach()
        constraints.move(image, Warp(*warp))
    if strokes is not None:
        constraints.colour(strokes)
    if edges is not None:
        constraints.draw(edges)

    labels = labels_of(space, label, candidates)
    starts = _starts(space, start, labels, label, candidates, seed)
    spread = space.spread(label)

    def cost(images: Tensor, points: Tensor, rows: slice) -> Tensor:
        value = constraints.broken(images)
        if start is None:
            return value + PLAUSIBLE * implausible(space, points)
        return value + hold * (space.flat(points - start) / spread).square().sum(dim=1)

    names = [noise] * candidates
    ends = descend(space, starts, cost, names, labels, steps, lambda done: RATE, title=title)
    costs = costs_at(space, ends, cost, names, labels)
    best = costs.argsort(stable=True)[:keep]
    points = ends[best]
    origins = starts[best] if start is None else start.expand_as(points)
    part = None if labels is None else labels[best]
    images = torch.cat(list(space.images(points, names[: len(best)], part, None)))
    return Painting(space, origins, points, images, costs[best], noise, label)


def labels_of(space: LatentSpace, label: int | None, count: int) -> Tensor | None:
    """Return the class of all images, int64 (count,); None = there are no classes."""
    return None if label is None else torch.full((count,), label, device=space.sampler.device)


def _starts(
    space: LatentSpace, start: Tensor | None, labels: Tensor | None, label: int | None, count: int, seed: int
) -> Tensor:
    """Return where candidates start, (count, ...): at random images, or at and around a point."""
    if start is None:
        return space.points([ImageName(seed, number) for number in range(count)], labels)
    flat = space.flat(start)
    with ImageDraws((seed, _STARTS), range(count)):
        away = 2 * torch.rand(count, flat.shape[1]) - 1
    around = flat + _AROUND * space.spread(label) / math.sqrt(flat.shape[1]) * away.to(flat)
    if space.name == "z":
        around = space.free(around)
    return torch.cat([start, space.at(around[1:])])


# ---------------------------------------------------------------------- constraints


class _Constraints:
    """All that images are to have."""

    def __init__(self, shape: tuple[int, int, int], device: torch.device) -> None:
        channels, *self.size = shape
        self.channels, self.device = channels, device
        self.colours = torch.zeros(channels, *self.size, device=device)
        self.mask = torch.zeros(1, *self.size, device=device)
        self.histograms: list[tuple[Tensor, Tensor]] = []  # of edges, with the mask of their cells

    def colour(self, canvas: Tensor) -> None:
        """Add the colours of a canvas uint8 (4, H, W); they cover earlier ones."""
        colours, mask = self._fitted(canvas)
        self.colours = torch.lerp(self.colours, colours, (mask > 0).to(mask))
        self.mask = torch.maximum(self.mask, mask)

    def draw(self, canvas: Tensor) -> None:
        """Add the lines of a canvas uint8 (4, H, W), white on black."""
        _, mask = self._fitted(canvas)
        self._add_edges(2 * mask[None] - 1, mask)

    def move(self, image: Tensor, warp: Warp) -> None:
        """Add a region of an image (1, C, H, W), at the place to which it moves."""
        height, width = self.size
        down, right = round((warp.to_y - warp.y) * height), round((warp.to_x - warp.x) * width)
        rows = torch.arange(height, device=self.device)[:, None]
        columns = torch.arange(width, device=self.device)[None]
        half = warp.side * min(height, width) / 2
        near = ((rows + 0.5 - warp.to_y * height).abs() <= half) & ((columns + 0.5 - warp.to_x * width).abs() <= half)
        from_rows, from_columns = rows - down, columns - right
        there = (from_rows >= 0) & (from_rows < height) & (from_columns >= 0) & (from_columns < width)
        mask = (near & there)[None].to(image)
        moved = image[0][:, from_rows.clamp(0, height - 1), from_columns.clamp(0, width - 1)]
        self.colours = torch.lerp(self.colours, moved, mask)
        self.mask = torch.maximum(self.mask, mask)
        self._add_edges(torch.lerp(image, moved[None], mask), mask)

    def _add_edges(self, picture: Tensor, mask: Tensor) -> None:
        cell = _cell(self.size)
        cells = F.max_pool2d(mask[None], 2 * cell, cell, cell // 2) > _SMALL
        self.histograms.append((oriented_gradients(picture), cells.to(mask)))

    def _fitted(self, canvas: Tensor) -> tuple[Tensor, Tensor]:
        """Return colours (C, H, W) in [-1, 1] and mask (1, H, W) in [0, 1], at the model's size."""
        if canvas.ndim != 3 or canvas.shape[0] not in (2, 4):
            raise ValueError(
                f"a canvas is an image with transparency, whose painted pixels are opaque, and this one has the shape "
                f"{tuple(canvas.shape)}: save it with an alpha channel"
            )
        canvas = as_uint8(canvas)
        alpha = canvas[-1:].to(self.device).float() / 255
        if self.channels not in (1, 3):
            raise ValueError(f"images of {self.channels} channels cannot be painted: give a model of 1 or 3 channels")
        colours = to_float(to_channels(canvas[None, :-1], self.channels)[0]).to(self.device)
        both = _covering(torch.cat([colours * alpha, alpha])[None], self.size)[0]  # premultiplied
        mask = both[-1:].clamp(0, 1)
        return (both[:-1] / mask.clamp_min(_SMALL)).clamp(-1, 1) * (mask > _SMALL), mask * (mask > _SMALL)

    def broken(self, images: Tensor) -> Tensor:
        """Return the distance of each image (N, C, H, W) from all of these, (N,)."""
        wrong = ((images - self.colours).square() * self.mask).mean(dim=(1, 2, 3)) / (self.mask.mean() + _SMALL)
        if self.histograms:
            found = oriented_gradients(images)
            for wanted, cells in self.histograms:
                gaps = ((found - wanted).square() * cells).mean(dim=(1, 2, 3))
                wrong = wrong + EDGES * gaps / (cells.mean() + _SMALL)
        return wrong


def _covering(canvas: Tensor, size: Sequence[int]) -> Tensor:
    """Scale a float canvas (1, C, H, W) until it covers a size, and keep its middle."""
    height, width = canvas.shape[2:]
    scale = max(size[0] / height, size[1] / width)
    cut = [min(height, round(size[0] / scale)), min(width, round(size[1] / scale))]
    top, left = (height - cut[0]) // 2, (width - cut[1]) // 2
    middle = canvas[:, :, top : top + cut[0], left : left + cut[1]]
    return F.interpolate(middle, [*size], mode="bilinear", antialias=True)


def _cell(size: Sequence[int]) -> int:
    return max(1, min(size) // 8)


def oriented_gradients(images: Tensor) -> Tensor:
    """Return histograms of the directions of edges, (N, 8, H', W'), of images (N, C, H, W) in [-1, 1]; differentiable.

    For each pixel, Sobel's gradient is shared among the 8 directions nearest to it; a cell of an eighth of the shorter
    side sums those around it, with weights that fall to 0 at the middles of its neighbours.
    """
    grey = (images.mean(dim=1, keepdim=True) + 1) / 2
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=images.device) / 4
    whole = F.pad(grey, [1, 1, 1, 1], mode="replicate")  # the border of an image is no edge
    gradient = F.conv2d(whole, torch.stack([across, across.T])[:, None])  # (N, 2, H, W)
    angles = torch.arange(_ORIENTATIONS, device=images.device) * (math.pi / _ORIENTATIONS)
    turned = torch.einsum("ok,nkhw->nohw", torch.stack([angles.cos(), angles.sin()], 1), gradient)
    cosine = math.cos(math.pi / _ORIENTATIONS)
    strength = (gradient.square().sum(dim=1, keepdim=True) + 1e-3).sqrt()
    shares = ((turned.abs() - cosine * strength) / (1 - cosine)).clamp_min(0)
    cell = _cell(images.shape[2:])
    fall = 1 - ((torch.arange(2 * cell, device=images.device) - cell + 0.5) / cell).abs()
    kernel = (fall[:, None] * fall).expand(_ORIENTATIONS, 1, -1, -1)
    return F.conv2d(shares, kernel, stride=cell, padding=cell // 2, groups=_ORIENTATIONS)
