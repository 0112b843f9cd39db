"""Painting: strokes, edges and moved regions; the way there; and edits that are carried over to a photograph."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.data.images import to_float, to_uint8
from gan_lightning.inference import CodesPrior, ImageName, LatentSampler, NormalPrior, UniformPrior
from gan_lightning.latent import LatentSpace, Warp, paint, transfer
from gan_lightning.latent.painting import oriented_gradients
from gan_lightning.latent.transfer import warped
from gan_lightning.recording import Network
from toys import StyledGenerator, equal, weights


class Bar(Network):
    """A grey 32x32 image with a soft bright bar, whose place and brightness are the two latents."""

    latent_dim, num_classes = 2, 0

    def __init__(self) -> None:
        super().__init__()
        self.bright = nn.Parameter(torch.tensor(0.5))

    def forward(self, z: Tensor) -> Tensor:
        places = torch.arange(32.0)
        bar = torch.exp(-((places - 15.5 - 4 * z[:, :1]) ** 2) / 8)
        shade = torch.exp(-((places - 15.5) ** 2) / 128)
        return ((self.bright + 0.3 * z[:, 1:, None]) * bar[:, None] * shade[:, None] - 0.5)[:, None]


def canvas(value: int, rows: slice, columns: slice, size: int = 32) -> Tensor:
    painted = torch.zeros(4, size, size, dtype=torch.uint8)
    painted[:3, rows, columns] = value
    painted[3, rows, columns] = 255
    return painted


@pytest.fixture
def space() -> LatentSpace:
    return LatentSpace(LatentSampler(Bar()), batch_size=3)


def test_nothing_painted_leaves_the_image(space: LatentSpace) -> None:
    start = space.points([ImageName(2)])
    before = weights(space.sampler.network)
    found = paint(space, start, torch.zeros(4, 40, 40, dtype=torch.uint8), candidates=4)
    assert torch.equal(found.points[:1], start)
    assert found.costs[0] == 0
    assert (found.costs[1:] > 0).all()
    assert equal(before, weights(space.sampler.network))
    assert all(parameter.grad is None for parameter in space.sampler.network.parameters())


def test_a_stroke_a_line_and_a_region_move_the_bar(space: LatentSpace) -> None:
    start = torch.tensor([[0.0, 0.0]])
    how: dict[str, Any] = {"candidates": 4, "steps": 50, "hold": 0.01}
    # bright pixels where the bar is to be
    stroke = paint(space, start, canvas(140, slice(8, 24), slice(19, 22)), **how)
    assert 0.6 < stroke.points[0, 0] < 1.6
    assert (stroke.costs.diff() >= 0).all()
    # the same in a canvas of another size and shape, whose middle counts
    wide = torch.zeros(4, 64, 96, dtype=torch.uint8)
    wide[:, :, 16:80] = canvas(140, slice(8, 24), slice(19, 22)).repeat_interleave(2, 1).repeat_interleave(2, 2)
    torch.testing.assert_close(paint(space, start, wide, **how).points, stroke.points, atol=0.1, rtol=0)
    dark = paint(space, start, canvas(64, slice(8, 24), slice(0, 32)), **how)
    assert dark.points[0, 1] < -0.5
    lines = paint(space, start, edges=canvas(0, slice(0, 32), slice(5, 7)), **how)
    assert lines.points[0, 0] < -0.3
    moved = paint(space, start, warps=[Warp(0.5, 0.5, 0.625, 0.5, 0.4)], **how)
    assert 0.6 < moved.points[0, 0] < 1.4  # 4 pixels
    held = paint(space, start, canvas(140, slice(8, 24), slice(19, 22)), candidates=1, steps=50, hold=100)
    assert held.points.abs().max() < 0.1


def test_the_way_leads_from_the_start_to_the_result(space: LatentSpace) -> None:
    start = torch.tensor([[0.5, 0.5]])
    found = paint(space, start, canvas(140, slice(8, 24), slice(19, 22)), candidates=4, keep=2)
    assert len(found) == 2
    way = found.morph(1, 7)
    assert way.shape == (7, 1, 32, 32)
    torch.testing.assert_close(way[:1], space.synthesize(start, [ImageName(0)], None))
    torch.testing.assert_close(to_uint8(way[-1]), found.images[1])


def test_results_depend_neither_on_the_batch_size_nor_on_other_candidates(space: LatentSpace) -> None:
    start, strokes = torch.tensor([[0.5, 0.5]]), canvas(140, slice(8, 24), slice(19, 22))
    one = paint(space, start, strokes, candidates=5, seed=4)
    many = paint(LatentSpace(space.sampler, batch_size=64), start, strokes, candidates=5, seed=4)
    torch.testing.assert_close(one.points, many.points)
    fewer = paint(space, start, strokes, candidates=2, seed=4)
    assert all(torch.cdist(fewer.points, one.points).min(dim=1).values < 1e-5)
    assert not torch.equal(paint(space, start, strokes, candidates=5, seed=5).points, one.points)


def test_without_a_start_candidates_are_random_images_and_stay_plausible() -> None:
    torch.manual_seed(0)
    space = LatentSpace(LatentSampler(Bar(), UniformPrior(1.5)))
    found = paint(space, None, canvas(140, slice(8, 24), slice(19, 22)), candidates=6, keep=6, seed=3)
    drawn = space.points([ImageName(3, number) for number in range(6)])
    assert torch.equal(found.starts.sort(dim=0).values, drawn.sort(dim=0).values)
    assert found.points.abs().max() < 1.5
    with pytest.raises(ValueError, match="a region moves from a start"):
        paint(space, None, warps=[Warp(0.5, 0.5, 0.6, 0.5, 0.2)])


def test_styles_and_classes_are_painted_too() -> None:
    torch.manual_seed(0)
    space = LatentSpace(LatentSampler(StyledGenerator(num_classes=3)))
    target = space.make([ImageName(9, 1)], torch.tensor([1]))
    strokes = torch.cat([to_uint8(target[0]).expand(3, -1, -1), torch.full((1, 4, 4), 255, dtype=torch.uint8)])
    start = space.points([ImageName(1)], torch.tensor([1]))
    found = paint(space, start, strokes, label=1, noise=ImageName(9, 1), candidates=4, steps=200, hold=0)
    assert (to_float(found.images[0]) - target).square().mean() < 1e-3


@pytest.mark.parametrize("prior", [NormalPrior(), UniformPrior(0.7), CodesPrior(4, 2)])
def test_coordinates_without_bounds_give_latents_within_the_prior(prior: Any) -> None:
    z = prior.draw(50, 10)
    # one-hot vectors are within 0.01 of their mixtures; uniform latents within a hundredth of the bound
    torch.testing.assert_close(prior.bounded(prior.free(z)), z, atol=0.04, rtol=0)
    far = prior.bounded(prior.free(z) + 20 * torch.randn(50, 10))
    if isinstance(prior, UniformPrior):
        assert far.abs().max() <= 0.7
    if isinstance(prior, CodesPrior):
        torch.testing.assert_close(far[:, 4:8].sum(dim=1), torch.ones(50))
        assert far.abs().max() <= 1


def test_edges_are_sorted_by_their_direction() -> None:
    vertical = torch.full((1, 1, 64, 64), -1.0)
    vertical[..., 32:] = 1
    for image, strongest in ((vertical, 0), (vertical.mT, 4)):
        found = oriented_gradients(image)
        assert found.shape[1] == 8
        assert found.sum(dim=(0, 2, 3)).argmax() == strongest
    assert oriented_gradients(torch.zeros(2, 3, 64, 64)).abs().max() == 0
    assert oriented_gradients(torch.zeros(2, 3, 4, 6)).isfinite().all()


def test_a_canvas_needs_transparency(space: LatentSpace) -> None:
    with pytest.raises(ValueError, match=r"the shape \(3, 8, 8\): save it with an alpha channel"):
        paint(space, None, torch.zeros(3, 8, 8, dtype=torch.uint8))


# ---------------------------------------------------------------------- edits of photographs


def picture(size: int, shift: float = 0.0, channels: int = 3) -> Tensor:
    """Soft blobs, moved to the right by a share of the width, float (1, C, size, size)."""
    x = torch.linspace(0, 1, size)
    rows = torch.sin(9 * x)[:, None] + torch.cos(17 * x)[:, None]
    values = rows * torch.sin(14 * (x - shift)) / 3 + 0.3 * torch.cos(25 * (x - shift))
    return torch.stack([values * (1 - 0.2 * c) for c in range(channels)])[None].clamp(-1, 1)


def test_motion_and_colours_of_an_edit_reach_the_photograph() -> None:
    pytest.importorskip("skimage")
    shift = 0.06
    frames = torch.cat([0.8 ** (t / 6) * picture(64, shift * t / 6) for t in range(7)])
    photograph, expected = picture(128), 0.8 * picture(128, shift)
    result = to_float(transfer(to_uint8(photograph)[0], frames))
    inner = (slice(None), slice(16, -16), slice(16, -16))
    before = (photograph - expected)[0][inner].square().mean()
    after = (result - expected[0])[inner].square().mean()
    assert after < 0.05 * before
    # no edit, no change: that of rounding
    same = transfer(to_uint8(photograph)[0], picture(64).expand(4, -1, -1, -1))
    assert (same.int() - to_uint8(photograph)[0].int()).abs().float().mean() < 1
    wide = torch.cat([photograph, photograph], dim=3)[0]
    assert transfer(to_uint8(wide), frames[:, :1]).shape == (1, 128, 256)


def test_warping_fetches_pixels_from_the_motions_end() -> None:
    image = torch.arange(20.0).view(1, 1, 4, 5)
    motion = torch.stack([torch.ones(4, 5), -torch.ones(4, 5)])
    moved = warped(image, motion)
    torch.testing.assert_close(moved[0, 0, :3, 1:], image[0, 0, 1:, :4])


def test_half_turns_are_the_same_edge() -> None:
    wave = torch.sin(torch.arange(64) * 2 * math.pi / 16).expand(1, 1, 64, 64)
    torch.testing.assert_close(oriented_gradients(wave), oriented_gradients(-wave), atol=1e-4, rtol=1e-4)
