"""A toy that grows, through a run, its stops, its evaluations and its ranks."""

import csv
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from gan_lightning.cli.training import main
from gan_lightning.data.growth import Growth
from gan_lightning.schedules import Cosine, LinearToZero
from growing import GROWTH, GrowingGAN
from tiny import data_for
from toys import equal, trainer, weights
from training.test_stops import Stored, differences, run


def gan(**base: Any) -> GrowingGAN:
    return GrowingGAN(Growth(**GROWTH), **base)


class Watch(L.Callback):
    """Notes the epochs' lengths, as the progress bar has them, and the learning rate of each batch."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.rates: list[float] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.lengths.append(int(trainer.num_training_batches))

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.rates.append(trainer.optimizers[1].param_groups[0]["lr"] / 2e-4)


def test_a_run_has_the_sizes_fades_and_batches_of_its_growth(tmp_path: Path) -> None:
    growth, watch = Growth(**GROWTH), Watch()
    model = gan(accumulate=2, generator_schedule=LinearToZero(0, unit="image"))
    trainer(tmp_path, max_epochs=4, limit_val_batches=0, callbacks=[watch]).fit(model, datamodule=Stored(model))
    seen = 0
    for images_seen, size, alpha, count in model.played:
        assert images_seen == seen
        assert (size, alpha, count) == (growth.size(seen), growth.alpha(seen), growth.batch_size(seen))
        seen += count
    assert model.images_seen == seen == 46
    assert {size for _, size, _, _ in model.played} == {4, 8, 16}
    assert {alpha for _, _, alpha, _ in model.played} >= {0.0, 0.4, 0.8, 1.0}
    assert watch.lengths == [2, 3, 6, 6]
    assert watch.rates == pytest.approx([1 - each[0] / 46 for each in model.played])


WAYS: dict[str, list[tuple[int, bool]]] = {
    "within a fade": [(3, False), (8, False)],
    "at the end of an epoch, and in its evaluation": [(2, False), (5, True)],
    "at once, and twice in a row": [(1, False), (9, False), (10, False)],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_stopped_within_a_fade_ends_as_one_never_stopped(way: str, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    whole = run(averaged, tmp_path / "whole", [], max_epochs=4)
    assert whole["gan_lightning"]["images_seen"] == 46
    assert whole["evaluated"] == [2, 5, 11, 17]
    assert "growth/alpha" in whole["metrics"]
    assert differences(whole, run(averaged, tmp_path / "stopped", WAYS[way], max_epochs=4)) == []


def averaged() -> GrowingGAN:
    """Return a model with schedules that end with the run, whose epochs differ in length."""
    schedules = {"generator_schedule": Cosine(unit="batch"), "discriminator_schedule": Cosine(unit="image")}
    return gan(ema_half_life=20, ema_schedule=Cosine(final=0.5), **schedules)


def by_images() -> GrowingGAN:
    model = averaged()
    model.evaluate_every_images = 7
    return model


@pytest.mark.parametrize(
    ("stops", "limit"),
    [
        ([(5, False), (8, True)], {"max_steps": 15, "max_epochs": -1}),
        ([(2, True), (3, False), (12, True)], {"max_epochs": 4}),
    ],
)
def test_it_is_evaluated_by_images(stops: list[tuple[int, bool]], limit: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    whole = run(by_images, tmp_path / "whole", [], **limit)
    images = [0, 6, *range(10, 22, 4), *range(22, 47, 2)]  # after each batch
    crossed = [batch for batch in range(1, len(images)) if images[batch] // 7 > images[batch - 1] // 7]
    assert whole["evaluated"] == [batch for batch in crossed if batch <= limit.get("max_steps", 17)]
    assert differences(whole, run(by_images, tmp_path / "stopped", stops, **limit)) == []


@pytest.mark.parametrize(
    ("build", "data", "said"),
    [
        (lambda: gan(accumulate=4), Stored, r"batches of 6 images at size 4, which cannot be cut into 4 equal parts"),
        (gan, data_for, "GrowingGAN grows, but the data do not serve batches of the sizes"),
        (lambda: gan(generator_schedule=LinearToZero(0)), Stored, "ends where the run does .* set trainer.max_epochs"),
    ],
)
def test_what_does_not_go_with_a_growth_is_said_at_start(build: Any, data: Any, said: str, tmp_path: Path) -> None:
    model = build()
    with pytest.raises(ValueError, match=said):
        trainer(tmp_path, max_epochs=-1, limit_val_batches=0).fit(model, datamodule=data(model))
    assert model.batches_seen == 0


def test_a_run_that_ends_before_its_growth_gives_a_warning(tmp_path: Path) -> None:
    model = gan()
    with pytest.warns(UserWarning, match="its final size of 16 after 32 images, and this run ends after 10"):
        trainer(tmp_path, max_epochs=1, limit_val_batches=0).fit(model, datamodule=Stored(model))


CONFIG = """
model:
  class_path: growing.GrowingGAN
  init_args:
    growth: {start_size: 4, final_size: 16, batch_sizes: {4: 60, 8: 30}, fade_images: 300, stable_images: 200}
    ema_half_life: 100
data: {class_path: datamodules.Digits, init_args: {image_size: 16, num_reference: 100}}
trainer: {accelerator: cpu, precision: 32-true, log_every_n_steps: 1, enable_progress_bar: false}
evaluate_every_images: 250
"""


def test_it_grows_from_yaml_and_a_checkpoint_remembers_how(tmp_path: Path) -> None:
    (tmp_path / "growing.yaml").write_text(CONFIG)

    def fit(folder: str, steps: int, *more: str) -> Any:
        run = f"--trainer.default_root_dir={tmp_path / folder}"
        return main(["fit", f"--config={tmp_path / 'growing.yaml'}", run, f"--trainer.max_steps={steps}", *more])

    whole, part, again = fit("whole", 18), fit("parts", 11), fit("parts", 18, "--ckpt_path=last")
    assert whole.model.played == [*part.model.played, *again.model.played]
    assert equal(weights(whole.model), weights(again.model))
    metrics = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "parts")]
    assert metrics[0] == metrics[1]
    rows = [*csv.DictReader(metrics[0].splitlines())]
    assert whole.model.evaluate_every_images == 250
    growth = whole.model.growth
    for row in rows:
        seen = int(float(row["images_seen"]))
        assert float(row["growth/size"]) == growth.size(seen)
        assert float(row["growth/alpha"]) == pytest.approx(growth.alpha(seen))
    loaded = GrowingGAN.load_from_checkpoint(tmp_path / "parts" / "checkpoints" / "last.ckpt")
    assert loaded.images_seen == 660
    assert (loaded.growth.size(660), loaded.generator.level, loaded.average.network.level) == (8, 1, 1)
    assert loaded.generator.alpha == growth.alpha(660) == 1
    assert torch.equal(loaded.sample(3, seed=0), whole.model.sample(3, seed=0))
