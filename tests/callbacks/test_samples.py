"""The sample grid: its file, its size, its latents, and that training does not notice it."""

import random
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor

from gan_lightning.callbacks import SampleGrid
from gan_lightning.data.batches import ImageBatch
from gan_lightning.data.images import image_grid
from toys import ToyData, ToyGAN, ToyGenerator, equal, read_png, trainer, weights


def fit(folder: Path, model: L.LightningModule | None = None, **settings: Any) -> ToyGAN:
    model = model or ToyGAN(generator=ToyGenerator(norm=True))
    trainer(folder, **{"max_epochs": 2, "callbacks": [SampleGrid(count=9)], **settings}).fit(model, ToyData(batches=4))
    return model


def test_a_grid_is_written_at_each_evaluation_named_by_images_seen(tmp_path: Path) -> None:
    model = fit(tmp_path)
    files = sorted((tmp_path / "samples").iterdir())
    assert [file.name for file in files] == ["images-000000032.png", "images-000000064.png"]
    picture = read_png(files[-1])
    assert picture.shape == (3, 3 * (4 + 2) + 2, 3 * (4 + 2) + 2)
    # what the model makes of the same latents now
    assert torch.equal(picture, image_grid(model.sample(9, seed=0), 3))


def test_the_first_shows_the_untrained_networks(tmp_path: Path) -> None:
    model = ToyGAN()
    trainer(tmp_path, callbacks=[SampleGrid(count=4)]).validate(model, ToyData(), verbose=False)
    (file,) = (tmp_path / "samples").iterdir()
    assert file.name == "images-000000000.png"
    assert torch.equal(read_png(file), image_grid(model.sample(4, seed=0), 2))


def test_the_same_weights_give_the_same_picture_whatever_the_seed_of_the_run(tmp_path: Path) -> None:
    model = ToyGAN()
    pictures = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        trainer(tmp_path / str(seed), callbacks=[SampleGrid(count=4)]).validate(model, ToyData(), verbose=False)
        pictures.append(read_png(tmp_path / str(seed) / "samples" / "images-000000000.png"))
    assert torch.equal(*pictures)


class Noisy(ToyGAN):
    """Its preview draws from the global generators and shows its sources, as a translator with dropout does."""

    def preview(self, batch: ImageBatch, count: int) -> tuple[Tensor, int]:
        np.random.rand()
        random.random()
        self.shown = batch.images
        return (batch.images + 0.5 * torch.randn_like(batch.images)).clamp(-1, 1), 3


def test_sources_and_draws_are_the_same_each_time(tmp_path: Path) -> None:
    model = fit(tmp_path, Noisy())
    first, second = (read_png(file) for file in sorted((tmp_path / "samples").iterdir()))
    assert torch.equal(first, second)
    assert torch.equal(model.shown, ToyData(batches=4).images[0])
    fit(tmp_path / "other", Noisy(), callbacks=[SampleGrid(count=9, seed=1)])
    assert not torch.equal(first, read_png(tmp_path / "other" / "samples" / "images-000000032.png"))


def test_no_more_sources_are_shown_than_asked_for(tmp_path: Path) -> None:
    model = fit(tmp_path, Noisy(), callbacks=[SampleGrid(count=3)])
    assert len(model.shown) == 3


