"""A toy that grows, through a run, its stops, its evaluations and its ranks."""

import csv
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch

from gan_lightning.callbacks import Evaluation, ModelCheckpoint
from gan_lightning.cli.training import main
from gan_lightning.data.growth import Growth
from gan_lightning.layers.fading import enlarged, shrunk
from gan_lightning.metrics import DigitClassifier, InceptionScore
from gan_lightning.schedules import Cosine, LinearToZero
from growing import GROWTH, GrowingGAN
from models.test_progan import growing as progan_growing
from models.test_stylegan import growing as stylegan_growing
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
    assert {size for _, size, _, _ in model.played} == {(4, 4), (8, 8), (16, 16)}
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


@pytest.mark.parametrize("build", [progan_growing, stylegan_growing])
def test_the_papers_models_stop_within_a_fade_and_go_on(build: Any, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    whole = run(build, tmp_path / "whole", [], max_epochs=4)
    stops = [(2, False), (5, False)]
    assert differences(whole, run(build, tmp_path / "stopped", stops, max_epochs=4)) == []


@pytest.mark.parametrize("build", [gan, progan_growing, stylegan_growing])
def test_it_grows_in_mixed_precision(build: Any, tmp_path: Path) -> None:
    model = build()
    seen: set[torch.dtype] = set()
    for name, part in model.discriminator.named_modules():
        if "convs" in name or "layers" in name:
            part.register_forward_hook(lambda part, _, out: seen.add(out.dtype) if part.training else None)
    trainer(tmp_path, max_epochs=4, limit_val_batches=0, precision="bf16-mixed").fit(model, datamodule=Stored(model))
    assert model.growth.level(model.images_seen) == model.growth.levels
    assert torch.bfloat16 in seen


def test_the_best_checkpoint_is_the_best_at_the_newest_size(tmp_path: Path) -> None:
    best = ModelCheckpoint(tmp_path, "best", monitor="score", mode="max", enable_version_counter=False)
    growing = SimpleNamespace(growth=Growth(**GROWTH), images_seen=0)
    strategy = SimpleNamespace(reduce_boolean_decision=bool)
    run: Any = SimpleNamespace(lightning_module=growing, strategy=strategy)

    def is_better(seen: int, score: float) -> bool:
        growing.images_seen = seen
        better = best.check_monitor_top_k(run, torch.tensor(score))
        if better:
            best.kth_best_model_path = best.best_model_path = str(tmp_path / "best.ckpt")
            best.best_k_models = {best.best_model_path: torch.tensor(score)}
        return better

    Path(tmp_path / "best.ckpt").touch()
    assert [is_better(0, 5.0), is_better(3, 4.0)] == [True, False]
    assert [is_better(10, 2.0), is_better(11, 1.0), is_better(12, 3.0)] == [True, False, True]
    state, best = best.state_dict(), ModelCheckpoint(tmp_path, "best", monitor="score", mode="max")
    best.load_state_dict(state)
    assert [is_better(13, 2.0), is_better(40, 1.0), is_better(41, 0.5)] == [False, True, False]


def test_evaluations_are_at_the_size_and_say_so(tmp_path: Path) -> None:
    model, growth = GrowingGAN(Growth(**GROWTH)), Growth(**GROWTH)

    class Checked(Evaluation):
        def on_validation_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *rest: Any) -> None:
            super().on_validation_batch_end(trainer, pl_module, outputs, batch, *rest)
            behind = growth.behind(pl_module.images_seen)
            for images in (pl_module.reference(batch), outputs):  # no details below the size
                assert torch.equal(enlarged(shrunk(images, behind), 2**behind), images)

    evaluation = Checked(extractor=DigitClassifier(), metrics=[InceptionScore], cache_dir=tmp_path / "cache")
    trainer(tmp_path, max_epochs=4, callbacks=[evaluation]).fit(model, datamodule=Stored(model))
    assert len(evaluation.reports) >= 4
    for report in evaluation.reports:
        seen = report.settings["images_seen"]
        (height, width), alpha = growth.size(seen), growth.alpha(seen)
        fading = f", whose share is {alpha:.3g}" if alpha < 1 else ""
        assert report.settings["resolution"] == f"{height}x{width}{fading}"
    assert {growth.size(report.settings["images_seen"]) for report in evaluation.reports} == {*growth.sizes[1:]}


def test_a_network_may_know_smaller_sizes_than_the_growth_starts_with(tmp_path: Path) -> None:
    model = stylegan_growing()
    trainer(tmp_path, max_steps=1, max_epochs=-1, limit_val_batches=0).fit(model, datamodule=Stored(model))
    assert (model.generator.level, model.discriminator.level, model.generator.styles_in_use) == (1, 1, 4)


class Moments(Watch):
    """Notes images seen, and how many parameters of the discriminator have moments, after each batch."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        super().on_train_batch_end(trainer)
        self.lengths.append(len(trainer.optimizers[0].state))


@pytest.mark.parametrize("reset", [True, False])
def test_rates_follow_the_level_and_moments_are_forgotten_with_each_phase(reset: bool, tmp_path: Path) -> None:
    growth = Growth(**GROWTH, rates={8: 1.5, 16: 2.0}, reset_moments=reset)
    model, watch = GrowingGAN(growth), Moments()
    watch.on_train_epoch_start = lambda *_: None  # type: ignore[method-assign]
    trainer(tmp_path, max_epochs=4, limit_val_batches=0, callbacks=[watch]).fit(model, datamodule=Stored(model))
    begins = [each[0] for each in model.played]
    assert watch.rates == pytest.approx([growth.rate(seen) for seen in begins])
    changes = [growth.phase(a) != growth.phase(b) for a, b in pairwise([*begins, model.images_seen])]
    assert [count == 0 for count in watch.lengths] == [change and reset for change in changes]
    assert sum(changes) == 4


def test_networks_of_other_sizes_than_the_growths_are_refused(tmp_path: Path) -> None:
    model = GrowingGAN(Growth(**GROWTH))
    model.growth = Growth(**GROWTH | {"final_size": 32})
    with pytest.raises(ValueError, match=r"sizes 4x4 to 32x32, and Growing.* has 4x4 to 16x16: set its image_size"):
        trainer(tmp_path, limit_val_batches=0).fit(model, datamodule=Stored(model))


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
        (lambda: gan(accumulate=4), Stored, r"batches of 6 images at height 4, which cannot be cut into 4 equal parts"),
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
    with pytest.warns(UserWarning, match="its final size of 16x16 after 32 images, and this run ends after 10"):
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
        assert float(row["growth/size"]) == growth.size(seen)[0]
        assert float(row["growth/alpha"]) == pytest.approx(growth.alpha(seen))
    loaded = GrowingGAN.load_from_checkpoint(tmp_path / "parts" / "checkpoints" / "last.ckpt")
    assert loaded.images_seen == 660
    assert (loaded.growth.size(660), loaded.generator.level, loaded.average.network.level) == ((8, 8), 1, 1)
    assert loaded.generator.alpha == growth.alpha(660) == 1
    assert torch.equal(loaded.sample(3, seed=0), whole.model.sample(3, seed=0))
