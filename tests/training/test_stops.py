"""A run that is stopped at any batch and resumed ends like a run without a stop: every model, with crops and flips.

The tests compare weights, optimizers, averages, counters, random states, logs, and the times of evaluations.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.base import ImageDataModule
from datamodules.frames import FramesStorage
from datamodules.shifted_digits import DomainStorage
from datamodules.storage import (
    CaptionedStorage,
    CartoonStorage,
    ImageStorage,
    PairedStorage,
    Pixels,
    Storage,
    UnpairedStorage,
)
from datamodules.voxels import VoxelStorage
from every_model import MODELS
from gan_lightning.callbacks import LastCheckpoint, SampleGrid, Stopped
from gan_lightning.data.batches import (
    CaptionedBatch,
    CartoonBatch,
    DepictedBatch,
    DomainBatch,
    FramesBatch,
    PairedBatch,
    UnpairedBatch,
    VoxelBatch,
)
from gan_lightning.models import SSGAN
from gan_lightning.training.loggers import RunCSVLogger
from models.test_dcgan import dcgan
from models.test_ssgan import ssgan
from tiny import CLASSES, SIZE, batch_for
from toys import trainer

BATCHES, EPOCHS, COUNT = 3, 3, 4  # batches an epoch, epochs, images a batch


class Stored(ImageDataModule):
    """Random images of the kind, channels and size that a model takes, larger by 4 pixels, cropped and mirrored."""

    def __init__(self, model: Any) -> None:
        like = self._like(model)
        pictures = [field for field in like if field is not None and field.dim() > 3]
        self.uneven = len({picture.shape[-2:] for picture in pictures}) > 1  # a small image and a large one: no crops
        size = tuple(pictures[-1].shape[-2:])
        super().__init__(size, batch_size=COUNT, eval_batch_size=COUNT, flip=not self.uneven)
        self.like = like
        self.labels_per_class = 1 if isinstance(model, SSGAN) else None

    @staticmethod
    def _like(model: Any) -> Any:
        if type(model).__name__ == "UNetSegmentation":
            return PairedBatch(torch.zeros(2, 1, SIZE, SIZE), torch.zeros(2, 1, SIZE, SIZE))
        if type(model).__name__ == "SRResNet":
            return PairedBatch(torch.zeros(2, 3, SIZE // 2, SIZE // 2), torch.zeros(2, 3, SIZE, SIZE))
        return batch_for(model, 6 if model.batch_type is DomainBatch else 4)

    def _pixels(self, like: Tensor, seed: int) -> Pixels:
        height, width = (side + (0 if self.uneven else 4) for side in like.shape[-2:])
        draw = np.random.default_rng(seed)
        levels = (0, 256) if not (self.like[-1] is like and like.shape[1] == 1) else (0, 2)
        values = draw.integers(*levels, (BATCHES * COUNT, *like.shape[1:-2], height, width), dtype=np.uint8)
        return Pixels(values if levels[1] == 256 else values * 255)

    def training_storage(self) -> Storage:  # noqa: PLR0911 (one for each kind)
        """Number of items: twelve."""
        like: Any = self.like
        if isinstance(like, DomainBatch):
            labels = torch.arange(BATCHES * COUNT) % (int(like.source_labels.max()) + 1)
            source = ImageStorage(self._pixels(like.source, 0), labels)
            return DomainStorage(source, ImageStorage(self._pixels(like.target, 1), labels))
        if isinstance(like, PairedBatch):
            return PairedStorage(self._pixels(like.source, 0), self._pixels(like.target, 1))
        if isinstance(like, CartoonBatch):
            return CartoonStorage(*(self._pixels(images, number) for number, images in enumerate(like)))
        if isinstance(like, UnpairedBatch):
            return UnpairedStorage(self._pixels(like.real_a, 0), self._pixels(like.real_b, 1))
        if isinstance(like, FramesBatch):
            people = np.arange(BATCHES * COUNT) % CLASSES
            return FramesStorage(self._pixels(like.target, 0), self._pixels(like.landmarks, 1), people, examples=2)
        if isinstance(like, DepictedBatch):
            return VoxelStorage(self._pixels(like.voxels, 0), None, self._pixels(like.images, 1))
        if isinstance(like, VoxelBatch):
            return VoxelStorage(self._pixels(like.voxels, 0))
        if isinstance(like, CaptionedBatch):
            codes = torch.randint(2, 9, (BATCHES * COUNT, 4), generator=torch.Generator().manual_seed(0))
            numbers = np.arange(BATCHES * COUNT)
            return CaptionedStorage(self._pixels(like.images, 0), numbers, codes, numbers)
        labels = None if like.labels is None else torch.arange(BATCHES * COUNT) % CLASSES
        return ImageStorage(self._pixels(like.images, 0), labels)

    reference_storage = training_storage

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Do not cut pairs of two sizes."""
        if self.uneven:
            return PairedBatch(*(field.float() / 127.5 - 1 for field in batch))
        return super().on_after_batch_transfer(batch, dataloader_idx)


class Evaluated(L.Callback):
    """Keeps the steps at which the model was evaluated, in a list that remains after a simulated stop."""

    def __init__(self, at: list[int]) -> None:
        self.at = at

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.at.append(pl_module.batches_seen)


