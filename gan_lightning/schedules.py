"""Learning rates over time: a schedule is a factor on the optimizer's own rate, a pure function of how far training is.

Being functions of a counter and holding no state, they need nothing in a checkpoint and resume exactly.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, get_args

from gan_lightning.recording import Recorded

Unit = Literal["epoch", "batch", "image"]


class Schedule(Recorded, ABC):
    """A factor in [0, 1] on the learning rate, given progress in its `unit`, counted from 0."""

    def __init__(self, unit: Unit = "epoch") -> None:
        if unit not in get_args(Unit):
            raise ValueError(f"a schedule counts in units of epoch, batch or image, not {unit!r}")
        self.unit = unit

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """The factor after `progress` epochs, batches or images."""


class Constant(Schedule):
    """The optimizer's learning rate throughout."""

    def __call__(self, progress: float) -> float:
        """1."""
        return 1.0


class LinearToZero(Schedule):
    """Constant until `start`, then a straight line that reaches zero at `end`.

    Args:
        start: where the decay begins, in units.
        end: where the rate is zero, in units; later it stays there.
        unit: what is counted: "epoch" (the rate changes between epochs), "batch" or "image".
    """

    def __init__(self, start: float, end: float, unit: Unit = "epoch") -> None:
        if not 0 <= start < end:
            raise ValueError(f"a linear decay needs 0 <= start < end, not start={start} and end={end}")
        super().__init__(unit)
        self.start, self.end = start, end

    def __call__(self, progress: float) -> float:
        """The factor after `progress` units."""
        return min(1.0, max(0.0, (self.end - progress) / (self.end - self.start)))


class Cosine(Schedule):
    """Half a cosine from `initial` at the start to `final` at `end`, and `final` from there on.

    Args:
        end: where the final factor is reached, in units.
        final: the factor there; 0 = a fall to zero.
        unit: what is counted: "epoch" (the rate changes between epochs), "batch" or "image".
        initial: the factor at the start; 0, with final 1, is a rise.
    """

    def __init__(self, end: float, final: float = 0.0, unit: Unit = "epoch", initial: float = 1.0) -> None:
        if end <= 0:
            raise ValueError(f"half a cosine needs an end after 0, not {end}")
        super().__init__(unit)
        self.end, self.final, self.initial = end, final, initial

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

    def __init__(self, milestones: Sequence[float], factor: float = 0.5, unit: Unit = "epoch") -> None:
        if list(milestones) != sorted(milestones) or not 0 <= factor <= 1:
            raise ValueError(
                f"steps need ascending milestones and a factor from 0 to 1, not milestones={list(milestones)} and "
                f"factor={factor}"
            )
        super().__init__(unit)
        self.milestones, self.factor = milestones, factor

    def __call__(self, progress: float) -> float:
        """The factor after `progress` units."""
        return self.factor ** sum(progress >= milestone for milestone in self.milestones)


class InversePower(Schedule):
    """A fall by an inverse power, (1 + 10 p)^-0.75, where p goes from 0 to 1 (Ganin & Lempitsky 2014, section 4).

    Args:
        end: where p is 1, in units; later it goes on.
        unit: what is counted: "epoch" (the rate changes between epochs), "batch" or "image".
    """

    def __init__(self, end: float, unit: Unit = "epoch") -> None:
        if end <= 0:
            raise ValueError(f"a decay needs an end after 0, not {end}")
        super().__init__(unit)
        self.end = end

    def __call__(self, progress: float) -> float:
        """The factor after `progress` units."""
        return (1 + 10 * progress / self.end) ** -0.75


class SigmoidRamp(Schedule):
    """A rise from 0 to 1 along the upper half of a sigmoid, 2 / (1 + e^(-10 p)) - 1, where p goes from 0 to 1.

    DANN's adversary comes in so (Ganin & Lempitsky 2014, section 4).

    Args:
        end: where p is 1, in units; later it goes on.
        unit: what is counted: "epoch" (the factor changes between epochs), "batch" or "image".
    """

    def __init__(self, end: float, unit: Unit = "epoch") -> None:
        if end <= 0:
            raise ValueError(f"a ramp needs an end after 0, not {end}")
        super().__init__(unit)
        self.end = end

    def __call__(self, progress: float) -> float:
        """The factor after `progress` units."""
        return math.tanh(5 * progress / self.end)  # which is that half of the sigmoid
