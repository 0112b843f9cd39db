"""A memory for results that depend only on real images, so that they are computed once in a run."""

import hashlib
from collections.abc import Callable

from torch import Tensor


class Memo:
    """Keeps the last result of a function while the content of its tensors stays the same.

    It compares the content, so that ranks that gather the same images always agree.
    """

    def __init__(self) -> None:
        self._digest = b""
        self._value: Tensor | None = None

    def __call__(self, function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        """Return `function(*tensors)` on the first tensor's device; it must be the same pure function each time."""
        digest = hashlib.sha256()
        for tensor in tensors:
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().numpy().data)
        if self._value is None or self._digest != digest.digest():
            self._value, self._digest = function(*tensors), digest.digest()
        return self._value.to(tensors[0].device)
