"""A model's state besides its weights, as objects that the engine finds, saves and restores."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Stateful(Protocol):
    """An object whose state belongs into a checkpoint, in types that `weights_only` loads; equal on all processes."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state that an exact resume needs."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Restore the result of `state_dict`."""
        ...


def stateful_parts(owner: object) -> dict[str, Stateful]:
    """Return the attributes of an object that have a state, by their names; those in dictionaries as `attribute.key`.

    Modules are left out, since a model's own `state_dict` has their state. So are attributes whose names begin with
    `_`.
    """
    found: dict[str, Any] = {}
    for name, value in vars(owner).items():
        if not name.startswith("_"):
            found[name] = value
            found |= {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {}
    return {
        name: part for name, part in found.items() if isinstance(part, Stateful) and not isinstance(part, nn.Module)
    }


@dataclass
class Counters:
    """The progress of a run, across resumes."""

    batches_seen: int = 0  # training batches
    images_seen: int = 0  # real images (or pairs) in them, over all processes
    images_at_last_update: int = 0  # `images_seen` at the last update of the moving average
    turns: dict[str, int] = field(default_factory=dict)  # number of turns of each player

    def state_dict(self) -> dict[str, Any]:
        """Return all counters."""
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the result of `state_dict`; earlier versions counted no turns."""
        self.batches_seen, self.images_seen = state["batches_seen"], state["images_seen"]
        self.images_at_last_update = state["images_at_last_update"]
        self.turns = dict(state.get("turns", {}))


class FiniteGuard:
    """Keeps losses for a later check, since reading a value waits for the device that computes it."""

    def __init__(self) -> None:
        self._unchecked: list[tuple[int, list[str], Tensor]] = []

    def note(self, batch: int, losses: Mapping[str, Tensor]) -> None:
        """Keep scalars of a batch, by the names under which they are logged."""
        self._unchecked.append((batch, list(losses), torch.stack([value.detach() for value in losses.values()])))

    def first_not_finite(self) -> str | None:
        """Check the losses since the last check, and return a clause about the first that is not finite, or None."""
        unchecked, self._unchecked = self._unchecked, []
        for batch, names, values in unchecked:
            for name, value in zip(names, values.tolist(), strict=True):
                if not math.isfinite(value):
                    return f"{name} was {value} at batch {batch}"
        return None
