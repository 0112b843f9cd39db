"""Arcs and lines between latents."""

import pytest
import torch
from torch import nn

from gan_lightning.inference.paths import lerp, slerp, unit_slerp

WIDTH = 16


def test_slerp_goes_from_end_to_end_at_constant_speed():
    a, b = torch.randn(2, 30, WIDTH, generator=torch.Generator().manual_seed(0))
    units = [nn.functional.normalize(end.double(), dim=1) for end in (a, b)]
    angle = (units[0] * units[1]).sum(dim=1).acos()
    assert torch.allclose(unit_slerp(a, b, torch.zeros(30)), units[0])
    assert torch.allclose(unit_slerp(a, b, torch.ones(30)), units[1])
    for t in -0.5, 0.3, 0.7:
        expected = ((1 - t) * angle).sin()[:, None] * units[0] + (t * angle).sin()[:, None] * units[1]
        assert torch.allclose(unit_slerp(a, b, torch.full((30,), t)), expected / angle.sin()[:, None])


def test_slerp_between_equal_opposite_and_nearly_such_ends():
    a = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(0)).double()
    a[3] = torch.eye(WIDTH)[0]
    unit = nn.functional.normalize(a, dim=1)
    t = torch.tensor([0.0, 0.25, 0.5, 1.0])
    assert torch.allclose(unit_slerp(a, 3 * a, t), unit)
    across = unit_slerp(a, -a, t)
    assert torch.allclose(across.norm(dim=1), torch.ones(4).double())
    assert torch.allclose((across * unit).sum(dim=1), (torch.pi * t.double()).cos(), atol=1e-7)
    for b in a + 1e-6, -a + 1e-6:
        near = unit_slerp(a, b, t)
        assert near.isfinite().all()
        assert torch.allclose(near.norm(dim=1), torch.ones(4).double())
        assert torch.allclose(near[3], nn.functional.normalize(b, dim=1)[3])


def test_slerp_keeps_lengths_and_ends():
    """The middle of normal latents has their length, and is 1/√2 as long on the straight line."""
    a, b = torch.randn(2, 400, 128, generator=torch.Generator().manual_seed(0))
    half = torch.full((400,), 0.5)
    length = 0.5 * (a.norm(dim=1) + b.norm(dim=1))
    torch.testing.assert_close(slerp(a, b, half).norm(dim=1), length)
    assert (lerp(a, b, half).norm(dim=1) / length).mean() == pytest.approx(0.5**0.5, abs=0.005)
    for path in slerp, lerp:
        for t, end in (0, a), (1, b):
            torch.testing.assert_close(path(a, b, torch.full((400,), t)).float(), end)
    a, b = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]])  # the paper's formula, for ends of equal length
    third = slerp(a, b, torch.tensor([1 / 3]))
    torch.testing.assert_close(third, torch.tensor([[3 * 0.75**0.5, 1.5]]))
