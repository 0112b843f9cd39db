"""Every random number generator of this process: seeded for a run, as plain data, and back."""

import os
import random
from typing import Any

import numpy as np
import torch


def run_seed() -> int:
    """The seed that Lightning's `seed_everything` was given, else the one that torch's generator started from."""
    named = os.environ.get("PL_GLOBAL_SEED")
    return int(named) if named else torch.initial_seed()


class RandomState:
    """The random state of a training: the present one; while an evaluation draws, the one to go on with."""

    def __init__(self) -> None:
        self._aside: dict[str, Any] | None = None

    def set_aside(self) -> None:
        """Keep the present state, since others are going to draw."""
        self._aside = capture()

    def put_back(self) -> None:
        """Go on with the state that was set aside."""
        if self._aside is not None:
            restore(self._aside)
        self._aside = None

    def state_dict(self) -> dict[str, Any]:
        """What `capture` returns."""
        return capture() if self._aside is None else self._aside

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with this state (see `restore`)."""
        restore(state)


def start(seed: int, batches_seen: int) -> None:
    """Start all generators for a training that begins at a batch: not where the making of the weights left them.

    That place differs with the number of processes, since Lightning seeds anew where there are several.
    """
    mixed = int(np.random.SeedSequence((seed, batches_seen)).generate_state(1)[0])
    torch.manual_seed(mixed)
    np.random.seed(mixed)
    random.seed(mixed)


def capture() -> dict[str, Any]:
    """The states of torch (CPU, current CUDA device), NumPy and Python, in types that `weights_only` loading takes."""
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
    """Put back what `capture` returned. A CUDA state is left out where there is no CUDA device.

    Raises:
        ValueError: it is nothing that `capture` returns.
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
            f"the checkpoint's random state is none that a run writes ({error}): give a checkpoint that `train.py fit` "
            "wrote"
        ) from error
