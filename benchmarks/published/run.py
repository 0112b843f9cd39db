"""The training of a row of several seeds, and the losses that rows share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import override

from benchmarks.batched import Streams
from gan_lightning import losses

Losses = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Returns the losses of D and G of each seed, (S,), from logits of real images and of fakes, (S, N)."""


class Run(ABC):
    """The training of a row's network for several seeds, which can be saved after any step."""

    steps: int
    every: int
    """Steps from one point of the learning curve to the next."""

    def __init__(self) -> None:
        self.step = 0
        self.curve: list[dict[str, Any]] = []

    @abstractmethod
    def advance(self) -> None:
        """Train a step."""

    @abstractmethod
    def measure(self) -> list[dict[str, float]]:
        """Return the row's measures of each seed."""

    def seconds(self, measured: float) -> float:
        """Return the time that the whole training took, given that of all calls of `advance` so far."""
        return measured

    @abstractmethod
    def parts(self) -> Mapping[str, Any]:
        """Return the parts with a state: modules, optimizers, streams."""

    def state(self) -> dict[str, Any]:
        """Return all that an exact resume needs."""
        parts = self.parts().items()
        states = {name: part.state() if isinstance(part, Streams) else part.state_dict() for name, part in parts}
        return {"step": self.step, "curve": self.curve, "parts": states}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the result of `state`."""
        self.step, self.curve = state["step"], state["curve"]
        for name, part in self.parts().items():
            (part.restore if isinstance(part, Streams) else part.load_state_dict)(state["parts"][name])


class Game(Run):
    """Batched generators against batched discriminators, a seed each."""

    streams: Streams
    generators: nn.Module
    discriminators: nn.Module
    d_optimizer: Optimizer
    g_optimizer: Optimizer

    @override
    def parts(self) -> Mapping[str, Any]:
        return {
            "streams": self.streams,
            "generators": self.generators,
            "discriminators": self.discriminators,
            "d_optimizer": self.d_optimizer,
            "g_optimizer": self.g_optimizer,
        }


def penalised(game: losses.AdversarialLoss) -> Losses:
    """Return the losses of one of the library's games, seed by seed."""

    def both(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        seeds = range(len(real))
        return (
            torch.stack([game.discriminator(real[s], fake[s]) for s in seeds]),
            torch.stack([game.generator(fake[s], lambda s=s: real[s]) for s in seeds]),  # type: ignore[misc]
        )

    return both


def slopes(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the squared norm of each input's gradient, (S, N), for inputs (S, N, ...); differentiable."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient.flatten(2).square().sum(2)
