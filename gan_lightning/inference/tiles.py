"""Positions of tiles along one side of an image, and their weights."""

import math

import torch
from torch import Tensor


def round_up(length: int, multiple: int) -> int:
    """Return the smallest multiple of `multiple` that is not below `length`."""
    return math.ceil(length / multiple) * multiple


def tile_starts(length: int, tile: int, overlap: int, multiple: int) -> list[int]:
    """Return the first pixels of tiles that cover `length` pixels, evenly spread; a single 0 if one tile is enough.

    Neighbours share at least `overlap` pixels. The last tile ends at the next multiple of `multiple`. Tiles begin at
    multiples of `multiple`, so that the network's strides meet the same pixels in each of them, unless that would leave
    no step between them.

    Args:
        length: length of the side, in pixels.
        tile: length of a tile, in pixels, a multiple of `multiple`.
        overlap: shared pixels, at most half a tile.
        multiple: see above.
    """
    if length <= tile:
        return [0]
    step = tile - overlap
    grid = multiple if step >= multiple else 1
    step -= step % grid
    last = round_up(length, grid) - tile
    steps = math.ceil(last / step)
    return [last * i // steps // grid * grid for i in range(steps + 1)]


def tile_weights(starts: list[int], tile: int, overlap: int, blend: bool) -> Tensor:
    """Return the weight of each tile at each of its own pixels, float32 (tiles, tile), with sum 1 at each pixel.

    In an overlap, the outer quarter has weight 0, since the network saw too little around it. In the half behind it the
    weights rise along a raised cosine. At the ends of the side tiles have full weight.

    Args:
        starts: the result of `tile_starts`.
        tile: length of a tile, in pixels.
        overlap: smallest number of pixels that neighbours share.
        blend: False = at each pixel only the tile with the largest weight counts.
    """
    pixels = torch.arange(tile) + 0.5
    rise = 0.5 - 0.5 * (math.pi * ((pixels - overlap / 4) / (overlap / 2)).clamp(0, 1)).cos()
    placed = torch.zeros(len(starts), starts[-1] + tile)
    for i, start in enumerate(starts):
        weights = placed[i, start : start + tile].fill_(1)
        if i > 0:
            weights *= rise
        if i < len(starts) - 1:
            weights *= rise.flip(0)
    shares = placed / placed.sum(0) if blend else torch.zeros_like(placed).scatter_(0, placed.argmax(0)[None], 1)
    return torch.stack([shares[i, start : start + tile] for i, start in enumerate(starts)])


def reflected(start: int, count: int, length: int) -> Tensor:
    """Return the indices, int64 (count,), of `count` pixels from `start` on, for a side of `length` pixels.

    The side is mirrored at both ends as often as necessary, without a repetition of the end pixels.
    """
    period = max(2 * (length - 1), 1)
    places = torch.arange(start, start + count) % period
    return torch.minimum(places, period - places)