class StopAt(LastCheckpoint):
    """Stops the run like a signal: after a training batch, or before an evaluation's batch."""

    def __init__(self, folder: Path, batch: int | None, in_validation: bool = False) -> None:
        super().__init__(every_minutes=None, dirpath=folder)
        self.batch, self.in_validation = batch, in_validation

    def _look(self, trainer: L.Trainer) -> None:
        here = trainer.validating == self.in_validation
        if self.batch is not None and here and trainer.lightning_module.batches_seen == self.batch:
            self.received = 15
        super()._look(trainer)


def run(build: Callable[..., Any], folder: Path, stops: Sequence[tuple[int, bool]], **settings: Any) -> dict[str, Any]:
    """Train to the end, with a stop at each of `stops` (batches seen, whether in the evaluation after them)."""
    evaluated: list[int] = []
    for start, stop in enumerate([*stops, None]):
        L.seed_everything(0 if start == 0 else 1000 + start)
        model = build()
        keeper = StopAt(folder, *(stop or (None,)))
        given: dict[str, Any] = {"max_epochs": EPOCHS, "log_every_n_steps": 2} | settings
        going = trainer(
            folder,
            enable_checkpointing=True,
            callbacks=[Evaluated(evaluated), SampleGrid(1), keeper],
            logger=RunCSVLogger(str(folder)),
            **given,
        )
        last = folder / "last.ckpt"
        try:
            going.fit(model, datamodule=Stored(model), ckpt_path=last if start else None, weights_only=True)
        except Stopped:
            assert stop is not None
        else:
            assert stop is None, f"it was to stop at {stop}"
    going.save_checkpoint(folder / "end.ckpt")
    end = torch.load(folder / "end.ckpt", weights_only=True)
    kept = {name: end[name] for name in ("state_dict", "optimizer_states", "epoch", "global_step", "gan_lightning")}
    noted = kept["gan_lightning"]
    noted.pop("terms")
    return kept | {"metrics": (folder / "metrics.csv").read_text(), "evaluated": evaluated}


def differences(first: Any, second: Any, where: str = "") -> list[str]:
    """The places in which two nests differ."""
    if isinstance(first, dict) and isinstance(second, dict):
        if first.keys() != second.keys():
            return [f"{where}: other keys"]
        return list(itertools.chain(*(differences(first[key], second[key], f"{where}/{key}") for key in first)))
    if isinstance(first, list | tuple) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return list(itertools.chain(*(differences(a, b, f"{where}/{i}") for i, (a, b) in pairs)))
    same = torch.equal(first, second) if isinstance(first, Tensor) else first == second
    return [] if same else [where]


def settings_of(build: Callable[..., Any]) -> Callable[..., Any]:
    """Return a model with an average, so that its state is compared too."""
    return lambda: build(ema_half_life=20)


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_a_run_stopped_within_an_epoch_and_at_its_end_ends_as_one_never_stopped(build: Any, tmp_path: Path) -> None:
    made = settings_of(build)
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    whole = run(made, tmp_path / "whole", [])
    assert len(whole["evaluated"]) == EPOCHS
    assert differences(whole, run(made, tmp_path / "stopped", [(2, False), (6, False)])) == []


@pytest.mark.slow
@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_stops_anywhere(build: Any, tmp_path: Path) -> None:
    draw, made = random.Random(build.__name__), settings_of(build)
    each = 2 * BATCHES if build is ssgan else BATCHES  # batches an epoch: labelled images come again
    ways = {
        "three random batches": [(batch, False) for batch in sorted(draw.sample(range(1, EPOCHS * each), 3))],
        "an epoch's end, twice": [(each, False), (2 * each, False)],
        "in a validation": [(each, True), (2 * each, True)],
        "before the first epoch's end": [(1, False)],
        "twice in a row": [(4, False), (5, False)],
    }
    (tmp_path / "whole").mkdir()
    whole = run(made, tmp_path / "whole", [])
    wrong = {}
    for number, (way, stops) in enumerate(ways.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        if found := differences(whole, run(made, folder, stops)):
            wrong[way] = found[:5]
    assert not wrong


def test_max_steps_within_an_epoch_leaves_nothing_out(tmp_path: Path) -> None:
    def fit(folder: Path, *limits: dict[str, int]) -> Any:
        folder.mkdir()
        for start, limit in enumerate(limits):
            L.seed_everything(0 if start == 0 else 99)
            model = dcgan()
            keeper = LastCheckpoint(every_minutes=None, dirpath=folder)
            going = trainer(folder, enable_checkpointing=True, callbacks=[keeper], **limit)
            last = folder / "last.ckpt" if start else None
            going.fit(model, datamodule=Stored(model), ckpt_path=last, weights_only=True)
        return model

    whole = fit(tmp_path / "whole", {"max_epochs": 3})
    going = fit(tmp_path / "parts", {"max_steps": 4, "max_epochs": -1}, {"max_epochs": 3})
    assert going.batches_seen == whole.batches_seen == 9
    assert differences(dict(whole.state_dict()), dict(going.state_dict())) == []


def test_a_run_at_its_end_is_not_resumed_for_nothing(tmp_path: Path) -> None:
    model = dcgan()
    keeper = LastCheckpoint(every_minutes=None, dirpath=tmp_path)
    settings: dict[str, Any] = {"enable_checkpointing": True, "max_epochs": 1}
    trainer(tmp_path, callbacks=[keeper], **settings).fit(model, datamodule=Stored(model))
    again = trainer(tmp_path, callbacks=[LastCheckpoint(dirpath=tmp_path)], **settings)
    with pytest.raises(ValueError, match=r"nothing is left to train: .* max_epochs=1.*--start_from"):
        again.fit(dcgan(), datamodule=Stored(model), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
