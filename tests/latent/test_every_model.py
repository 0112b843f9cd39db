"""Every model that makes images from noise, with every command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from every_model import AFFINE, FROM_LATENTS
from gan_lightning.classifiers import Classifier
from gan_lightning.data.images import to_uint8, write_png
from gan_lightning.latent import Directions, SavedPoints
from gan_lightning.latent.commands.attributes import correlate, edit
from gan_lightning.latent.commands.images import arithmetic, directions, interpolate, sample
from gan_lightning.latent.commands.inversion import invert, train_encoder
from gan_lightning.latent.commands.painting import paint
from toys import checkpoint, read_png


@pytest.mark.parametrize("build", FROM_LATENTS, ids=lambda build: build.__name__)
def test_every_command_takes_every_model(build: Callable[[], Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build()
    sampler = model.sampler
    path = checkpoint(model, tmp_path / "model.ckpt")
    sample(path, tmp_path / "images", seeds="2:0-2", device="cpu")
    for number, image in enumerate(to_uint8(sampler.render(sampler.sample(3, seed=2)))):
        (file,) = (tmp_path / "images").rglob(f"2-00000{number}.png")
        torch.testing.assert_close(read_png(file), image, atol=1, rtol=0)
    classes = f"0,{sampler.num_classes - 1}" if sampler.num_classes else None
    interpolate(path, tmp_path / "strip.png", classes=classes, steps=3, device="cpu")
    assert read_png(tmp_path / "strip.png").float().std() > 0
    arithmetic(path, "a: 0,1 - 2 + b: 0:4,5", tmp_path / "sum.png", device="cpu")
    assert read_png(tmp_path / "sum.png").float().std() > 0
    judge, out = tmp_path / "judge.safetensors", tmp_path / "edit.png"
    classifier = Classifier(("a", "b"), "attributes", (8, 8), 1)
    torch.nn.init.normal_(list(classifier.parameters())[-2], std=1000)  # models that have not learnt vary little
    classifier.save(judge)
    edit(path, judge, out, "a", seeds="2:0-2", target=0.99, steps=2, device="cpu")
    correlate(path, judge, tmp_path / "bias.png", "a", n=2, steps=1, samples=2, device="cpu")
    assert read_png(out).float().std() > 0
    if build not in AFFINE:
        with pytest.raises(ValueError, match=r"no layer of .* is affine in z"):
            directions(path, tmp_path / "none.safetensors", samples=64, seeds="0", device="cpu")
        return
    for method in ("sefa", "pca"):
        out = tmp_path / f"{method}.safetensors"
        directions(path, out, method, samples=64, count=4, seeds="0", show=2, device="cpu")
        assert len(Directions.load(out)) in (3, 4)
        edit(path, out, tmp_path / "along.png", direction=1, seeds="2:0-2", device="cpu")
        assert read_png(out.with_suffix(".png")).float().std() > 0


@pytest.mark.parametrize("build", FROM_LATENTS, ids=lambda build: build.__name__)
def test_every_model_inverts_and_is_painted_on(build: Callable[[], Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = checkpoint(build(), tmp_path / "model.ckpt")
    few: dict[str, Any] = {"steps": 2, "device": "cpu"}
    sample(path, tmp_path / "images", n=2, device="cpu")
    train_encoder(path, tmp_path / "encoder.safetensors", batch_size=4, width=4, **few)
    latents = tmp_path / "latents.safetensors"
    invert(path, tmp_path / "images", latents, tmp_path / "encoder.safetensors", starts=2, perceptual="none", **few)
    assert len(SavedPoints.load(latents)) == 2
    canvas = torch.full((4, 16, 16), 255, dtype=torch.uint8)
    canvas[3, 8:] = 0
    write_png(canvas, tmp_path / "canvas.png")
    paint(path, tmp_path / "painted.png", f"@{latents}:0", tmp_path / "canvas.png", candidates=2, **few)
    assert read_png(tmp_path / "painted-best.png").float().std() > 0
