"""A visitor's own history, for Undo."""

from dataclasses import dataclass
from typing import Generic, Self, TypeVar

T = TypeVar("T")
LONGEST = 200
"""Entries that are kept; the oldest are forgotten."""


@dataclass(frozen=True)
class History(Generic[T]):
    """The states that a visitor has gone through, the newest last. It never changes: each step gives a new one."""

    entries: tuple[T, ...] = ()

    @property
    def newest(self) -> T | None:
        """The newest state, or None if there is none."""
        return self.entries[-1] if self.entries else None

    def record(self, state: T) -> Self:
        """Return the history with a further state, unless it is the newest already."""
        return self if state == self.newest else type(self)((*self.entries, state)[-LONGEST:])

    def undo(self, current: T | None) -> Self:
        """Return the history whose newest state is the one to go back to; the first state is never given up.

        Args:
            current: the state of the page. If it was not recorded, such as a slider between two stops, the newest
                recorded state is the one before it. None = it is no state at all.
        """
        return type(self)(self.entries[:-1]) if current == self.newest and len(self.entries) > 1 else self
