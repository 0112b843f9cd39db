"""The device of a network, by its name on the command line."""

from typing import Literal

import torch

Device = Literal["auto", "cpu", "cuda"]


def find_device(name: Device) -> torch.device:
    """Return the device of that name; "auto" is the GPU if there is one.

    Raises:
        ValueError: the name is "cuda" and there is no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch finds no GPU here; leave it out")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")
