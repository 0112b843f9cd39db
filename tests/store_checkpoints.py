"""Run as a script for each version that is released: a small checkpoint of every model, for later versions' tests.

    python tests/store_checkpoints.py tests/stored/VERSION

Beside each checkpoint, NAME.safetensors has the images (or class logits) that the model made when it was stored.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from every_model import MODELS
from gan_lightning.training.checkpoint_io import AtomicCheckpointIO
from gan_lightning.training.trainer import Trainer
from training.test_stops import COUNT, Stored


def made_by(model: Any) -> Tensor:
    """Return the model's output for two images of its data, with the same draws each time."""
    batch = Stored(model).like
    few = type(batch)(*(None if field is None else field[:2] for field in batch))
    torch.manual_seed(0)  # for dropout that stays on
    with torch.no_grad():
        if hasattr(model, "sample"):
            return model.sample(2, seed=0)
        return model.classify(few.target) if hasattr(model, "classify") else model.render(model.generate(few))


def store(folder: Path) -> None:
    """Train each model for a few batches, and store it."""
    folder.mkdir(parents=True)
    for build in MODELS:
        torch.manual_seed(0)
        model = build(ema_half_life=10 * COUNT)
        trainer = Trainer(
            accelerator="cpu",
            precision="32-true",
            max_steps=4,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            plugins=[AtomicCheckpointIO()],
        )
        trainer.fit(model, Stored(model))
        trainer.save_checkpoint(folder / f"{build.__name__}.ckpt")
        loaded = type(model).load_from_checkpoint(folder / f"{build.__name__}.ckpt")
        save_file({"made": made_by(loaded).contiguous()}, folder / f"{build.__name__}.safetensors")


if __name__ == "__main__":
    store(Path(sys.argv[1]))
