"""Learning rates as functions of progress."""

import math

import pytest

from gan_lightning.recording import describe, rebuild
from gan_lightning.schedules import Constant, Cosine, LinearToZero, Schedule, Steps


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
    with pytest.raises(ValueError, match="ascending milestones and a factor from 0 to 1"):
        Steps(milestones, factor)


@pytest.mark.parametrize("schedule", [LinearToZero(3, 17), Cosine(17, final=0.2), Steps([3, 9]), Constant()])
def test_factors_are_within_bounds_and_never_rise(schedule: Schedule) -> None:
    factors = [schedule(t / 4) for t in range(100)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors == sorted(factors, reverse=True)


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (-1, 5)])
def test_a_decay_that_ends_before_it_begins_is_refused(start: float, end: float) -> None:
    with pytest.raises(ValueError, match=f"0 <= start < end, not start={start} and end={end}"):
        LinearToZero(start, end)


@pytest.mark.parametrize("end", [0, -3])
def test_a_cosine_without_length_is_refused(end: float) -> None:
    with pytest.raises(ValueError, match=f"an end after 0, not {end}"):
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
