"""Optimizers made of a class: fused steps on the CPU are those of the default loop, whatever the memory layout."""

from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from gan_lightning.training.optimizers import OptimizerFactory, make_optimizer

STEPPING: dict[str, Any] = {
    "Adam": partial(Adam, lr=0.1, betas=(0.5, 0.999)),
    "Adam without momentum": partial(Adam, lr=0.1, betas=(0.0, 0.99), eps=1e-8),
    "Adam with weight decay": partial(Adam, lr=0.1, weight_decay=0.1, amsgrad=True),
    "AdamW": partial(AdamW, lr=0.1),
    "SGD": partial(SGD, lr=0.1),
    "SGD with momentum": partial(SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
}


def network(channels_last: bool = False) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Conv2d(5, 7, 1), nn.Flatten(), nn.Linear(7, 2))
    return layers.to(memory_format=torch.channels_last) if channels_last else layers


def learn(layers: nn.Module, optimizer: Optimizer, steps: range) -> None:
    """Step on random gradients, which are contiguous."""
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        for p in layers.parameters():
            p.grad = torch.randn(p.shape, generator=generator)
        optimizer.step()


def fused(optimizer: Optimizer) -> set[Any]:
    return {settings.get("fused") for settings in (optimizer.defaults, *optimizer.param_groups)}


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("kind", STEPPING)
def test_fused_steps_are_those_of_the_loop(kind: str, channels_last: bool) -> None:
    layers, plain = network(channels_last), network()
    optimizer = make_optimizer(STEPPING[kind], [*layers.parameters()], "optimizer")
    assert fused(optimizer) == {True}
    learn(layers, optimizer, range(5))
    learn(plain, STEPPING[kind]([*plain.parameters()], foreach=False), range(5))
    for one, other in zip(layers.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["Adam", "SGD with momentum"])
def test_a_state_of_another_memory_layout_is_laid_out_anew(kind: str) -> None:
    layers, plain = network(), network()
    before = STEPPING[kind]([*plain.parameters()])
    learn(plain, before, range(3))
    layers.load_state_dict(plain.state_dict())
    layers.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(STEPPING[kind], [*layers.parameters()], "optimizer")
    state = deepcopy(before.state_dict())
    state["param_groups"][0]["fused"] = True
    optimizer.load_state_dict(state)
    learn(layers, optimizer, range(3, 6))
    learn(plain, before, range(3, 6))
    for one, other in zip(layers.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        (partial(Adam, fused=False), {False}),
        (partial(Adam, foreach=True), {None}),
        (partial(Adam, differentiable=True), {None}),
        (RMSprop, {None}),
    ],
)
def test_a_chosen_way_and_other_optimizers_stay_as_they_are(factory: OptimizerFactory, expected: set[Any]) -> None:
    assert fused(make_optimizer(factory, [*network().parameters()], "optimizer")) == expected


def test_weights_that_share_memory_are_not_fused() -> None:
    shared = nn.Parameter(torch.zeros(1, 3).expand(2, 3))
    assert fused(make_optimizer(Adam, [shared], "optimizer")) == {None}
