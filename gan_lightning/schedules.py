"""Learning rates over time. A schedule is a factor on the optimizer's own rate, a pure function of training progress.

Schedules have no state, so that a checkpoint need not store them, and a resume is exact. An `end` of None is the end of
the run: a resume with more epochs stretches the rest of the schedule.
"""

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from copy import copy
from typing import Literal, Self, get_args

from gan_lightning.ranges import NonNegativeFloat, PositiveFloat, Share
from gan_lightning.recording import Recorded

Unit = Literal["epoch", "batch", "image"]


class Schedule(Recorded, ABC):
    """A factor on the learning rate as a function of the progress in `unit`, counted from 0."""

    def __init__(self, unit: Unit = "epoch") -> None:
        if unit not in get_args(Unit):
            raise ValueError(f"a schedule counts in units of epoch, batch or image, not {unit!r}")
        self.unit = unit

    @property
    def units(self) -> str:
        """The name of the unit in the plural."""
        return "batches" if self.unit == "batch" else f"{self.unit}s"

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """Return the factor after `progress` epochs, batches or images."""

    def over(self, length: float) -> Self:
        """Return the schedule for a run of `length` units; `length` is infinite if the run's end is not known."""
        return self

    def zero_from(self, length: float) -> int | None:
        """Return the first whole unit of a run of `length` from which on the factor is zero, or None if there is none.

        A factor of zero is assumed to stay zero. Zeros in the last hundredth of the run do not count.
        """
        units = range(math.ceil(0.99 * length))
        first = bisect_left(units, True, key=lambda unit: self(unit) == 0)
        return first if first < len(units) else None


class EndingSchedule(Schedule):
    """Base of the schedules that have an end.

    Args:
        end: the end, in units. None = the run's own end, which `over` sets.
        unit: the unit of progress: "epoch", "batch" or "image".

    Raises:
        ValueError: the end is not after 0.
    """

    def __init__(self, end: PositiveFloat | None, unit: Unit = "epoch") -> None:
        super().__init__(unit)
        self.given_end = end

    @property
    def end(self) -> float:
        """The end, in units.

        Raises:
            ValueError: the end is that of the run, which was not given by `over`.
        """
        if self.given_end is None:
            raise ValueError(
                f"this {type(self).__name__} ends where the run does: name the run's length by over(length)"
            )
        return self.given_end

    def over(self, length: float) -> Self:
        """Return the schedule with `length` as its end, if it has no end of its own."""
        if self.given_end is not None:
            return self
        ended = copy(self)
        ended.given_end = length
        return ended


class Constant(Schedule):
    """The optimizer's learning rate throughout."""

    def __call__(self, progress: float) -> float:
        """Return 1."""
        return 1.0


class LinearToZero(EndingSchedule):
    """Constant until `start`, then linear to zero at `end`.

    Args:
        start: the start of the decay, in units.
        end: the end of the decay, in units; the rate stays zero after it. None = the run's own end.
        unit: the unit of progress: "epoch" (the rate changes between epochs), "batch" or "image".
    """

    def __init__(self, start: NonNegativeFloat, end: PositiveFloat | None = None, unit: Unit = "epoch") -> None:
        if start < 0 or (end is not None and end <= start):
            raise ValueError(f"a linear decay needs 0 <= start < end, not start={start} and end={end}")
        super().__init__(end, unit)
        self.start = start

    def __call__(self, progress: float) -> float:
        """Return the factor after `progress` units."""
        if progress <= self.start or math.isinf(self.end):
            return 1.0
        return min(1.0, max(0.0, (self.end - progress) / (self.end - self.start)))


class Cosine(EndingSchedule):
    """Half a cosine from `initial` at the start to `final` at `end`, and `final` after that.

    Args:
        end: the end of the cosine, in units. None = the run's own end.
        final: the factor at the end; 0 = a fall to zero.
        unit: the unit of progress: "epoch" (the rate changes between epochs), "batch" or "image".
        initial: the factor at the start; 0, with final 1, is a rise.
    """

    def __init__(
        self,
        end: PositiveFloat | None = None,
        final: NonNegativeFloat = 0.0,
        unit: Unit = "epoch",
        initial: NonNegativeFloat = 1.0,
    ) -> None:
        super().__init__(end, unit)
        self.final, self.initial = final, initial

    def __call__(self, progress: float) -> float:
        """Return the factor after `progress` units."""
        left = 0.5 * (1 + math.cos(math.pi * min(progress / self.end, 1.0)))
        return self.final + (self.initial - self.final) * left


class Steps(Schedule):
    """Multiplied by `factor` at each milestone, and constant between them.

    Args:
        milestones: the milestones, in units, in ascending order.
        factor: the factor at each milestone, from 0 to 1.
        unit: the unit of progress: "epoch", "batch" or "image".
    """

    def __init__(self, milestones: Sequence[NonNegativeFloat], factor: Share = 0.5, unit: Unit = "epoch") -> None:
        if list(milestones) != sorted(milestones):
            raise ValueError(f"milestones={list(milestones)} are not in ascending order: sort them")
        super().__init__(unit)
        self.milestones, self.factor = milestones, factor

    def __call__(self, progress: float) -> float:
        """Return the factor after `progress` units."""
        return self.factor ** sum(progress >= milestone for milestone in self.milestones)


