"""How images are made from images by a trained network."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gan_lightning.inference.modes import evaluating
from gan_lightning.inference.statistics import InstanceStatistics, activate_dropout
from gan_lightning.recording import Recorded


class Policy(Recorded):
    """How the layers that behave differently in training behave when images are made.

    Whatever it says, a picture does not depend on which others are in its batch.

    Args:
        dropout: dropout stays on, as the noise of a model that has no other.
        batch_norm: "running" = the running averages of training. "instance" = each image's own statistics, which is
            what batch norm in training mode does to a batch of one image: for networks trained with such batches.
    """

    def __init__(self, dropout: bool = False, batch_norm: Literal["running", "instance"] = "running") -> None:
        self.dropout = dropout
        self.batch_norm = batch_norm


class Translator:
    """Turns images into others, in one direction or in several that have names.

    The networks run in evaluation mode, as the policy says, and in float32, whatever is set outside.

    Args:
        networks: the network of each direction, by its name; or the only one, of a direction "a_to_b". Each maps
            images (N, C, H, W) in [-1, 1] to images.
        policy: of dropout and batch norm. None = dropout is off, batch norm uses the running averages.
        clamp: limit images to [-1, 1], for networks whose output may leave it.
    """

    def __init__(
        self, networks: nn.Module | Mapping[str, nn.Module], policy: Policy | None = None, clamp: bool = False
    ) -> None:
        several = isinstance(networks, Mapping | nn.ModuleDict)
        self.networks: Mapping[str, Any] = networks if several else {"a_to_b": networks}  # type: ignore[assignment]
        self.policy = policy or Policy()
        self.clamp = clamp

    @property
    def directions(self) -> tuple[str, ...]:
        """The names of the directions; the first is the default."""
        return tuple(self.networks)

    def network(self, direction: str | None = None) -> nn.Module:
        """The network of a direction. None = of the first.

        Raises:
            ValueError: there is no direction of this name.
        """
        if direction is None:
            return self.networks[self.directions[0]]
        if direction not in self.networks:
            raise ValueError(f"there is no direction {direction!r}: choose {' or '.join(self.directions)}")
        return self.networks[direction]

    @torch.no_grad()
    def translate(self, images: Tensor, direction: str | None = None) -> Tensor:
        """Images float (N, C, H, W) in [-1, 1] to others, float32 (N, C', H', W') in [-1, 1], without gradient."""
        network = self.network(direction)
        with ExitStack() as modes:
            modes.enter_context(evaluating(network))
            modes.enter_context(torch.autocast(images.device.type, enabled=False))
            if self.policy.dropout:
                activate_dropout(network)
            if self.policy.batch_norm == "instance":
                modes.enter_context(InstanceStatistics())
            made = self.made_by(network, images)
        return made.clamp(-1, 1) if self.clamp else made

    def made_by(self, network: nn.Module, images: Tensor) -> Tensor:
        """A network's output on images."""
        return network(images)
