"""How batch norm and dropout behave when a translator makes images, where a paper has its own policy."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import Tensor, nn
from torch.nn.functional import instance_norm
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


def activate_dropout(network: nn.Module) -> None:
    """Put the dropout layers, and nothing else, in training mode."""
    for module in network.modules():
        if isinstance(module, _DropoutNd):
            module.train()


@contextmanager
def instance_statistics(network: nn.Module) -> Iterator[None]:
    """Batch norm layers use the statistics of each image by itself for as long as the context lasts.

    It is what batch norm in training mode does to a batch of one image; here for batches of any size, and without
    touching the running averages.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.forward = partial(_normalise_each, norm)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _normalise_each(norm: _BatchNorm, images: Tensor) -> Tensor:
    return instance_norm(images, weight=norm.weight, bias=norm.bias, eps=norm.eps)
