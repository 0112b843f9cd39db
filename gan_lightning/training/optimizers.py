"""Optimizers as arguments: made from a class and its settings, for the parameters that learn."""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim import Optimizer

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
"""Makes an optimizer of parameters: a class with its settings in YAML, `functools.partial(Adam, lr=...)` in Python."""


def make_optimizer(factory: OptimizerFactory, parameters: list[nn.Parameter], name: str) -> Optimizer:
    """Make an optimizer of these parameters.

    Args:
        factory: makes the optimizer.
        parameters: the parameters to optimise.
        name: the model's argument that holds the factory, for a message.

    Raises:
        ValueError: there are no parameters, or training steps do not support the optimizer.
    """
    if not parameters:
        raise ValueError(f"model.{name}: its networks have no parameters that learn: choose another network")
    optimizer = factory(parameters)
    if isinstance(optimizer, torch.optim.LBFGS | torch.optim.SparseAdam):
        needs = (
            "several evaluations of a step's loss" if isinstance(optimizer, torch.optim.LBFGS) else "sparse gradients"
        )
        raise ValueError(
            f"model.{name}: {type(optimizer).__name__} needs {needs}, which training here does not support: choose "
            "another optimizer, such as torch.optim.Adam"
        )
    return optimizer


def slow_down(optimizer: Optimizer, steps: float) -> None:
    """Change an optimizer's settings so that `steps` steps have about the effect that one has by the present ones.

    Learning rates are divided by `steps`, and betas become their powers of 1 / `steps` (Karras et al. 2019, arXiv
    1912.04958, appendix B).
    """
    if steps == 1:
        return
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] / steps
        if "betas" in group:
            group["betas"] = tuple(beta ** (1 / steps) for beta in group["betas"])


def learnable(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    """Return the parameters that modules learn, each once, even if modules share it."""
    return list(dict.fromkeys(p for module in modules for p in module.parameters() if p.requires_grad))
