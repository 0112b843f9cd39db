"""The states of all random number generators of this process: seeding, capturing and restoring."""

import os
import random
from typing import Any

import numpy as np
import torch


def run_seed() -> int:
    """Return the seed of Lightning's `seed_everything` if it was called, else that of torch's generator."""
    named = os.environ.get("PL_GLOBAL_SEED")
    return int(named) if named else torch.initial_seed()


class RandomState:
    """The random state of a training: the present one or, during an evaluation, the one that was set aside."""

    def __init__(self) -> None:
        self._aside: dict[str, Any] | None = None

    def set_aside(self) -> None:
        """Keep the present state, since an evaluation is about to draw."""
        self._aside = capture()

    def put_back(self) -> None:
        """Restore the state that was set aside."""
        if self._aside is not None:
            restore(self._aside)
        self._aside = None

    def state_dict(self) -> dict[str, Any]:
        """Return the training's random state, as from `capture`."""
        return capture() if self._aside is None else self._aside

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore this state (see `restore`)."""
        restore(state)


def start(seed: int, batches_seen: int) -> None:
    """Seed all generators for a training that begins at a batch, independent of the initialisation of the weights.

    The state after the initialisation differs with the number of processes, since Lightning seeds again if there are
    several.
    """
    mixed = int(np.random.SeedSequence((seed, batches_seen)).generate_state(1)[0])
    torch.manual_seed(mixed)
    np.random.seed(mixed)
    random.seed(mixed)


def capture() -> dict[str, Any]:
    """Return the states of torch (CPU, current CUDA device), NumPy and Python, in types for `weights_only` loading."""
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": [torch.from_numpy(np.asarray(keys, dtype=np.int64)), int(position), int(has_gauss), float(gauss)],
        "python": random.getstate(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore(state: dict[str, Any]) -> None:
    """Restore the result of `capture`. A CUDA state is ignored if there is no CUDA device.

    Raises:
        ValueError: the state is not from `capture`.
    """
    try:
        torch.set_rng_state(state["torch"].cpu())
        keys, position, has_gauss, gauss = state["numpy"]
        np.random.set_state(("MT19937", keys.cpu().numpy().astype(np.uint32), position, has_gauss, gauss))
        version, internal, gauss_next = state["python"]
        random.setstate((version, tuple(internal), gauss_next))
        if "cuda" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["cuda"].cpu())
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RuntimeError) as error:
        raise ValueError(
            f"no run has written the checkpoint's random state ({error}): give a checkpoint that `gan-lightning "
            "fit` wrote"
        ) from error
