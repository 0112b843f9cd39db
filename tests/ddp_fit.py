"""Run as a script by tests/test_ddp.py, in one process for each rank: trains, and writes what each rank ended with."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.optim import SGD

import gan_lightning.strategies  # noqa: F401
from datamodules import Digits
from gan_lightning.callbacks import Evaluation
from gan_lightning.metrics import DigitClassifier, FrechetInceptionDistance
from gan_lightning.models import DCGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from tiny import BUILDERS, Batches, data_for
from toys import DeterministicGAN, ToyData, ToyLoader, trainer, weights


class SharedData(ToyData):
    """Each rank has its part of every batch."""

    def train_dataloader(self) -> ToyLoader:
        run = self.trainer
        return ToyLoader(torch.stack([b.chunk(run.world_size)[run.global_rank] for b in self.images]))


class Noise(L.Callback):
    """Keeps the fakes' first pixel of every batch."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        self.seen.append(float(torch.rand(())))


class RankedBatches(Batches):
    """Each rank has batches of its own."""

    def train_dataloader(self) -> Batches:
        return Batches(self.batches[self.trainer.global_rank :: self.trainer.world_size])


def fit_every_model(devices: int, strategy: str, folder: Path) -> None:
    """Two steps of each tiny model; the parameters that each rank ends with, by the model's name."""
    ended = {}
    for build in BUILDERS:
        L.seed_everything(0)
        model = build()
        batches = RankedBatches(data_for(model, batches=4).batches)
        run = trainer(folder, devices=devices, strategy=strategy, max_epochs=1, limit_val_batches=0)
        run.fit(model, batches)
        ended |= {f"{build.__name__}.{name}": p.detach().clone() for name, p in model.named_parameters()}
    torch.save(ended, folder / f"models-{run.global_rank}.pt")


def main(what: str, devices: int, strategy: str, folder: Path) -> None:
    torch.set_num_threads(1)
    if what == "models":
        fit_every_model(devices, strategy, folder)
        return
    L.seed_everything(0)
    settings: dict[str, Any] = {"devices": devices, "strategy": strategy, "max_epochs": 2}
    noise = Noise()
    if what == "toy":
        sgd = partial(SGD, lr=0.1)
        model: Any = DeterministicGAN(
            generator_optimizer=sgd, discriminator_optimizer=sgd, n_critic=2, ema_half_life=16
        )
        run = trainer(folder, callbacks=[noise], limit_val_batches=0, **settings)
        run.fit(model, SharedData(batches=4, size=8))
    else:
        small: dict[str, Any] = {"image_size": 32, "channels": 1, "width": 4}
        model = DCGAN(DCGANGenerator(**small), DCGANDiscriminator(**small), ema_half_life=1000)
        evaluation = Evaluation(
            extractor=DigitClassifier(), metrics=[FrechetInceptionDistance], cache_dir=folder / "cache"
        )
        settings |= {"limit_train_batches": 6, "max_epochs": 3} if what == "whole" else {"limit_train_batches": 6}
        if what == "resumed":
            L.seed_everything(99)
            settings["max_epochs"] = 3
        run = trainer(folder, callbacks=[noise, evaluation], **settings)
        data = Digits(batch_size=16, num_reference=61)
        resume = folder / "two-epochs.ckpt" if what == "resumed" else None
        run.fit(model, datamodule=data, ckpt_path=resume, weights_only=True)
        if what == "stopped":
            run.save_checkpoint(folder / "two-epochs.ckpt")
    buffers = {name: b.clone() for name, b in model.named_buffers() if "running" in name}
    torch.save(weights(model) | buffers, folder / f"{what}-{devices}-{run.global_rank}.pt")
    report = {
        "noise": noise.seen,
        "images": model.images_seen,
        "global_step": run.global_step,
        "fid": float(run.callback_metrics.get("val/fid", 0)),
    }
    (folder / f"{what}-{devices}-{run.global_rank}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
