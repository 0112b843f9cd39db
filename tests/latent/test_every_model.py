"""Every model that makes images from noise, with every command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from every_model import FROM_NOISE
from gan_lightning.classifiers import Classifier
from gan_lightning.data.images import to_uint8
from gan_lightning.latent import Directions
from gan_lightning.latent.commands.attributes import correlate, edit
from gan_lightning.latent.commands.images import arithmetic, directions, interpolate, sample
from toys import checkpoint, read_png


@pytest.mark.parametrize("build", FROM_NOISE, ids=lambda build: build.__name__)
def test_every_command_takes_every_model(build: Callable[[], Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build()
    sampler = model.sampler
    path = checkpoint(model, tmp_path / "model.ckpt")
    sample(path, tmp_path / "images", seeds="2:0-2", device="cpu")
    for number, image in enumerate(to_uint8(sampler.sample(3, seed=2))):
        (file,) = (tmp_path / "images").rglob(f"2-00000{number}.png")
        torch.testing.assert_close(read_png(file), image, atol=1, rtol=0)
    interpolate(path, tmp_path / "strip.png", classes="0,2" if sampler.num_classes else None, steps=3, device="cpu")
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
    for method in ("sefa", "pca"):
        out = tmp_path / f"{method}.safetensors"
        directions(path, out, method, samples=64, count=4, seeds="0", show=2, device="cpu")
        assert len(Directions.load(out)) in (3, 4)
        edit(path, out, tmp_path / "along.png", direction=1, seeds="2:0-2", device="cpu")
        assert read_png(out.with_suffix(".png")).float().std() > 0