@pytest.mark.parametrize("model", [ToyGAN, Noisy])
def test_random_states_and_modes_are_left_as_they_were(tmp_path: Path, model: type[ToyGAN]) -> None:
    states: list[tuple[Any, ...]] = []

    class Around(L.Callback):
        def note(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
            numpy = np.random.get_state()[1].tolist(), np.random.get_state()[2]
            modes = [module.training for module in pl_module.modules()]
            states.append((torch.get_rng_state().tolist(), numpy, random.getstate(), modes))

        on_validation_batch_end = on_validation_end = note

    built = model(generator=ToyGenerator(norm=True))
    trainer(tmp_path, max_epochs=1, limit_val_batches=1, callbacks=[SampleGrid(4), after := Around()]).fit(
        built, ToyData()
    )
    assert after is not None
    before, behind = states
    assert before == behind
    assert all(module.training for module in built.modules())


def test_training_is_the_same_with_and_without(tmp_path: Path) -> None:
    ends = []
    for callbacks in ([], [SampleGrid(count=9)]):
        L.seed_everything(3)
        ends.append(weights(fit(tmp_path, Noisy(), callbacks=callbacks)))
    assert equal(*ends)


def test_nothing_is_written_while_checking(tmp_path: Path) -> None:
    fit(tmp_path, fast_dev_run=True)
    assert not (tmp_path / "samples").exists()


def test_a_run_without_evaluations_ends_with_a_picture(tmp_path: Path) -> None:
    trainer(tmp_path, limit_val_batches=0, max_epochs=2, callbacks=[SampleGrid(4)]).fit(ToyGAN(), ToyData())
    assert [file.name for file in (tmp_path / "samples").iterdir()] == ["images-000000064.png"]


class Ending(L.Callback):
    """Ends a run in its third batch, or in the evaluation of its second epoch."""

    def __init__(self, error: type[BaseException], evaluating: bool) -> None:
        self.error, self.evaluating = error, evaluating

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if not self.evaluating and trainer.lightning_module.batches_seen == 3:
            raise self.error

    def on_validation_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if self.evaluating and trainer.current_epoch == 1:
            raise self.error


@pytest.mark.parametrize("evaluating", [False, True])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, RuntimeError])
def test_a_run_ends_with_a_picture_whatever_ends_it(
    tmp_path: Path, error: type[BaseException], evaluating: bool
) -> None:
    run = trainer(tmp_path, max_epochs=3, callbacks=[SampleGrid(4), Ending(error, evaluating)])
    with pytest.raises((error, SystemExit)):  # Lightning makes the second of Ctrl-C
        run.fit(ToyGAN(), ToyData())
    assert max(file.name for file in (tmp_path / "samples").iterdir()) == f"images-{64 if evaluating else 24:09d}.png"


@pytest.mark.parametrize(("interval", "seen"), [({"every_batches": 3}, (24, 48, 64)), ({"every_epochs": 1}, (32, 64))])
def test_pictures_have_an_interval_of_their_own(
    tmp_path: Path, interval: dict[str, int], seen: tuple[int, ...]
) -> None:
    run = trainer(tmp_path, limit_val_batches=0, max_epochs=2, callbacks=[SampleGrid(4, **interval)])
    run.fit(ToyGAN(), ToyData())
    found = sorted(file.name for file in (tmp_path / "samples").iterdir())
    assert found == [f"images-{images:09d}.png" for images in seen]


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="count=-1 is out of range: make it 0 or more"):
        SampleGrid(count=-1)


def test_tensorboard_gets_the_picture(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(str(tmp_path), name="board", version="")
    fit(tmp_path, logger=logger)
    logger.finalize("success")
    events = EventAccumulator(logger.log_dir)
    events.Reload()
    shown = events.Images("samples")
    assert [event.step for event in shown] == [3, 7]  # those of the evaluations
    assert (shown[0].width, shown[0].height) == (20, 20)
    from torchvision.io import decode_image

    decoded = decode_image(torch.frombuffer(bytearray(shown[-1].encoded_image_string), dtype=torch.uint8))
    assert torch.equal(decoded, read_png(tmp_path / "samples" / "images-000000064.png"))


def test_weights_and_biases_gets_the_picture_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for place in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(place, str(tmp_path))
    logger = WandbLogger(save_dir=str(tmp_path), project="test")
    try:
        fit(tmp_path, logger=logger)
    finally:
        wandb.finish()
    kept = sorted(tmp_path.glob("wandb/offline-run-*/files/media/images/samples_*.png"))
    assert len(kept) == 2
    pictures = [read_png(file) for file in kept]
    written = [read_png(file) for file in sorted((tmp_path / "samples").iterdir())]
    for picture in written:
        assert any(torch.equal(picture, other) for other in pictures)
