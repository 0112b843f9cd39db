"""Learning rates as functions of progress."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.optim import SGD, Adam

from gan_lightning.recording import describe, rebuild
from gan_lightning.schedules import (
    Constant,
    Cosine,
    Delay,
    EndingSchedule,
    InversePower,
    LinearToZero,
    PiecewiseLinear,
    Schedule,
    SigmoidRamp,
    Steps,
    misfit,
)
from toys import ToyData, ToyGAN, ToyLoader, equal, trainer, weights


def test_constant_is_one() -> None:
    assert [Constant()(t) for t in (0, 1, 1e9)] == [1, 1, 1]


def test_linear_decay_holds_then_falls_then_stays_at_zero() -> None:
    schedule = LinearToZero(10, 30)
    progress = [0, 9.9, 10, 15, 20, 29, 30, 31, 1e9]
    assert [schedule(t) for t in progress] == pytest.approx([1, 1, 1, 0.75, 0.5, 0.05, 0, 0, 0])


def test_linear_decay_may_begin_at_once() -> None:
    assert [LinearToZero(0, 100)(t) for t in (0, 25, 100)] == pytest.approx([1, 0.75, 0])


def test_cosine_falls_along_half_a_wave_and_stays() -> None:
    schedule = Cosine(100, final=0.1)
    expected = [1, 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2, 0.55, 0.1, 0.1]
    assert [schedule(t) for t in (0, 25, 50, 100, 1e9)] == pytest.approx(expected)
    assert Cosine(100)(100) == pytest.approx(0)


def test_a_cosine_may_rise() -> None:
    schedule = Cosine(100, initial=0.0, final=1.0)
    expected = [0, (1 - math.sqrt(0.5)) / 2, 0.5, 1, 1]
    assert [schedule(t) for t in (0, 25, 50, 100, 1e9)] == pytest.approx(expected)


def test_steps_multiply_at_each_milestone() -> None:
    schedule = Steps([10, 20, 40], factor=0.1)
    assert [schedule(t) for t in (0, 9.9, 10, 19, 20, 40, 1e9)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.001, 0.001])


@pytest.mark.parametrize(("milestones", "factor"), [([20, 10], 0.5), ([10], 1.5), ([10], -1)])
def test_steps_that_do_not_go_down_in_time_are_refused(milestones: list[float], factor: float) -> None:
    with pytest.raises(ValueError, match=r"not in ascending order|factor=.* is out of range: make it 0 to 1"):
        Steps(milestones, factor)


@pytest.mark.parametrize("schedule", [LinearToZero(3, 17), Cosine(17, final=0.2), Steps([3, 9]), Constant()])
def test_factors_are_within_bounds_and_never_rise(schedule: Schedule) -> None:
    factors = [schedule(t / 4) for t in range(100)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors == sorted(factors, reverse=True)


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (-1, 5)])
def test_a_decay_that_ends_before_it_begins_is_refused(start: float, end: float) -> None:
    with pytest.raises(ValueError, match=f"0 <= start < end, not start={start} and end={end}|start=-1 is out of range"):
        LinearToZero(start, end)


@pytest.mark.parametrize("end", [0, -3])
def test_a_cosine_without_length_is_refused(end: float) -> None:
    with pytest.raises(ValueError, match=f"end={end} is out of range: make it above 0"):
        Cosine(end)


@pytest.mark.parametrize(
    "build", [lambda: LinearToZero(1, 2, "epochs"), lambda: Cosine(2, unit="steps"), lambda: Constant("x")]
)
def test_an_unknown_unit_is_refused(build: object) -> None:
    with pytest.raises(ValueError, match="epoch, batch or image"):
        build()  # type: ignore[operator]


@pytest.mark.parametrize(
    "schedule",
    [LinearToZero(3, 17, unit="image"), Cosine(17, 0.2, "batch", initial=0.0), Steps([3.0, 9.0], 0.3), Constant()],
)
def test_a_checkpoint_can_name_it(schedule: Schedule) -> None:
    again = rebuild(describe(schedule), ("gan_lightning",))
    assert type(again) is type(schedule)
    assert vars(again) == vars(schedule)


ENDING: list[Callable[[float | None], EndingSchedule]] = [
    lambda end: LinearToZero(3, end),
    lambda end: Cosine(end, final=0.2),
    InversePower,
    SigmoidRamp,
]


@pytest.mark.parametrize("build", ENDING)
def test_no_end_is_the_runs_own_end(build: Callable[[float | None], EndingSchedule]) -> None:
    open_ended, fixed = build(None), build(17)
    assert [open_ended.over(17)(t) for t in range(20)] == [fixed(t) for t in range(20)]
    assert fixed.over(99) is fixed
    with pytest.raises(ValueError, match="ends where the run does"):
        open_ended(5)
    assert open_ended.over(math.inf)(5) == pytest.approx(
        build(1e300)(5), abs=1e-9
    )  # a run without end, or of unknown length
    again = rebuild(describe(open_ended), ("gan_lightning",))
    assert again.given_end is None  # recorded as it was given: a longer run stretches it


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        (LinearToZero(1, 2), 2),
        (Steps([3], factor=0.0), 3),
        (LinearToZero(1, 10), None),
        (LinearToZero(1).over(10), None),
        (Cosine(5, final=0.1), None),
        (Cosine(5), 5),
        (Constant(), None),
    ],
)
def test_where_a_rate_is_zero_for_the_rest_of_a_run(schedule: Schedule, first: int | None) -> None:
    assert schedule.zero_from(10) == first


def test_a_last_hundredth_at_zero_is_no_misfit() -> None:
    assert LinearToZero(0, 20_000_000, unit="image").zero_from(20_000_256) is None
    assert misfit(LinearToZero(0, 20_000_000, unit="image"), 20_000_256) is None


def test_a_schedule_that_does_not_end_with_the_run_gives_a_warning() -> None:
    assert misfit(LinearToZero(5, 20), 10) == (
        "ends after 20 epochs, and this run ends after 10: its factor comes to 0.667 only; null as its `end` is the "
        "run's own end"
    )
    assert "begins to fall after 12 epochs, and this run ends after 10" in str(misfit(LinearToZero(12), 10))
    assert "changes little from there on" in str(misfit(SigmoidRamp(5, unit="batch"), 10))
    assert misfit(LinearToZero(5), 10) is None
    assert misfit(Steps([5, 10, 20]), 10) == (
        "has milestones after 10 and 20 epochs, and this run ends after 10: they never come; leave them out"
    )
    assert misfit(Steps([5, 9]), 10) is misfit(Steps([99]), math.inf) is None
    assert misfit(Cosine(5), math.inf) is None


def learner(**schedules: Schedule) -> ToyGAN:
    torch.manual_seed(0)
    return ToyGAN(**schedules)


def test_a_run_that_would_learn_nothing_more_is_refused_at_start(tmp_path: Path) -> None:
    both = {"generator_schedule": LinearToZero(1, 2), "discriminator_schedule": LinearToZero(1, 2)}
    first = trainer(tmp_path, max_epochs=2)
    first.fit(learner(**both), datamodule=ToyData())
    first.save_checkpoint(tmp_path / "two.ckpt")
    for checkpoint in None, tmp_path / "two.ckpt":
        model = learner(**both)
        with pytest.raises(
            ValueError,
            match=r"model.generator_schedule and model.discriminator_schedule: zero after 2 epochs, and .* 4",
        ):
            trainer(tmp_path, max_epochs=4).fit(model, datamodule=ToyData(), ckpt_path=checkpoint)
        assert model.batches_seen == (8 if checkpoint else 0)


def test_one_player_that_stops_learning_gives_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"model.generator_schedule: zero after 2 epochs.* learnt from there on"):
        trainer(tmp_path, max_epochs=3).fit(learner(generator_schedule=LinearToZero(1, 2)), datamodule=ToyData())


def test_a_fall_that_the_run_does_not_reach_gives_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"model.generator_schedule: ends after 50 batches, and this run ends after 3"):
        trainer(tmp_path, max_steps=3).fit(
            learner(generator_schedule=LinearToZero(1, 50, unit="batch")), datamodule=ToyData()
        )


@pytest.mark.parametrize(
    ("unit", "run", "factors"),
    [
        ("epoch", {"max_epochs": 2}, [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]),
        ("batch", {"max_epochs": 2}, [1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ("batch", {"max_steps": 3}, [1, 2 / 3, 1 / 3]),
        ("image", {"max_steps": 2}, [1, 0.5]),
        ("epoch", {"max_steps": 6}, [1, 1, 1, 1, 1 / 3, 1 / 3]),
    ],
)
def test_the_runs_own_end_is_known_in_every_unit(
    unit: Any, run: dict[str, int], factors: list[float], tmp_path: Path
) -> None:
    model, seen = learner(generator_schedule=LinearToZero(0, unit=unit)), []

    class Watch(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            seen.append(trainer.optimizers[1].param_groups[0]["lr"] / 2e-4)

    data = ToyData()
    data.train_dataloader = lambda: Sized(data.images)  # type: ignore[method-assign, assignment, return-value]
    trainer(tmp_path, callbacks=[Watch()], **run).fit(model, datamodule=data)
    assert seen == pytest.approx(factors)


class Sized(ToyLoader):
    batch_size = 8


def test_a_run_without_end_has_no_own_end(tmp_path: Path) -> None:
    model = learner(generator_schedule=LinearToZero(0))
    with pytest.raises(
        ValueError, match=r"model.generator_schedule ends where the run does.*set trainer.max_epochs or"
    ):
        trainer(tmp_path, max_epochs=-1).fit(model, datamodule=ToyData())


def test_a_longer_run_stretches_what_is_left_of_a_schedule_and_resumes_exactly(tmp_path: Path) -> None:
    """A run that is stopped and resumed to the same end has the rates of a run without a stop."""
    schedules = {"generator_schedule": LinearToZero(0, unit="batch")}
    whole = learner(**schedules)
    trainer(tmp_path, max_epochs=3).fit(whole, datamodule=ToyData())

    class Save(L.Callback):
        def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
            trainer.save_checkpoint(tmp_path / f"{trainer.current_epoch}.ckpt")

    trainer(tmp_path, max_epochs=3, callbacks=[Save()]).fit(learner(**schedules), datamodule=ToyData())
    resumed = learner(**schedules)
    trainer(tmp_path, max_epochs=3).fit(resumed, datamodule=ToyData(), ckpt_path=tmp_path / "0.ckpt")
    assert equal(weights(whole), weights(resumed))


# ------------------------------------------------------------------ Adam's second beta

ADAM = partial(Adam, lr=1e-3, betas=(0.0, 0.9))


def scheduled(schedule: Schedule, optimizer: Any = ADAM) -> ToyGAN:
    return ToyGAN(beta2_schedule=schedule, generator_optimizer=optimizer, discriminator_optimizer=ADAM)


def test_beta2_is_a_function_of_the_images_seen(tmp_path: Path) -> None:
    seen: list[list[tuple[float, float]]] = []

    class Watch(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            seen.append([optimizer.param_groups[0]["betas"] for optimizer in trainer.optimizers])

    model = scheduled(Cosine(32, final=0.1, unit="image"))
    trainer(tmp_path, max_epochs=2, callbacks=[Watch()]).fit(model, datamodule=ToyData(batches=3, size=8))
    # the authors' cosine_decay: from 0.9 to 0.99 in 32 images, of which a batch has 8
    expected = [0.99 + 0.5 * (0.9 - 0.99) * (1 + math.cos(math.pi * min(k / 4, 1))) for k in range(6)]
    for player in (0, 1):
        assert [betas[player][1] for betas in seen] == pytest.approx(expected)
        assert {betas[player][0] for betas in seen} == {0.0}


def test_a_run_with_a_scheduled_beta2_resumes_exactly_with_the_present_schedule(tmp_path: Path) -> None:
    schedule = Cosine(48, final=0.1, unit="image")

    class Save(L.Callback):
        def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
            trainer.save_checkpoint(tmp_path / f"{trainer.current_epoch}.ckpt")

    whole, resumed = scheduled(schedule), scheduled(schedule)
    trainer(tmp_path, max_epochs=2, callbacks=[Save()]).fit(whole, datamodule=ToyData(batches=4, size=8))
    trainer(tmp_path, max_epochs=2).fit(
        resumed, datamodule=ToyData(batches=4, size=8), ckpt_path=tmp_path / "0.ckpt", weights_only=True
    )
    assert whole.batches_seen == resumed.batches_seen == 8
    assert equal(weights(whole), weights(resumed))


def test_a_beta2_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"second beta of both optimizers, and the generator's, SGD, has none"):
        trainer(tmp_path, max_epochs=1).fit(scheduled(Constant(), partial(SGD, lr=0.1)), datamodule=ToyData())
    with pytest.raises(ValueError, match=r"beta2_schedule is zero after 1 batches, .* a `final` above 0"):
        trainer(tmp_path, max_epochs=1).fit(scheduled(Cosine(1, unit="batch")), datamodule=ToyData())
    with pytest.raises(ValueError, match=r"makes the optimizers' second beta -1, .* above 0 and at most 10"):
        trainer(tmp_path, max_epochs=1).fit(
            scheduled(Cosine(4, initial=20.0, unit="batch", final=1)), datamodule=ToyData()
        )


def test_a_delay_is_zero_and_then_one() -> None:
    assert [Delay(3)(t) for t in (0, 2.9, 3, 1e9)] == [0, 0, 1, 1]
    assert Delay(0)(0) == 1
    assert misfit(Delay(5), 9) is None
    assert misfit(Delay(5, "batch"), 5) == (
        "begins after 5 batches, and this run ends after 5: its factor stays 0; begin earlier"
    )


def test_between_points_the_factor_is_linear_and_constant_beyond() -> None:
    schedule = PiecewiseLinear({20: 0.5, 10: 1.0, 21: 0.1})
    assert [schedule(t) for t in (0, 10, 15, 20, 20.5, 21, 1e9)] == pytest.approx([1, 1, 0.75, 0.5, 0.3, 0.1, 0.1])
    assert PiecewiseLinear({4: 0.3})(0) == PiecewiseLinear({4: 0.3})(9) == 0.3
    assert rebuild(describe(schedule), ("gan_lightning",)).points == schedule.points
    assert misfit(schedule, 21) is None
    assert (
        misfit(schedule, 15) == "has its last point at 21 epochs, and this run ends after 15: it never comes; move it"
    )
    with pytest.raises(ValueError, match="one point or more"):
        PiecewiseLinear({})
