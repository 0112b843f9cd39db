"""Pictures of shapes: voxels as shaded projections from above and beside. Differentiable, and without any package."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

AZIMUTH, ELEVATION = 35.0, 28.0
"""Degrees of the camera: to the side of the front, which is the end of z, and above the ground."""
SHARPNESS = 24.0  # of the step from empty to opaque at occupancy 1/2
_AMBIENT, _DIFFUSE = 0.12, 0.8  # light from everywhere, and from the lamp
_WIDE, _DEEP = 1.5, 1.75  # half the extent of the picture and of the rays, in halves of the grid
_AT_ONCE = 2_000_000  # points of rays


def shaded(voxels: Tensor) -> Tensor:
    """Draw shapes in grey on white, by rays that are parallel.

    Each ray collects light from front to back, as in volume rendering (Max, "Optical Models for Direct Volume
    Rendering", 1995): a point is opaque by a sigmoid of its occupancy around 1/2, and as bright as its surface is
    turned to the lamp. The picture is differentiable in the voxels.

    Args:
        voxels: float (N, 1, S, S, S) in [-1, 1], the axes (x, y, z), y upwards.

    Returns:
        float32 (N, 1, 2S, 2S) in [-1, 1].

    Raises:
        ValueError: the grids have several channels.
    """
    if voxels.dim() != 5 or voxels.shape[1] != 1:
        raise ValueError(f"shapes to be drawn are (N, 1, X, Y, Z), not {tuple(voxels.shape)}: give one channel")
    side = max(voxels.shape[2:])
    rays = _rays(side, voxels.device)
    at_once = max(1, _AT_ONCE // (rays.shape[0] * rays.shape[1] * rays.shape[2]))
    with torch.autocast(voxels.device.type, enabled=False):
        parts = [_drawn(part, rays) for part in voxels.float().split(at_once)]
    return torch.cat(parts) if parts else voxels.new_zeros(0, 1, 2 * side, 2 * side)


def _camera() -> tuple[tuple[float, ...], ...]:
    """Return the directions to the right, upwards and into the picture, as (x, y, z)."""
    a, e = math.radians(AZIMUTH), math.radians(ELEVATION)
    right = (math.cos(a), 0.0, -math.sin(a))
    into = (-math.sin(a) * math.cos(e), -math.sin(e), -math.cos(a) * math.cos(e))
    up = (-math.sin(a) * math.sin(e), math.cos(e), -math.cos(a) * math.sin(e))
    return right, up, into


def _rays(side: int, device: torch.device) -> Tensor:
    """Return the points of all rays, from front to back, as grid_sample takes them: (depth, 2S, 2S, 3)."""
    right, up, into = (torch.tensor(each, device=device) for each in _camera())
    pixels = (torch.arange(2 * side, device=device) + 0.5) / side - 1
    depths = torch.linspace(-_DEEP, _DEEP, math.ceil(_DEEP * side), device=device)
    across, down = _WIDE * pixels[:, None] * right, -_WIDE * pixels[:, None] * up
    points = depths[:, None, None, None] * into + down[None, :, None] + across[None, None]
    return points.flip(-1)  # (x, y, z) are the axes 2, 3, 4 of voxels, and grid_sample counts from the last


def _drawn(voxels: Tensor, rays: Tensor) -> Tensor:
    occupancy = (voxels + 1) / 2
    # beyond the grid is empty space
    around = F.pad(occupancy, (1,) * 6)
    smooth = F.avg_pool3d(F.pad(occupancy, (2,) * 6), 3, stride=1)
    slopes = torch.stack(torch.gradient(smooth[:, 0], dim=[1, 2, 3]))  # (3, N, X, Y, Z), up into the shape
    right, up, into = (torch.tensor(each, device=voxels.device) for each in _camera())
    lamp = F.normalize(0.8 * up - 0.5 * right - 0.7 * into, dim=0)
    turned = -torch.einsum("i,i...->...", lamp, slopes) / (slopes.square().sum(0) + 1e-6).sqrt()
    light = _AMBIENT + _DIFFUSE * turned.clamp_min(0)
    both = torch.cat([around, light[:, None]], dim=1)
    scale = torch.tensor([side / (side + 2) for side in reversed(voxels.shape[2:])], device=voxels.device)
    found = F.grid_sample(
        both, (rays * scale).expand(len(voxels), -1, -1, -1, -1), padding_mode="zeros", align_corners=False
    )
    opacity = torch.sigmoid(SHARPNESS * (found[:, 0] - 0.5))
    through = (1 - opacity).cumprod(dim=1)
    arriving = torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], dim=1)
    grey = (arriving * opacity * found[:, 1]).sum(dim=1) + through[:, -1]
    return 2 * grey.clamp(0, 1)[:, None] - 1
