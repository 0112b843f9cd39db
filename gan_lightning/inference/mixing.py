"""Mixtures of classes, for any generator that looks its classes up in a table."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class ClassMixture(TorchFunctionMode):
    """Let a network that takes class labels use a mixture of classes for each image.

    Within this context, a one-hot vector of `labels` is the vector of weights, and an embedding of `labels` is the mean
    of all classes' embeddings by these weights. Weights that are one-hot give the same images as their classes.

    Args:
        labels: the labels that the network is called with, int64 (N,). Their values are not used.
        weights: float (N, num_classes); each row sums to 1.
    """

    def __init__(self, labels: Tensor, weights: Tensor) -> None:
        super().__init__()
        self.labels, self.weights = labels, weights
        self.used = False
        """Whether the network has looked its labels up. If not, the mixture had no effect."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if args and args[0] is self.labels:
            if func is F.one_hot:
                self.used = True
                return self.weights
            if func is F.embedding:
                table = args[1] if len(args) > 1 else kwargs["weight"]
                self.used = True
                return self.weights.to(table.dtype) @ table
        return func(*args, **kwargs)
