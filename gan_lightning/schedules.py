"""Learning rates over time: a schedule is a factor on the optimizer's own rate, a pure function of how far training is.

Being functions of a counter and holding no state, they need nothing in a checkpoint and resume exactly. An `end` of
None is the run's own end: it follows the run, so that a resume with more epochs stretches what is left of the schedule.
"""

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from copy import copy
from typing import Literal, Self, get_args

from gan_lightning.ranges import NonNegativeFloat, PositiveFloat, Share
from gan_lightning.recording import Recorded

Unit = Literal["epoch", "batch", "image"]


class Schedule(Recorded, ABC):
    """A factor in [0, 1] on the learning rate, given progress in its `unit`, counted from 0."""

    def __init__(self, unit: Unit = "epoch") -> None:
        if unit not in get_args(Unit):
            raise ValueError(f"a schedule counts in units of epoch, batch or image, not {unit!r}")
        self.unit = unit

    @property
    def units(self) -> str:
        """What is counted, in the plural."""
        return "batches" if self.unit == "batch" else f"{self.unit}s"

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """The factor after `progress` epochs, batches or images."""

    def over(self, length: float) -> Self:
        """The same schedule for a run of `length` units; infinite where a run has no end, or none that is known."""
        return self

    def zero_from(self, length: float) -> int | None:
        """The first whole unit of a run of `length` from which on the factor is zero; None where there is none.

        What falls to zero is taken to stay there. Zero in the last hundredth of the run does not count.
        """
        units = range(math.ceil(0.99 * length))
        first = bisect_left(units, True, key=lambda unit: self(unit) == 0)
        return first if first < len(units) else None


class EndingSchedule(Schedule):
    """Base of the schedules that have an end.

    Args:
        end: in units; None is the run's own end, which `over` puts in place.
        unit: what is counted.

    Raises:
        ValueError: the end is not after 0.
    """

    def __init__(self, end: PositiveFloat | None, unit: Unit = "epoch") -> None:
        super().__init__(unit)
        self.given_end = end

    @property
    def end(self) -> float:
        """Where it ends, in units.

        Raises:
            ValueError: it ends where the run does, and no run was named.
        """
        if self.given_end is None:
            raise ValueError(
                f"this {type(self).__name__} ends where the run does: name the run's length by over(length)"
            )
        return self.given_end

    def over(self, length: float) -> Self:
        """The same schedule with that end, where it has none of its own."""
        if self.given_end is not None:
            return self
        ended = copy(self)
        ended.given_end = length
        return ended


class Constant(Schedule):
    """The optimizer's learning rate throughout."""

    def __call__(self, progress: float) -> float:
        """1."""
        return 1.0


class LinearToZero(EndingSchedule):
    """Constant until `start`, then a straight line that reaches zero at `end`.

    Args:
        start: where the decay begins, in units.
        end: where the rate is zero, in units; later it stays there. None = the run's own end.
        unit: what is counted: "epoch" (the rate changes between epochs), "batch" or "image".
    """

    def __init__(self, start: NonNegativeFloat, end: PositiveFloat | None = None, unit: Unit = "epoch") -> None:
        if start < 0 or (end is not None and end <= start):
            raise ValueError(f"a linear decay needs 0 <= start < end, not start={start} and end={end}")
        super().__init__(end, unit)
        self.start = start

    def __call__(self, progress: float) -> float:
        """The factor after `progress` units."""
        if progress <= self.start or math.isinf(self.end):
            return 1.0
        return min(1.0, max(0.0, (self.end - progress) / (self.end - self.start)))


class Cosine(EndingSchedule):
    """Half a cosine from `initial` at the start to `final` at `end`, and `final` from there on.

    Args:
        end: where the final factor is reached, in units. None = the run's own end.
        final: the factor there; 0 = a fall to zero.
        unit: what is counted: "epoch" (the rate changes between epochs), "batch" or "image".
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
        """The factor after `progress` units."""
        left = 0.5 * (1 + math.cos(math.pi * min(progress / self.end, 1.0)))
        return self.final + (self.initial - self.final) * left


class Steps(Schedule):
    """Multiplied by `factor` at each milestone, and constant between them.

    Args:
        milestones: where, in units, in ascending order.
        factor: on the rate until then, from 0 to 1.
        unit: what is counted: "epoch", "batch" or "image".
    """

    def __init__(self, milestones: Sequence[NonNegativeFloat], factor: Share = 0.5, unit: Unit = "epoch") -> None:
        if list(milestones) != sorted(milestones):
            raise ValueError(f"milestones={list(milestones)} are not in ascending order: sort them")
        super().__init__(unit)
        self.milestones, self.factor = milestones, factor

    def __call__(self, progress: float) -> float:
        """The factor after `progress` units."""
        return self.factor ** sum(progress >= milestone for milestone in self.milestones)


class InversePower(EndingSchedule):
    """A fall by an inverse power, (1 + 10 p)^-0.75, where p goes from 0 to 1 (Ganin & Lempitsky 2014, section 4).

    Args:
        end: where p is 1, in units; later it goes on. None = the run's own end.
        unit: what is counted: "epoch" (the rate changes between epochs), "batch" or "image".
    """

    def __init__(self, end: PositiveFloat | None = None, unit: Unit = "epoch") -> None:
        super().__init__(end, unit)

    def __call__(self, progress: float) -> float:
        """The factor after `progress` units."""
        return (1 + 10 * progress / self.end) ** -0.75


class SigmoidRamp(EndingSchedule):
    """A rise from 0 to 1 along the upper half of a sigmoid, 2 / (1 + e^(-10 p)) - 1, where p goes from 0 to 1.

    DANN's adversary comes in so (Ganin & Lempitsky 2014, section 4).

    Args:
        end: where p is 1, in units; later it goes on. None = the run's own end.
        unit: what is counted: "epoch" (the factor changes between epochs), "batch" or "image".
    """

    def __init__(self, end: PositiveFloat | None = None, unit: Unit = "epoch") -> None:
        super().__init__(end, unit)

    def __call__(self, progress: float) -> float:
        """The factor after `progress` units."""
        return math.tanh(5 * progress / self.end)  # which is that half of the sigmoid


def misfit(schedule: Schedule, length: float) -> str | None:
    """How a schedule does not end with a run of `length` units, after its name; None where it does, or has no end.

    A hundredth of the run more or less is no misfit: a number of images is seldom one of whole batches.
    """
    ended = schedule.over(length)
    last, units = f"this run ends after {length:g}", schedule.units
    if isinstance(ended, Steps) and (late := [f"{each:g}" for each in ended.milestones if each >= length]):
        return f"has milestones after {' and '.join(late)} {units}, and {last}: they never come; leave them out"
    if not isinstance(ended, EndingSchedule) or not math.isfinite(length):
        return None
    if isinstance(ended, LinearToZero) and ended.start >= length:
        return f"begins to fall after {ended.start:g} {units}, and {last}: its factor stays 1; begin earlier"
    if abs(ended.end - length) <= length / 100:
        return None
    sooner = ended.end < length
    factor = f"its factor {'changes little from there on' if sooner else f'comes to {ended(length):.3g} only'}"
    return f"ends after {ended.end:g} {units}, and {last}: {factor}; null as its `end` is the run's own end"
