"""Paths between images and classes, and videos of them."""

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from every_model import FROM_LATENTS
from gan_lightning.inference import LatentSampler
from gan_lightning.inference.mixing import ClassMixture
from gan_lightning.inference.paths import slerp
from gan_lightning.latent import LatentPath, LatentSpace, image_names, write_video
from gan_lightning.latent.commands.images import interpolate
from toys import StyledGenerator, read_png

NAMES = image_names("0-3")


def path(space: Any = None, classes: list[int] | None = None, **how: Any) -> LatentPath:
    torch.manual_seed(0)
    sampler = LatentSampler(StyledGenerator(0 if classes is None else 3))
    return LatentPath.through(LatentSpace(sampler, space, **how), NAMES, classes)


def test_a_strip_leads_from_stop_to_stop() -> None:
    stops = path("z")
    strip = stops.strip(5).points.unflatten(0, (3, 5))
    torch.testing.assert_close(strip[:, 0], stops.points[:3])
    torch.testing.assert_close(strip[:, 4], stops.points[1:])
    for t in range(5):
        torch.testing.assert_close(
            strip[:, t], slerp(stops.points[:3], stops.points[1:], torch.full((3,), t / 4)), msg=f"{t}"
        )
    straight = path("w")
    middle = straight.strip(3).points.unflatten(0, (3, 3))[:, 1]
    torch.testing.assert_close(middle, (straight.points[1:] + straight.points[:3]) / 2)
    assert len(straight.strip(1)) == 3


def test_a_grid_has_the_four_images_at_its_corners() -> None:
    for space in ("z", "w"):
        stops = path(space)
        grid = stops.corners(4).points.unflatten(0, (4, 4))
        torch.testing.assert_close(grid[::3, ::3].flatten(0, 1), stops.points)
        torch.testing.assert_close(grid[0], stops[[0, 1]].strip(4).points)
        torch.testing.assert_close(grid[:, 3], stops[[1, 3]].strip(4).points)
    with pytest.raises(ValueError, match="four corners, and 3 images are named"):
        stops[[0, 1, 2]].corners(4)


def test_a_loop_closes_without_a_pause() -> None:
    stops = path("w")
    loop = stops.around(torch.arange(40, dtype=torch.float64) / 10).points
    torch.testing.assert_close(loop[::10], stops.points)
    steps = (loop.roll(-1, 0) - loop).norm(dim=1).unflatten(0, (4, 10))
    torch.testing.assert_close(steps, steps[:, :1].expand(-1, 10))  # also from the last frame to the first
    images = list(stops.loop(7, NAMES[0]))
    assert len(images) == 7
    torch.testing.assert_close(images[0], next(iter(stops.images(NAMES[0])))[0], atol=1, rtol=0)


@pytest.mark.parametrize("build", FROM_LATENTS, ids=lambda build: build.__name__)
def test_a_whole_class_in_a_mixture_is_the_class(build: Any) -> None:
    """And half of two classes is neither, for every model with classes."""
    torch.manual_seed(0)
    sampler = build().sampler
    if not sampler.num_classes:
        return
    for part in sampler.network.modules():
        if isinstance(part, nn.Embedding):  # all of a conditional batch norm's classes begin alike
            nn.init.normal_(part.weight)
    z, labels = sampler.draw(2), torch.tensor([1, sampler.num_classes - 1])
    plain = sampler.synthesize(z, labels)
    given = torch.zeros(2, dtype=torch.int64)
    every = torch.eye(sampler.num_classes)
    for weights, same in ((every[labels], True), (every[:2].mean(dim=0).expand(2, -1), False)):
        with ClassMixture(given, weights) as mixture:
            mixed = sampler.synthesize(z, given)
        assert mixture.used
        assert torch.allclose(mixed, plain, atol=1e-6) == same


