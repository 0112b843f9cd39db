"""Images from images by a trained network."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gan_lightning.inference.modes import evaluating
from gan_lightning.inference.statistics import InstanceStatistics, activate_dropout
from gan_lightning.recording import Recorded


class Policy(Recorded):
    """The behaviour at inference of layers that differ between training and evaluation.

    With any policy, an image does not depend on the others in its batch.

    Args:
        dropout: dropout stays on, as the noise of a model that has no other.
        batch_norm: "running" = the running averages of training. "instance" = each image's own statistics, as batch
            norm in training mode has for a batch of one image: for networks trained with such batches.
    """

    def __init__(self, dropout: bool = False, batch_norm: Literal["running", "instance"] = "running") -> None:
        self.dropout = dropout
        self.batch_norm = batch_norm


class Translator(Recorded):
    """Translates images in one direction, or in several named directions.

    The networks always run in evaluation mode, with the changes of the policy, and in float32.

    Args:
        networks: the network of each direction, by its name; or a single network, for the direction "a_to_b". Each maps
            images (N, C, H, W) in [-1, 1] to images.
        policy: of dropout and batch norm. None = dropout is off, batch norm uses the running averages.
        clamp: limit images to [-1, 1], for networks whose output may exceed this range.
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
        """Return the network of a direction. None = the first direction.

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
        """Translate images float (N, C, H, W) in [-1, 1] to float32 (N, C', H', W') in [-1, 1], without gradient."""
        network = self.network(direction)
        with ExitStack() as modes:
            modes.enter_context(evaluating(network))
            modes.enter_context(torch.autocast(images.device.type, enabled=False))
            if self.policy.dropout:
                activate_dropout(network)
            if self.policy.batch_norm == "instance":
                modes.enter_context(InstanceStatistics())
            output = self.output_of(network, images)
        return output.clamp(-1, 1) if self.clamp else output

    def output_of(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return a network's output for images."""
        return network(images)


class Segmenter(Translator):
    """A translator that gives each pixel the class of its largest logit; classes are evenly spaced levels of grey."""

    def output_of(self, network: Any, images: Tensor) -> Tensor:
        """Return segmentations (N, 1, H, W), by the network's `whole`."""
        return image_of(network.whole(images).argmax(1), network.classes)


def image_of(classes: Tensor, num_classes: int) -> Tensor:
    """Convert classes, int64 (N, H, W), to segmentations float32 (N, 1, H, W) in [-1, 1]."""
    return (2 * classes.float() / (num_classes - 1) - 1).unsqueeze(1)
