"""Every random number generator is saved and restored, through a file of plain data only."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gan_lightning.training import random_state


def draw() -> list[Any]:
    return [
        torch.randn(3).tolist(),
        torch.rand(2).tolist(),
        np.random.rand(3).tolist(),
        np.random.randn(1).tolist(),  # an odd number of normals leaves one in store
        random.random(),
        random.gauss(0, 1),
        torch.randperm(5).tolist(),
    ]


def test_what_follows_a_restore_is_what_followed_the_capture(tmp_path: Path) -> None:
    for seed in (0, 7):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        draw()  # leaves half-used pairs of normals behind
        state = random_state.capture()
        torch.save(state, tmp_path / "state.pt")
        expected = draw()
        assert draw() != expected

        random_state.restore(state)
        assert draw() == expected
        random_state.restore(torch.load(tmp_path / "state.pt", weights_only=True))
        assert draw() == expected


def test_capturing_draws_nothing() -> None:
    random_state.capture()
    first = random_state.capture()
    second = random_state.capture()
    assert torch.equal(first["torch"], second["torch"])
    assert torch.equal(first["numpy"][0], second["numpy"][0])
    assert first["python"] == second["python"]


def test_a_captured_state_does_not_move_with_the_generators() -> None:
    state = random_state.capture()
    kept = state["torch"].clone(), state["numpy"][0].clone()
    for _ in range(700):  # past one refill of the Mersenne twister
        draw()
    assert torch.equal(state["torch"], kept[0])
    assert torch.equal(state["numpy"][0], kept[1])


def test_python_state_comes_back_from_lists_too() -> None:
    state = random_state.capture()
    version, internal, gauss = state["python"]
    expected = draw()
    random_state.restore({**state, "python": [version, list(internal), gauss]})
    assert draw() == expected


def test_a_state_of_a_machine_with_a_gpu_is_taken_on_one_without() -> None:
    state = random_state.capture()
    expected = draw()
    random_state.restore(
        {"cuda": torch.zeros(16, dtype=torch.uint8), **state} if not torch.cuda.is_available() else state
    )
    assert draw() == expected
