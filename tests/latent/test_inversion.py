"""Inversion: planted latents are found, by optimisation and by an encoder; files of latents; images of one's own."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.data.images import fit_image, to_float, to_uint8, write_png
from gan_lightning.evaluation.sources import load_sampler
from gan_lightning.inference import ImageName, LatentSampler, UniformPrior
from gan_lightning.latent import (
    Encoder,
    LatentSpace,
    OwnImages,
    SavedPoints,
    image_names,
    invert,
    place,
    read_ends,
    train_encoder,
)
from gan_lightning.latent.commands import inversion as commands
from gan_lightning.latent.commands.images import arithmetic, interpolate
from gan_lightning.latent.commands.painting import paint
from gan_lightning.latent.inversion import _shake, rate
from gan_lightning.latent.stored import write_tensors
from gan_lightning.metrics.perceptual_named import make_distance
from toys import StyledGenerator, ToyGenerator, equal, read_png, weights

HOW: dict[str, Any] = {"trusted": ["toys"], "device": "cpu"}


def toy(prior: Any = None, latent_dim: int = 3) -> LatentSpace:
    torch.manual_seed(0)
    return LatentSpace(LatentSampler(ToyGenerator(latent_dim), prior), batch_size=7)


def styled(classes: int = 0, name: Any = "w") -> LatentSpace:
    torch.manual_seed(0)
    return LatentSpace(LatentSampler(StyledGenerator(classes)), name)


def errors(made: Tensor, images: Tensor) -> Tensor:
    return (to_float(made) - images).square().mean(dim=(1, 2, 3))


# ---------------------------------------------------------------------- optimisation


@pytest.mark.parametrize("prior", [None, UniformPrior()])
def test_planted_latents_are_found_and_the_generator_is_left_as_it_was(prior: Any) -> None:
    space = toy(prior)
    before = weights(space.sampler.network)
    images = space.make(image_names("7:0-3"))
    found = invert(space, images)
    assert (errors(found.images, images) < 1e-3).all()
    assert (found.psnr > 36).all()
    assert found.ssim.isnan().all()  # of 4x4 pixels
    assert found.perceptual.isnan().all()
    torch.testing.assert_close(found.points, space.points(image_names("7:0-3")), atol=0.1, rtol=0)
    assert equal(before, weights(space.sampler.network))
    assert all(parameter.grad is None for parameter in space.sampler.network.parameters())


def test_planted_styles_are_found_by_the_projectors_schedule() -> None:
    assert [rate(done) for done in (0, 0.025, 0.05, 0.75, 0.875)] == pytest.approx([0, 0.05, 0.1, 0.1, 0.05])
    assert [_shake(done) for done in (0, 0.375, 0.75, 0.9)] == pytest.approx([0.05, 0.0125, 0, 0])
    space = styled()
    planted = space.points(image_names("5:0-3"))
    images = space.synthesize(planted, [ImageName(0)] * 4, None).detach()
    before = weights(space.sampler.network)
    found = invert(space, images)
    start = space.mean_style()
    assert ((found.points - planted).norm(dim=1) < 0.1 * (start - planted).norm(dim=1)).all()
    assert equal(before, weights(space.sampler.network))
    # the mean style without a step
    assert torch.equal(invert(space, images, steps=0).points, start.expand(4, -1))
    z = torch.randn(50_000, 3)
    styles = space.sampler.map(z).detach()
    assert space.spread() == pytest.approx(float((styles - styles.mean(0)).square().sum(1).mean().sqrt()), rel=0.02)


def test_an_image_ends_alike_whatever_the_batch_and_the_others() -> None:
    for space, steps in ((toy(), 30), (styled(3), 30)):
        images = space.make(image_names("7:0-4"))
        found = invert(space, images, steps=steps, starts=2)
        other = LatentSpace(space.sampler, space.name, batch_size=64)
        alone = invert(other, images[3:], steps=steps, starts=2)
        torch.testing.assert_close(found.points[3:], alone.points)
        assert not torch.equal(invert(space, images, steps=steps, starts=2, seed=1).points, found.points)


def test_the_class_is_that_given_or_the_best() -> None:
    space = styled(3)
    images = space.make(image_names("7:0-2"), torch.tensor([2, 0, 1]))
    given = invert(space, images, torch.tensor([1, 1, 0]), steps=5)
    assert given.labels is not None
    assert given.labels.tolist() == [1, 1, 0]
    best = invert(space, images, steps=5)
    assert best.labels is not None
    each = [invert(space, images, torch.full((3,), label), steps=5).psnr for label in range(3)]
    assert (best.psnr > torch.stack(each).amax(dim=0) - 0.3).all()  # of rounded images
    with pytest.raises(ValueError, match="makes images without classes"):
        invert(toy(), toy().make(image_names("0")), torch.tensor([0]))
    with pytest.raises(ValueError, match=r"\(1, 4, 4\), and these have \(3, 8, 8\): scale them"):
        invert(toy(), torch.zeros(1, 3, 8, 8))


def test_a_perceptual_distance_counts() -> None:
    distance = make_distance("digits", 32)
    assert distance is not None
    images = F.interpolate(torch.rand(3, 1, 4, 4) * 2 - 1, 32)
    assert (distance(images, images) == 0).all()
    far, near = (distance(images, images + size * torch.randn(images.shape)) for size in (0.5, 0.05))
    assert (far > near).all()
    assert make_distance("none", 4) is None
    assert make_distance("auto", 4) is None  # 4x4 pixels are too few for any
    with pytest.raises(ValueError, match="needs images of at least 14x14 pixels"):
        make_distance("digits", 4)
    pytest.importorskip("efficientnet_lite_pytorch")
    colours = make_distance("efficientnet_lite0", 32)
    assert colours is not None
    images = images.repeat(1, 3, 1, 1).requires_grad_()
    colours(images, images.detach().flip(3)).sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()


# ---------------------------------------------------------------------- an encoder


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    found, quality = train_encoder(toy(), steps=300, batch_size=32)
    assert quality.explained > 0.9
    assert quality.psnr > 20
    return found


def test_a_start_by_an_encoder_needs_fewer_steps(encoder: Encoder) -> None:
    space = toy()
    before = weights(space.sampler.network)
    images = space.make(image_names("7:0-7"))
    for steps in (0, 15):
        by_encoder, random = (
            errors(invert(space, images, encoder=given, steps=steps, starts=1).images, images).mean()
            for given in (encoder, None)
        )
        assert by_encoder < 0.5 * random
    assert equal(before, weights(space.sampler.network))


def test_an_encoder_is_kept_in_a_file_and_belongs_to_its_model(encoder: Encoder, tmp_path: Path) -> None:
    file = tmp_path / "encoder.safetensors"
    encoder.save(file)
    space = toy()
    images = space.make(image_names("7:0-7"))
    torch.testing.assert_close(Encoder.load(file).points(space, images), encoder.points(space, images))
    torch.manual_seed(1)
    with pytest.raises(ValueError, match="a model of other weights"):
        encoder.check(LatentSpace(LatentSampler(ToyGenerator())))
    with pytest.raises(ValueError, match="the encoder estimates z, and w is asked for"):
        encoder.check(styled())
    with pytest.raises(FileNotFoundError, match="a file of encoder"):
        Encoder.load(tmp_path / "absent.safetensors")
    state = encoder.network.state_dict()
    good = {"image_shape": [1, 4, 4], "outputs": 3, "width": 32}
    for about in ({**good, "width": 10**9}, {**good, "width": 4}, {**good, "outputs": "3"}, [], {}):
        write_tensors(file, "encoder", state, {"space": "z", "model": "", "about": json.dumps(about)})
        with pytest.raises(ValueError, match=r"holds no encoder|that is damaged"):
            Encoder.load(file)
    broken = {name: values * float("nan") if values.is_floating_point() else values for name, values in state.items()}
    write_tensors(file, "encoder", broken, {"space": "z", "model": "", "about": json.dumps(good)})
    with pytest.raises(ValueError, match="that is damaged"):
        Encoder.load(file)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 28, 28), (4, 17, 40)])
def test_an_encoder_takes_images_of_any_size_and_channels(shape: tuple[int, int, int]) -> None:
    from gan_lightning.latent.encoder import EncoderNetwork

    assert EncoderNetwork(shape, 5, 4)(torch.zeros(2, *shape)).shape == (2, 5)


# ---------------------------------------------------------------------- files


def test_latents_are_kept_in_a_file_and_belong_to_their_model(tmp_path: Path) -> None:
    space = styled(3)
    found = invert(space, space.make(image_names("7:0-2")), steps=3)
    file = tmp_path / "latents.safetensors"
    SavedPoints.of(space, found, ["a", "b", "c"], {"seed": "0"}).save(file)
    saved = SavedPoints.load(file)
    saved.check(space)
    assert torch.equal(saved.points, found.points)
    assert saved.labels is not None
    assert saved.labels.tolist() == found.labels.tolist()  # type: ignore[union-attr]
    assert (saved.names, saved.noise, saved.about) == (["a", "b", "c"], found.noise, {"seed": "0"})
    assert torch.equal(saved.scores["psnr"], found.psnr)
    with pytest.raises(ValueError, match="the latents are of the space w, not z"):
        saved.check(styled(3, "z"))
    with pytest.raises(ValueError, match="a model of other weights"):
        saved.check(toy())


@pytest.mark.parametrize(
    "changed",
    [
        {"points": torch.zeros(2, 4)},
        {"points": torch.full((3, 4), float("nan"))},
        {"points": torch.zeros(3, 4, dtype=torch.float64)},
        {"points": torch.zeros(0, 4)},
        {"noise": torch.full((3, 2), -1)},
        {"labels": torch.tensor([0, 1, -2])},
        {"score.psnr": torch.zeros(2)},
        {"space": "v"},
        {"names": '["a"]'},
        {"about": "3"},
        {"about": "{"},
        {"names": "[" * 100_000},
    ],
)
def test_damaged_latents_are_a_sentence(tmp_path: Path, changed: dict[str, Any]) -> None:
    tensors: dict[str, Any] = {"points": torch.zeros(3, 4), "noise": torch.zeros(3, 2, dtype=torch.int64)}
    facts = {"space": "w", "model": "", "names": '["a", "b", "c"]', "about": "{}"}
    file = tmp_path / "latents.safetensors"
    write_tensors(file, "latents", tensors, facts)
    assert len(SavedPoints.load(file)) == 3
    for name, value in changed.items():
        (facts if isinstance(value, str) else tensors)[name] = value
    write_tensors(file, "latents", tensors, facts)
    with pytest.raises(ValueError, match=r"latents\.safetensors holds"):
        SavedPoints.load(file)


def test_images_are_fitted_to_the_model() -> None:
    wide = torch.zeros(3, 20, 60, dtype=torch.uint8)
    wide[:, :, 20:40] = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None]
    assert (fit_image(wide, (3, 10, 10))[:, :, 2:-2] == torch.tensor([255, 0, 0])[:, None, None]).all()
    assert (fit_image(wide, (1, 10, 10))[:, :, 2:-2] == 76).all()
    clear = torch.cat([wide, torch.zeros(1, 20, 60, dtype=torch.uint8)])
    assert (fit_image(clear, (3, 10, 10)) == 255).all()
    assert fit_image(clear, (4, 10, 12))[3].max() == 0
    assert (fit_image(torch.full((1, 5, 5), 65535, dtype=torch.uint16), (3, 9, 9)) == 255).all()
    with pytest.raises(ValueError, match="images of 2 channels"):
        fit_image(wide, (2, 10, 10))


def test_ends_are_read() -> None:
    assert read_ends("3, @me.jpg,0:4") == [ImageName(3), OwnImages(Path("me.jpg")), ImageName(0, 4)]
    assert read_ends("@a.safetensors:0,@a.safetensors:2-3,@b.safetensors") == [
        OwnImages(Path("a.safetensors"), (0,)),
        OwnImages(Path("a.safetensors"), (2, 3)),
        OwnImages(Path("b.safetensors")),
    ]
    with pytest.raises(ValueError, match=r"'me\.jpg' names no image"):
        read_ends("3,me.jpg")


# ---------------------------------------------------------------------- commands


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number, image in enumerate(to_uint8(toy().make(image_names("7:0-2")))):
        write_png(
            image.repeat(3, 2, 2).repeat_interleave(2, 1).repeat_interleave(2, 2), tmp_path / f"photos/{number}.png"
        )
    return tmp_path / "photos"


def test_the_commands_invert_and_go_on_from_there(
    plain: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.safetensors"
    commands.train_encoder(plain, tmp_path / "encoder.safetensors", steps=20, batch_size=8, **HOW)
    assert "of the latents' variance" in capsys.readouterr().out
    commands.invert(plain, photos, out, tmp_path / "encoder.safetensors", steps=5, **HOW)
    said = capsys.readouterr().out
    assert said.startswith("0.png  PSNR ")
    assert "mean of 3 in z: PSNR " in said
    assert read_png(out.with_suffix(".png")).shape[0] == 3
    saved = SavedPoints.load(out)
    assert saved.names == ["0.png", "1.png", "2.png"]

    interpolate(plain, tmp_path / "strip.png", seeds=f"@{out}:0,4,@{photos}/1.png", steps=3, **HOW)
    strip = read_png(tmp_path / "strip.png")
    assert strip.shape == (1, 14, 20)
    space = LatentSpace(load_sampler(plain, trusted=["toys"]).sampler)
    ends = to_uint8(
        space.synthesize(torch.cat([saved.points[:1], space.points([ImageName(4)])]), image_names("0,0"), None)
    )
    torch.testing.assert_close(strip[:, 2:6, 2:6], ends[0], atol=1, rtol=0)
    torch.testing.assert_close(strip[:, 2:6, 14:18], ends[1], atol=1, rtol=0)
    interpolate(plain, tmp_path / "loop.gif", seeds=f"@{out}", seconds=1, fps=3, **HOW)
    arithmetic(plain, f"me: @{out}:0-1,3 - 2 + @{photos}/2.png", tmp_path / "sum.png", **HOW)
    assert read_png(tmp_path / "sum.png").float().std() > 0

    canvas = torch.zeros(4, 8, 8, dtype=torch.uint8)
    canvas[:, :, 4:] = 255
    write_png(canvas, tmp_path / "canvas.png")
    how: dict[str, Any] = {"strokes": tmp_path / "canvas.png", "candidates": 3, "keep": 2, "steps": 3, **HOW}
    paint(
        plain, tmp_path / "painted.png", f"@{out}:1", edges=tmp_path / "canvas.png", warps="0.5,0.5,0.6,0.5,0.5", **how
    )
    assert read_png(tmp_path / "painted-best.png").shape == (1, 4, 4)
    assert len(SavedPoints.load(tmp_path / "painted.safetensors")) == 2
    paint(plain, tmp_path / "again.png", f"@{tmp_path}/painted.safetensors:0", **how)
    paint(plain, tmp_path / "any.png", "any", **how)
    assert not (tmp_path / "any-photo.png").exists()


def test_an_edit_reaches_a_photograph_by_the_command(plain: Path, photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    canvas = torch.full((4, 8, 8), 255, dtype=torch.uint8)
    write_png(canvas, tmp_path / "canvas.png")
    paint(
        plain,
        tmp_path / "out.png",
        strokes=tmp_path / "canvas.png",
        image=photos / "0.png",
        candidates=2,
        steps=5,
        **HOW,
    )
    edited = read_png(tmp_path / "out-photo.png")
    assert edited.shape == (1, 16, 16)
    assert edited.float().mean() > read_png(photos / "0.png").float().mean()


def test_styles_and_classes_go_through_the_commands(styled: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    commands.invert(styled, photos / "0.png", out, classes="2", steps=3, **HOW)
    assert SavedPoints.load(out).labels.tolist() == [2]  # type: ignore[union-attr]
    interpolate(styled, tmp_path / "strip.png", seeds=f"1,@{out}", steps=2, **HOW)
    commands.invert(styled, photos, out, space="z", steps=2, starts=1, **HOW)
    interpolate(styled, tmp_path / "strip.png", seeds=f"1,@{out}", space="z", steps=2, **HOW)
    space = LatentSpace(load_sampler(styled, trusted=["toys"]).sampler, "z")
    placed = place(space, read_ends(f"4:1,@{out}:2"))
    assert placed.labels is not None
    assert placed.labels[0] == 1
    assert placed.noise == [ImageName(4, 1), ImageName(0)]


@pytest.mark.parametrize(
    ("command", "given", "sentence"),
    [
        ("invert", {"out": "x.png"}, r"x\.png cannot be written: name a file that ends in \.safetensors"),
        ("invert", {"images": "absent"}, "there is no image or folder .*absent"),
        ("invert", {"images": "text.png"}, r"text\.png cannot be read as an image"),
        ("invert", {"encoder": "text.png"}, r"text\.png holds no encoder"),
        ("invert", {"classes": "1"}, "makes images without classes"),
        ("invert", {"space": "w"}, "has no space w"),
        ("invert", {"perceptual": "digits"}, "needs images of at least 14x14"),
        ("invert", {"starts": 0}, "starts=0 is out of range"),
        ("train", {"out": "x.pt"}, r"x\.pt cannot be written"),
        ("train", {"steps": 0}, "steps=0 is out of range"),
        ("paint", {}, "nothing is painted: give --strokes"),
        ("paint", {"strokes": "text.png"}, "cannot be read as an image"),
        ("paint", {"strokes": "opaque.png"}, r"opaque\.png has no transparency"),
        ("paint", {"strokes": "clear.png"}, r"clear\.png is transparent everywhere"),
        ("paint", {"warps": "0.1,0.2"}, "is no region that moves"),
        ("paint", {"warps": "0.1,0.2,0.3,0.4,nan"}, "is no region that moves"),
        ("paint", {"warps": "0.1,0.2,0.3,0.4,0.5", "seed": "any"}, "a region moves from a start"),
        ("paint", {"warps": "0.1,0.2,0.3,0.4,0.5", "seed": "0-1"}, "names 2 images, and one is painted on"),
        ("paint", {"warps": "0.1,0.2,0.3,0.4,0.5", "out": "x.jpg"}, r"x\.jpg cannot be written"),
        ("interpolate", {"seeds": "3,@text.safetensors"}, r"text\.safetensors holds no latents"),
        ("interpolate", {"seeds": "3,@absent.png"}, "there is no image or folder"),
        ("interpolate", {"seeds": "@opaque.png"}, "a path leads from one image to another"),
        ("arithmetic", {"formula": "3 - @absent.safetensors"}, "a file of latents that"),
    ],
)
def test_a_mistake_is_a_sentence_and_writes_nothing(
    plain: Path,
    tmp_path: Path,
    command: str,
    given: dict[str, Any],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "text.safetensors").write_text("no latents")
    write_png(torch.zeros(3, 8, 8, dtype=torch.uint8), tmp_path / "opaque.png")
    write_png(torch.zeros(4, 8, 8, dtype=torch.uint8), tmp_path / "clear.png")
    there = {*tmp_path.iterdir()}
    programs: dict[str, tuple[Any, dict[str, Any]]] = {
        "invert": (commands.invert, {"images": "opaque.png", "out": "x.safetensors"}),
        "train": (commands.train_encoder, {"out": "x.safetensors"}),
        "paint": (paint, {"out": "x.png"}),
        "interpolate": (interpolate, {"out": "x.png"}),
        "arithmetic": (arithmetic, {"out": "x.png"}),
    }
    program, arguments = programs[command]
    paths = {"out", "images", "encoder", "strokes"}
    whole = {name: Path(value) if name in paths else value for name, value in (arguments | given).items()}
    with pytest.raises((ValueError, OSError), match=sentence):
        program(checkpoint=plain, **whole, **HOW)
    assert {*tmp_path.iterdir()} == there


def test_a_missing_package_is_named_before_long_work(
    plain: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "skimage.registration", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install \"gan_lightning\[paint\]\""):
        paint(plain, tmp_path / "x.png", warps="0.1,0.2,0.3,0.4,0.5", image=photos / "0.png", **HOW)
