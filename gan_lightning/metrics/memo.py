"""What depends on real images alone is computed once in a run, and not at every evaluation of it."""

import hashlib
from collections.abc import Callable

from torch import Tensor


class Memo:
    """Remembers what a function last made of some tensors, for as long as their content stays the same.

    It goes by the content and not by who changed it when: ranks that gather the same images always agree.
    """

    def __init__(self) -> None:
        self._digest = b""
        self._value: Tensor | None = None

    def __call__(self, function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        """`function(*tensors)`, on the first one's device. It has to be a pure function, the same at every call."""
        digest = hashlib.sha256()
        for tensor in tensors:
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().numpy().data)
        if self._value is None or self._digest != digest.digest():
            self._value, self._digest = function(*tensors), digest.digest()
        return self._value.to(tensors[0].device)
