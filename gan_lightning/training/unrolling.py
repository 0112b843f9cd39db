"""Unrolling: the generator learns against the discriminator as it will be after its next steps.

Metz, Poole, Pfau, Sohl-Dickstein, "Unrolled Generative Adversarial Networks", 2016, arXiv 1611.02163. With the
parameters θ_D of D, its loss L_D, and its optimizer's step η:

    θ_D⁰ = θ_D,    θ_Dⁱ⁺¹ = θ_Dⁱ - η(∇ L_D(θ_G, θ_Dⁱ))                                        (equations 7 and 8)

and G minimises L_G(θ_G, θ_Dᵏ) (equation 10), whose gradient also passes through all steps, since the fakes in L_D are
G's (equation 12). D itself makes its one step as always, and the θ_Dⁱ are then forgotten.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import all_reduce
from torch.func import functional_call
from torch.optim import SGD, Adam, AdamW, Optimizer

from gan_lightning.losses.penalties import through_images
from gan_lightning.regularizers import Terms

UNROLLED = (SGD, Adam, AdamW)
"""The optimizers whose step is known here as a differentiable function."""


def check_optimizer(optimizer: Optimizer) -> None:
    """Raise a ValueError if the steps of an optimizer cannot be unrolled."""
    if type(optimizer) not in UNROLLED:
        names = [kind.__name__ for kind in UNROLLED]
        raise ValueError(
            f"model.unroll looks ahead by the discriminator's own steps, and those of {type(optimizer).__name__} are "
            f"unknown to it: choose {', '.join(names[:-1])} or {names[-1]} as discriminator_optimizer, or set unroll "
            "to 0"
        )


def look_ahead(
    modules: Sequence[nn.Module],
    optimizer: Optimizer,
    steps: int,
    loss: Callable[[], Tensor],
    then: Callable[[], Terms],
    clip_norm: float | None = None,
    world_size: int = 1,
) -> Terms:
    """Return `then()`, computed with the parameters that the modules would have after some steps; differentiable.

    Parameters, buffers and the optimizer's state stay as they are.

    Args:
        modules: the modules whose parameters the optimizer has.
        optimizer: the optimizer, in its present state; one that `check_optimizer` accepts.
        steps: number of steps.
        loss: returns the scalar that a step minimises; all steps call it.
        then: computes anything with the modules.
        clip_norm: largest L2 norm of a gradient; longer ones are scaled down. None = no limit.
        world_size: number of processes, over which gradients are averaged.
    """
    within = _Within(modules)
    learnt = {p for group in optimizer.param_groups for p in group["params"]}
    names = {name: p for name, p in within.named_parameters() if p in learnt}
    now = {name: p.detach().clone().requires_grad_() for name, p in names.items()}
    buffers = {name: buffer.clone() for name, buffer in within.named_buffers()}
    rule = _Rule(optimizer, names)
    for _ in range(steps):
        with through_images():
            value = functional_call(within, {**now, **buffers}, (loss,))
        gradients = torch.autograd.grad(value, list(now.values()), create_graph=True, allow_unused=True)
        found = {name: g for name, g in zip(now, gradients, strict=True) if g is not None}
        if world_size > 1:
            found = _averaged(found, world_size)
        if clip_norm is not None:
            found = _clipped(found, clip_norm)
        now = now | {name: rule.step(name, now[name], g) for name, g in found.items()}
    return functional_call(within, {**now, **buffers}, (then,))


class _Within(nn.Module):
    """Calls a function; its parts are the modules whose parameters `functional_call` replaces meanwhile."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)

    def forward(self, function: Callable[[], Any]) -> Any:
        return function()


class _Rule:
    """The step of an optimizer as a function of parameter and gradient, from a copy of its state.

    The steps are those of torch.optim. Its own differentiable ones have no derivative where a gradient is zero, as
    behind a dead unit.
    """

    def __init__(self, optimizer: Optimizer, names: Mapping[str, nn.Parameter]) -> None:
        groups = {p: group for group in optimizer.param_groups for p in group["params"]}
        self.groups = {name: groups[p] for name, p in names.items()}
        self.states: dict[str, dict[str, Any]] = {name: dict(optimizer.state.get(p, {})) for name, p in names.items()}

    def step(self, name: str, p: Tensor, gradient: Tensor) -> Tensor:
        """Return the parameter after a step, and keep the new state."""
        group, state = self.groups[name], self.states[name]
        gradient = -gradient if group["maximize"] else gradient
        if group["weight_decay"] and not group.get("decoupled_weight_decay", False):
            gradient = gradient + group["weight_decay"] * p
        return (_adam if "betas" in group else _sgd)(group, state, p, gradient)


def _sgd(group: Mapping[str, Any], state: dict[str, Any], p: Tensor, gradient: Tensor) -> Tensor:
    if group["momentum"]:
        before = state.get("momentum_buffer")
        moved = gradient if before is None else group["momentum"] * before + (1 - group["dampening"]) * gradient
        state["momentum_buffer"] = moved
        gradient = gradient + group["momentum"] * moved if group["nesterov"] else moved
    return p - group["lr"] * gradient


def _adam(group: Mapping[str, Any], state: dict[str, Any], p: Tensor, gradient: Tensor) -> Tensor:
    first, second = group["betas"]
    if group["weight_decay"] and group.get("decoupled_weight_decay", False):
        p = p * (1 - group["lr"] * group["weight_decay"])
    step = float(state.get("step", 0)) + 1
    zero = torch.zeros_like(p)
    mean = torch.lerp(state.get("exp_avg", zero), gradient, 1 - first)
    square = second * state.get("exp_avg_sq", zero) + (1 - second) * gradient.square()
    state |= {"step": step, "exp_avg": mean, "exp_avg_sq": square}
    if group["amsgrad"]:
        square = torch.maximum(state.get("max_exp_avg_sq", zero), square)
        state["max_exp_avg_sq"] = square
    # the root has an infinite slope at zero, where the step's own slope is that of `mean` over eps
    positive = square > 0
    root = torch.where(positive, square, 1.0).sqrt() * positive
    scale = root / (1 - second**step) ** 0.5 + group["eps"]
    return p - group["lr"] / (1 - first**step) * mean / scale


def _clipped(gradients: Mapping[str, Tensor], limit: float) -> dict[str, Tensor]:
    """Scale gradients down to a norm in common, as torch.nn.utils.clip_grad_norm_ does."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients.values()]))
    factor = (limit / (norm + 1e-6)).clamp(max=1)
    return {name: factor * g for name, g in gradients.items()}


def _averaged(gradients: Mapping[str, Tensor], world_size: int) -> dict[str, Tensor]:
    """Return the mean of gradients over processes, through which gradients pass to all of them."""
    flat = _Sum.apply(torch.cat([g.flatten() for g in gradients.values()])) / world_size
    parts = flat.split([g.numel() for g in gradients.values()])
    return {name: part.view_as(g) for (name, g), part in zip(gradients.items(), parts, strict=True)}


class _Sum(torch.autograd.Function):
    """The sum over processes. The gradient of the sum of all their losses is likewise a sum over processes."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        all_reduce(total)
        return total
