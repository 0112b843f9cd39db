"""Where tiles lie along one side of an image, and how much each of them counts there."""

import math

import torch
from torch import Tensor


def round_up(length: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is not below `length`."""
    return math.ceil(length / multiple) * multiple


def tile_starts(length: int, tile: int, overlap: int, multiple: int) -> list[int]:
    """First pixels of tiles that cover `length` pixels, evenly spread; a single 0 where one tile is enough.

    Neighbours share `overlap` pixels at least. The last tile ends where the next multiple of `multiple` does.
    Tiles begin at multiples of `multiple`, so that the network's strides fall on the same pixels in each of them,
    unless that would leave no step between them.

    Args:
        length: pixels along the side.
        tile: pixels of a tile, a multiple of `multiple`.
        overlap: pixels, half of a tile at most.
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
    """How much each tile counts at each of its own pixels, float32 (tiles, tile); at each pixel of the side, 1 in all.

    Where neighbours overlap, the outer quarter of `overlap` counts for nothing, as the network saw too little around
    it; in the half behind it weights rise along a raised cosine. At the ends of the side tiles count in full.

    Args:
        starts: from `tile_starts`.
        tile: pixels of a tile.
        overlap: pixels that neighbours share at least.
        blend: False = one tile alone counts at each pixel, that with the largest weight.
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
    """Indices of `count` pixels from `start` on, int64 (count,), of a side of `length` pixels mirrored at both ends.

    As often as it takes, without repeating the pixels at the ends; the only pixel of a side, where it is one.
    """
    period = max(2 * (length - 1), 1)
    places = torch.arange(start, start + count) % period
    return torch.minimum(places, period - places)