class Delay(Schedule):
    """0 until `start`, then 1: a part of the training that begins later.

    Args:
        start: the first epoch, batch or image with the factor 1, counted from 0: also the number of those without it.
        unit: the unit of progress: "epoch", "batch" or "image".
    """

    def __init__(self, start: NonNegativeFloat, unit: Unit = "epoch") -> None:
        super().__init__(unit)
        self.start = start

    def __call__(self, progress: float) -> float:
        """Return the factor after `progress` units."""
        return float(progress >= self.start)


class PiecewiseLinear(Schedule):
    """Linear between given points, and constant before the first and after the last.

    In units of epochs, where progress is a whole number, points one apart make a jump.

    Args:
        points: the factor at some values of progress, in units.
        unit: the unit of progress: "epoch", "batch" or "image".

    Raises:
        ValueError: there are no points.
    """

    def __init__(self, points: dict[NonNegativeFloat, NonNegativeFloat], unit: Unit = "epoch") -> None:
        if not points:
            raise ValueError("a piecewise linear schedule needs one point or more, such as {0: 1.0, 100: 0.0}")
        super().__init__(unit)
        # a checkpoint's names of keys are text
        self.points = dict(sorted((float(place), factor) for place, factor in points.items()))

    def __call__(self, progress: float) -> float:
        """Return the factor after `progress` units."""
        places = [*self.points]
        after = bisect_right(places, progress)
        if after == 0 or after == len(places):
            return self.points[places[min(after, len(places) - 1)]]
        left, right = places[after - 1], places[after]
        share = (progress - left) / (right - left)
        return (1 - share) * self.points[left] + share * self.points[right]


class InversePower(EndingSchedule):
    """A fall by an inverse power, (1 + 10 p)^-0.75, where p goes from 0 to 1 (Ganin & Lempitsky 2014, section 4).

    Args:
        end: the progress at which p is 1, in units; p grows beyond it. None = the run's own end.
        unit: the unit of progress: "epoch" (the rate changes between epochs), "batch" or "image".
    """

    def __init__(self, end: PositiveFloat | None = None, unit: Unit = "epoch") -> None:
        super().__init__(end, unit)

    def __call__(self, progress: float) -> float:
        """Return the factor after `progress` units."""
        return (1 + 10 * progress / self.end) ** -0.75


class SigmoidRamp(EndingSchedule):
    """A rise from 0 to 1 along the upper half of a sigmoid, 2 / (1 + e^(-10 p)) - 1, where p goes from 0 to 1.

    DANN's adversary begins with this schedule (Ganin & Lempitsky 2014, section 4).

    Args:
        end: the progress at which p is 1, in units; p grows beyond it. None = the run's own end.
        unit: the unit of progress: "epoch" (the factor changes between epochs), "batch" or "image".
    """

    def __init__(self, end: PositiveFloat | None = None, unit: Unit = "epoch") -> None:
        super().__init__(end, unit)

    def __call__(self, progress: float) -> float:
        """Return the factor after `progress` units."""
        return math.tanh(5 * progress / self.end)  # equal to that half of the sigmoid


def misfit(schedule: Schedule, length: float) -> str | None:
    """Return how a schedule misses the end of a run of `length` units, or None if it fits or has no end.

    The phrase follows the schedule's name in a sentence. A difference of a hundredth of the run is accepted, since a
    number of images is seldom a multiple of the batch size.
    """
    ended = schedule.over(length)
    last, units = f"this run ends after {length:g}", schedule.units
    late = None
    if isinstance(ended, Delay) and ended.start >= length:
        late = f"begins after {ended.start:g} {units}, and {last}: its factor stays 0; begin earlier"
    elif isinstance(ended, PiecewiseLinear) and [*ended.points][-1] > length:
        late = f"has its last point at {[*ended.points][-1]:g} {units}, and {last}: it never comes; move it"
    elif isinstance(ended, Steps) and (passed := [f"{each:g}" for each in ended.milestones if each >= length]):
        late = f"has milestones after {' and '.join(passed)} {units}, and {last}: they never come; leave them out"
    if late is not None:
        return late
    if not isinstance(ended, EndingSchedule) or not math.isfinite(length):
        return None
    if isinstance(ended, LinearToZero) and ended.start >= length:
        return f"begins to fall after {ended.start:g} {units}, and {last}: its factor stays 1; begin earlier"
    if abs(ended.end - length) <= length / 100:
        return None
    sooner = ended.end < length
    factor = f"its factor {'changes little from there on' if sooner else f'comes to {ended(length):.3g} only'}"
    return f"ends after {ended.end:g} {units}, and {last}: {factor}; null as its `end` is the run's own end"