def test_a_generator_that_cannot_mix_classes_says_so() -> None:
    class Looping(nn.Module):
        latent_dim, num_classes = 3, 3

        def forward(self, z: Tensor, labels: Tensor) -> Tensor:
            return (z.mean(dim=1) / 10 + labels / 10).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)

    stops = LatentPath.through(LatentSpace(LatentSampler(Looping())), NAMES[:1], [0, 2])
    with pytest.raises(ValueError, match="Looping takes its classes neither as one-hot vectors nor by an embedding"):
        list(stops.strip(3).images(NAMES[0]))
    same = LatentPath.through(LatentSpace(LatentSampler(Looping())), NAMES, [2])
    assert len(next(iter(same.strip(3).images(NAMES[0])))) == 9  # one class needs no mixture


def test_the_noise_of_the_generator_stays(styled: Path, tmp_path: Path) -> None:
    stops = path("w")
    still = stops[[1, 1]].strip(3)
    first, *others = next(iter(still.images(NAMES[0])))
    assert all(torch.equal(first, other) for other in others)


def test_pictures_and_videos(styled: Path, plain: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"trusted": ["toys"], "device": "cpu"}
    interpolate(styled, tmp_path / "strip.png", classes="0,2", steps=5, psi=0.5, **how)
    assert read_png(tmp_path / "strip.png").shape == (1, 8, 32)
    interpolate(styled, tmp_path / "mix.png", space="z", classes="0,2,1", steps=4, **how)
    assert read_png(tmp_path / "mix.png").shape == (1, 14, 26)
    interpolate(plain, tmp_path / "grid.png", layout="grid", steps=3, **how)
    assert read_png(tmp_path / "grid.png").shape == (1, 20, 20)
    interpolate(plain, tmp_path / "loop.gif", seeds="0:3,5", seconds=1.5, fps=30, batch_size=7, **how)
    with Image.open(tmp_path / "loop.gif") as video:
        assert (video.size, video.info["loop"]) == ((256, 256), 0)
        lengths = []
        for number in range(video.n_frames):  # equal frames become a longer one
            video.seek(number)
            lengths.append(video.info["duration"])
    assert sum(lengths) == 1500
    assert {30, 40} <= {*lengths}


def test_an_mp4_has_its_length_rate_and_even_sides(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    frames = torch.randint(256, (12, 3, 300, 257), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_video(frames, tmp_path / "noise.mp4", fps=24)
    assert list(tmp_path.iterdir()) == [tmp_path / "noise.mp4"]
    facts = next(ffmpeg.read_frames(str(tmp_path / "noise.mp4")))
    assert facts["size"] == (258, 300)
    assert facts["fps"] == 24
    assert math.isclose(facts["duration"], 0.5, abs_tol=0.02)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"seeds": "3"}, "name two seeds or more, or two classes of one"),
        ({"seeds": "0-2", "layout": "grid"}, "four corners, and 3 images"),
        ({"seeds": "0-2", "classes": "0,1"}, "3 images and 2 classes do not fit together"),
        ({"classes": "3"}, "no class '3': its classes are 0 to 2"),
        ({"out": "path.avi"}, r"path\.avi cannot be written: name a picture \(\.png\) or a video \(\.mp4 or \.gif\)"),
        ({"out": "path.gif", "fps": 60.0}, "50 frames a second at most, not 60"),
        ({"out": "path.gif", "fps": 0.0}, r"fps=0\.0 is out of range"),
        ({"steps": 0}, "steps=0 is out of range"),
    ],
)
def test_a_mistake_is_a_sentence_and_writes_nothing(
    styled: Path, tmp_path: Path, changed: dict[str, Any], sentence: str
) -> None:
    given = {"out": "path.png", "trusted": ["toys"], "device": "cpu"} | changed
    with pytest.raises(ValueError, match=sentence):
        interpolate(**{"checkpoint": styled} | given | {"out": tmp_path / given["out"]})
    assert list(tmp_path.iterdir()) == []


def test_a_space_that_is_not_there_and_a_package_that_is_not(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how: dict[str, Any] = {"trusted": ["toys"], "device": "cpu"}
    with pytest.raises(ValueError, match="ToyGenerator has no space w, since it has no styles: use the space z"):
        interpolate(plain, tmp_path / "path.png", space="w", **how)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'gan_lightning\[video\]', or write a \.gif"):
        interpolate(plain, tmp_path / "path.mp4", **how)
