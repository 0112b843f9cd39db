"""What a model remembers besides its weights, as objects with a state each: found, saved and restored by the engine."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Stateful(Protocol):
    """An object whose state belongs into a checkpoint, in types that `weights_only` loads; alike on all processes."""

    def state_dict(self) -> dict[str, Any]:
        """What an exact resume needs."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Take back what `state_dict` returned."""
        ...


def stateful_parts(owner: object) -> dict[str, Stateful]:
    """The attributes of an object that have a state, by their names; those in dictionaries as `attribute.key`.

    Modules are left out, since a model's own `state_dict` has theirs, and attributes whose names begin with `_`.
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
    """How far a run has come, resumed or not."""

    batches_seen: int = 0  # training batches
    images_seen: int = 0  # real images (or pairs) in them, over all processes
    images_at_last_update: int = 0  # `images_seen` when the moving average was last moved
    turns: dict[str, int] = field(default_factory=dict)  # that each player has had

    def state_dict(self) -> dict[str, Any]:
        """All of them."""
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned; earlier versions counted no turns."""
        self.batches_seen, self.images_seen = state["batches_seen"], state["images_seen"]
        self.images_at_last_update = state["images_at_last_update"]
        self.turns = dict(state.get("turns", {}))


class FiniteGuard:
    """Remembers losses until they are looked at: a look at a value waits for the device that computes it."""

    def __init__(self) -> None:
        self._unchecked: list[tuple[int, list[str], Tensor]] = []

    def note(self, batch: int, losses: Mapping[str, Tensor]) -> None:
        """Remember scalars of a batch, by the names that they are logged under."""
        self._unchecked.append((batch, list(losses), torch.stack([value.detach() for value in losses.values()])))

    def first_not_finite(self) -> str | None:
        """Look at the losses since the last look: a clause about the first that is NaN or infinite. None = all are."""
        unchecked, self._unchecked = self._unchecked, []
        for batch, names, values in unchecked:
            for name, value in zip(names, values.tolist(), strict=True):
                if not math.isfinite(value):
                    return f"{name} was {value} at batch {batch}"
        return None
