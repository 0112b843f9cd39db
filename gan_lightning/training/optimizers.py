"""Optimizers as arguments: made from a class and its settings, for the parameters that learn."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

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
    fuse(optimizer)
    return optimizer


def fuse(optimizer: Optimizer) -> None:
    """Let Adam, AdamW and SGD step by torch's fused kernels on CPUs, unless their settings choose another way.

    Torch's default on a CPU is a loop of simple operations. A step of Adam on 34 million weights took ten times as long
    by it (one thread of an AMD EPYC). Other devices have fast defaults.
    """
    if type(optimizer) not in (Adam, AdamW, SGD):
        return
    groups = optimizer.param_groups
    chosen = any(group["fused"] is not None or group["foreach"] or group["differentiable"] for group in groups)
    weights = [p for group in groups for p in group["params"]]
    if chosen or not all(p.is_cpu and torch.empty_like(p).stride() == p.stride() for p in weights):
        return
    for settings in (optimizer.defaults, *groups):
        settings["fused"] = True
    optimizer.register_step_pre_hook(_align)


def _align(optimizer: Optimizer, *_: Any) -> None:
    """Give gradients and states the memory layout of their parameters.

    NOTE: torch's fused kernels on CPUs read all of them in the order of memory, and do not check that it is the same
        order. They would combine wrong elements of weights in channels_last and of states from a checkpoint without it.
    """
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p.grad is not None:
                p.grad = _as_laid_out(p.grad, p)
            state = optimizer.state.get(p, {})
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == p.shape:
                    state[name] = _as_laid_out(value, p)


def _as_laid_out(values: Tensor, parameter: nn.Parameter) -> Tensor:
    """Return values in the memory layout of a parameter: the same tensor if they have it."""
    strides = zip(values.stride(), parameter.stride(), parameter.shape, strict=True)
    if all(one == other or size == 1 for one, other, size in strides):
        return values
    return torch.empty_like(parameter, dtype=values.dtype).copy_(values)


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
