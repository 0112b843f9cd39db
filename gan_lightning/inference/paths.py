"""Paths between latents: great circles in z, straight lines in w."""

import torch
from torch import Tensor
from torch.nn import functional as F


def unit_slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Return points on the unit sphere, float64 (N, d), at t (N,) on the great circle from a to b, both (N, d).

    a and b need not have unit length. t = 0 is at a, and t = 1 at b; other t are allowed. Between opposite ends, the
    circle is one of those possible.
    """
    a, b = (F.normalize(end.double(), dim=1) for end in (a, b))
    # by the tangent of half the angle, which is exact near 0 and π, unlike acos(a·b)
    angle = 2 * torch.atan2((a - b).norm(dim=1), (a + b).norm(dim=1))
    across = b - (a * b).sum(dim=1, keepdim=True) * a
    collinear = across.norm(dim=1, keepdim=True) < 1e-8
    axis = F.one_hot(a.abs().argmin(dim=1), a.shape[1]).to(a)  # the axis furthest from a
    across = torch.where(collinear, axis - (a * axis).sum(dim=1, keepdim=True) * a, across)
    turned = (angle * t)[:, None]
    return a * turned.cos() + F.normalize(across, dim=1) * turned.sin()


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Interpolate spherically between latents (White, "Sampling Generative Networks", 2016, arXiv 1609.04468).

    A normal latent has nearly the length √d, and points on a straight line between two of them are shorter, down to
    1/√2 of it: a generator has not learnt from such points. On the sphere, lengths are kept. Of a prior with bounds,
    points between may lie outside.

    NOTE: the paper's formula fits ends of equal length; here the length goes linearly from that of a to that of b, at a
    constant angular speed.

    Args:
        a: float (N, d).
        b: float (N, d).
        t: (N,); 0 is a, 1 is b.

    Returns:
        Points in a's dtype, (N, d).
    """
    lengths = lerp(a.norm(dim=1), b.norm(dim=1), t)
    return (unit_slerp(a, b, t) * lengths[:, None]).to(a.dtype)


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Return points at t (N,) on straight lines from a to b, both (N, ...), float64."""
    return torch.lerp(a.double(), b.double(), t.double().view(-1, *[1] * (a.ndim - 1)))
