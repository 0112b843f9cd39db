"""Building a model from a file, with a limit on its size."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gan_lightning import private
from gan_lightning.errors import one_line

SPARE = 250_000_000  # numbers, 1 GB, that a model may allocate beside those in its checkpoint: an extractor's weights
_MAKING = {torch.ops.aten.empty, torch.ops.aten.zeros, torch.ops.aten.ones, torch.ops.aten.full, torch.ops.aten.randn}


class _TooLargeError(Exception):
    """More tensors than a file of this size describes."""


class _Limited(private.DispatchMode):
    """Refuses new tensors that together have more than `most` numbers."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most

    def __torch_dispatch__(self, function: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function.overloadpacket in _MAKING and str((kwargs or {}).get("device")) != "meta":
            self._left -= math.prod(args[0])
            if self._left < 0:
                raise _TooLargeError("it asks for networks that are larger than its weights")
        return function(*args, **(kwargs or {}))


@contextmanager
def limited_building(
    path: Any, weights: Mapping[str, Tensor], advice: str, error: type[ValueError] = ValueError
) -> Iterator[None]:
    """Limit the tensors made within to four times the numbers of `weights`, and `SPARE` more.

    Args:
        path: the file, for the message.
        weights: its tensors.
        advice: the end of the message.
        error: class of the error.

    Raises:
        ValueError: an `error`: more tensors are made, or the model cannot be built from such arguments.
    """
    try:
        with _Limited(SPARE + 4 * sum(value.numel() for value in weights.values())):
            yield
    except (_TooLargeError, TypeError, RuntimeError, LookupError, AttributeError, ArithmeticError) as cause:
        raise error(
            f"{path} does not describe how its model is built, or does so for another version of gan_lightning "
            f"({one_line(str(cause))[:300]}): {advice}"
        ) from cause
