"""Run as a script by tests/test_ddp.py, in one process for each rank: trains, and writes what each rank ended with.

ddp_fit.py WHAT DEVICES STRATEGY FOLDER     Lightning starts the other ranks
ddp_fit.py WHAT:DEVICES ... FOLDER          one fit after another, whose ranks are forks of this process
"""

import json
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from torch.optim import SGD

import gan_lightning.training.strategies  # noqa: F401
from datamodules import Digits
from every_model import BUILDERS, PARTS
from gan_lightning.callbacks import Evaluation
from gan_lightning.data.growth import Growth
from gan_lightning.metrics import DigitClassifier, FrechetInceptionDistance, InceptionScore
from gan_lightning.models import DCGAN, WGANGP
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from growing import GROWTH, GrowingGAN
from tiny import Batches, data_for
from toys import ToyData, ToyGAN, ToyLoader, trainer, weights
from training.test_stops import Evaluated, Stored


def sgd_of_both(lr: float = 0.05) -> dict[str, Any]:
    """Return the optimizers of both players: plain gradients, since Adam hides their size."""
    return {f"{player}_optimizer": partial(SGD, lr=lr) for player in ("generator", "discriminator")}


class SharedData(ToyData):
    """Each rank has its part of every batch."""

    def train_dataloader(self) -> ToyLoader:
        run = self.trainer
        return ToyLoader(torch.stack([b.chunk(run.world_size)[run.global_rank] for b in self.images]))


class Noise(L.Callback):
    """Keeps a random number of every batch."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        self.seen.append(float(torch.rand(())))


class SharedBatches(Batches):
    """Each rank has its part of every batch."""

    def train_dataloader(self) -> Batches:
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        shares = [[f if f is None else f.chunk(ranks)[rank] for f in batch] for batch in self.batches]
        return Batches([type(batch)(*share) for batch, share in zip(self.batches, shares, strict=True)])


def fit_every_model(devices: int, strategy: str, folder: Path) -> None:
    """Three steps of each tiny model by plain gradients: the parameters before and, of each rank, after them."""
    begun: dict[str, Any] = {}
    ended: dict[str, Any] = {}
    settings: dict[str, Any] = {"max_epochs": 1, "limit_val_batches": 0}
    for build in [*BUILDERS, *PARTS]:
        L.seed_everything(0)
        model = build(**sgd_of_both(lr=0.005))  # more would amplify float32's rounding from step to step
        batches = SharedBatches(data_for(model, batches=3, count=8 if build in PARTS else 4).batches)
        run = trainer(folder, devices=devices, strategy=strategy, **settings)
        begun |= {f"{build.__name__}.{name}": p.detach().clone() for name, p in model.named_parameters()}
        run.fit(model, batches)
        ended |= {f"{build.__name__}.{name}": p.detach().clone() for name, p in model.named_parameters()}
    torch.save(begun, folder / "models-begun.pt")
    torch.save(ended, folder / f"models-{devices}-{run.global_rank}.pt")


def fit_elastic(devices: int, strategy: str, folder: Path, epochs: int) -> None:
    """A run with noise, penalties, flips and an evaluation, on any number of ranks, up to the end of some epoch."""
    L.seed_everything(0 if epochs == 1 else 99)
    networks = MLPGenerator(6, image_size=32, hidden=(16,)), MLPDiscriminator(image_size=32, hidden=(16,))
    model = WGANGP(*networks, n_critic=2, **sgd_of_both())
    evaluation = Evaluation(
        extractor=DigitClassifier(), metrics=[FrechetInceptionDistance, InceptionScore], cache_dir=folder / "cache"
    )
    noise = Noise()
    settings: dict[str, Any] = {"max_epochs": epochs, "limit_train_batches": 4, "callbacks": [evaluation, noise]}
    run = trainer(folder, devices=devices, strategy=strategy, **settings)
    data = Digits(batch_size=16, num_reference=61, eval_batch_size=20 + devices, flip=True)
    last = folder / "elastic.ckpt"
    run.fit(model, datamodule=data, ckpt_path=last if epochs > 1 else None, weights_only=True)
    run.save_checkpoint(last)
    made = float(torch.cat(run.predict(model, datamodule=data)).sum())
    torch.save(weights(model), folder / f"elastic-{devices}-{run.global_rank}.pt")
    report = {
        "noise": noise.seen,
        "scores": [evaluation.reports[-1].mean(name) for name in ("fid", "inception_score")],
        "made": made,
    }
    (folder / f"elastic-{devices}-{run.global_rank}.json").write_text(json.dumps(report))


def fit_growing(devices: int, strategy: str, folder: Path, what: str) -> None:
    """A run that grows, `growing FIRST LAST`: from batch FIRST, where an earlier one ended, to batch LAST."""
    _, first, end = what.split()
    L.seed_everything(int(first))
    model = GrowingGAN(Growth(**GROWTH), ema_half_life=20, **sgd_of_both())
    model.evaluate_every_images = 7
    noise, evaluated, ends = Noise(), Evaluated([]), folder / str(devices)
    run = trainer(folder, devices=devices, strategy=strategy, max_steps=int(end), callbacks=[noise, evaluated])
    run.fit(
        model, datamodule=Stored(model), ckpt_path=ends / f"{first}.ckpt" if first != "0" else None, weights_only=True
    )
    run.save_checkpoint(ends / f"{end}.ckpt")
    report = {"noise": noise.seen, "played": model.played, "evaluated": evaluated.at, "images": model.images_seen}
    torch.save(weights(model), folder / f"{what}-{devices}-{run.global_rank}.pt")
    (folder / f"{what}-{devices}-{run.global_rank}.json").write_text(json.dumps(report))


def main(what: str, devices: int, strategy: str, folder: Path) -> None:
    torch.set_num_threads(1)
    if what == "models":
        fit_every_model(devices, strategy, folder)
        return
    if what.startswith("elastic"):
        fit_elastic(devices, strategy, folder, int(what.removeprefix("elastic")))
        return
    if what.startswith("growing"):
        fit_growing(devices, strategy, folder, what)
        return
    L.seed_everything(0)
    settings: dict[str, Any] = {"devices": devices, "strategy": strategy, "max_epochs": 2}
    noise = Noise()
    if what == "toy":
        sgd = partial(SGD, lr=0.1)
        model: Any = ToyGAN(generator_optimizer=sgd, discriminator_optimizer=sgd, n_critic=2, ema_half_life=16)
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


def fork_ranks(what: str, devices: int, folder: Path) -> None:
    """Run a fit on forks of this process, which has imported everything, and wait for all of them."""
    port = str(find_free_network_port())
    ranks = []
    for rank in range(devices):
        ranks.append(os.fork())
        if ranks[-1] == 0:
            os.environ |= {"LOCAL_RANK": str(rank), "MASTER_PORT": port}
            try:
                main(what, devices, "auto" if devices == 1 else "adversarial_ddp", folder)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
    codes = [os.waitpid(rank, 0)[1] for rank in ranks]
    if any(codes):
        sys.exit(1)


if __name__ == "__main__":
    *runs, folder = sys.argv[1:]
    if ":" not in runs[0]:
        main(runs[0], int(runs[1]), runs[2], Path(folder))
    else:
        for run in runs:
            name, _, count = run.partition(":")
            fork_ranks(name, int(count), Path(folder))
