"""Checkpoints of earlier versions (from `store_checkpoints.py`) still load, and generate the same images."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from every_model import MODELS
from gan_lightning.training.generative import GenerativeModule
from gan_lightning.training.trainer import Trainer
from store_checkpoints import made_by
from training.test_stops import Stored

STORED = Path(__file__).parents[1] / "stored"
CHECKPOINTS = sorted(STORED.glob("*/*.ckpt"))


def test_each_version_has_all_models_of_the_one_before_and_so_has_this_one() -> None:
    versions = sorted(STORED.iterdir(), key=lambda path: [int(number) for number in path.name.split(".")])
    stored = [{path.stem for path in version.glob("*.ckpt")} for version in versions]
    assert len(stored[0]) == 27
    for earlier, later in pairwise([*stored, {build.__name__ for build in MODELS}]):
        assert earlier <= later


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_earlier_versions_checkpoint_makes_the_same_images_and_trains_on(path: Path) -> None:
    model = GenerativeModule.load_from_checkpoint(path)
    before = load_file(path.with_suffix(".safetensors"))["made"]
    # networks of a few hundred values a sum: float32's rounding, in another order of summing
    torch.testing.assert_close(made_by(model), before, rtol=1e-4, atol=1e-5)

    resumed = type(model).load_from_checkpoint(path)
    how = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", precision="32-true", max_steps=5, limit_val_batches=0, **how)
    trainer.fit(resumed, Stored(resumed), ckpt_path=path, weights_only=True)
    assert resumed.batches_seen == model.batches_seen + 1
