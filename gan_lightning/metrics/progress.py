"""A progress bar for long computations."""

from collections.abc import Iterable
from typing import Any

import torch.distributed as dist
from tqdm import tqdm  # type: ignore[import-untyped]

PATIENCE = 5  # seconds before a bar appears


def rank_and_world() -> tuple[int, int]:
    """Return this process's rank and the number of processes; 0 and 1 without a process group."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def progress(title: str, items: Iterable[Any] | None = None, total: int | None = None) -> tqdm:
    """Return a bar over items, or one to `update` up to `total`: on a terminal, on rank zero, after five seconds."""
    hidden = True if rank_and_world()[0] else None
    return tqdm(items, desc=title, total=total, delay=PATIENCE, leave=False, disable=hidden)
