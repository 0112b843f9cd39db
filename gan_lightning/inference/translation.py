"""Images from images by a trained network."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from gan_lightning.inference.modes import evaluating
from gan_lightning.inference.statistics import InstanceStatistics, activate_dropout
from gan_lightning.recording import Recorded


class UntranslatableImageError(ValueError):
    """The network cannot translate an image: it holds a label of no class, or needs tiles and cannot have them."""


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


class Choice(NamedTuple):
    """A choice among the images that a translator can make from one. None = the translator's default."""

    to: str | None = None
    """The target by its name, of a translator with `targets` (see `DomainTranslator.switches`)."""
    style_seed: int | None = None
    """Seed of a style drawn from N(0, I), the same for all images, of a translator with a `style_dim`."""
    example: Tensor | None = None
    """Image float (1, C, H, W) in [-1, 1] that gives the style, of a translator that `takes_example`; or several, (K,
    C, H, W), whose codes' mean is the style."""


class Translator(Recorded):
    """Translates images in one direction, or in several named directions.

    The networks always run in evaluation mode, with the changes of the policy, and in float32.

    A subclass may leave users a `Choice`, and then states what they can choose (`targets`, `style_dim`,
    `takes_example`). Its networks are called as `network(images, code)`, with the code of the choice.

    Args:
        networks: the network of each direction, by its name; or a single network, for the direction "a_to_b". Each maps
            images (N, C, H, W) in [-1, 1] to images.
        policy: of dropout and batch norm. None = dropout is off, batch norm uses the running averages.
        clamp: limit images to [-1, 1], for networks whose output may exceed this range.
    """

    targets: tuple[str, ...] = ()
    """Names of the domains or attributes that a choice can name. Empty = there are none."""

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

    @property
    def options(self) -> tuple[str, ...]:
        """The choices of a single target, as `Choice.to` names them."""
        return ()

    @property
    def style_dim(self) -> int:
        """Number of components of a style that can be drawn from N(0, I). 0 = there are no such styles."""
        return 0

    @property
    def takes_example(self) -> bool:
        """Whether an example image can give the style, in a direction at least."""
        return False

    @property
    def has_choice(self) -> bool:
        """Whether users can choose among several translations of an image."""
        return bool(self.targets or self.style_dim or self.takes_example)

    @property
    def parts(self) -> dict[str, nn.Module]:
        """All networks that translations need, by name: those of the directions, and others of a subclass."""
        return dict(self.networks)

    def read(self, stored: Tensor, direction: str | None = None) -> Tensor:
        """Return an image from a file, uint8 or uint16 (C, H, W), as the network of a direction understands it.

        Most networks understand every image. Those of label maps know which grey level or colour is which class.

        Raises:
            UntranslatableImageError: the image holds values that mean nothing to the network.
        """
        return stored

    def translate(self, images: Tensor, direction: str | None = None, choice: Choice | None = None) -> Tensor:
        """Translate images float (N, C, H, W) in [-1, 1] to float32 (N, C', H', W') in [-1, 1], without gradient.

        Args:
            images: the images.
            direction: one of the `directions`. None = the first.
            choice: the user's choice, the same for all images. None = the translator's default.

        Raises:
            ValueError: there is no such direction, or nothing of the kind to choose.
        """
        return self.apply(images, self.code_of(images, choice, direction), direction)

    @torch.no_grad()
    def apply(self, images: Tensor, code: Tensor | None = None, direction: str | None = None) -> Tensor:
        """Translate images, as `translate` does, by the code of each, float (N, ...). None = the network takes none."""
        network = self.network(direction)
        with self.running(network, images.device):
            if self.policy.dropout:
                activate_dropout(network)
            output = self.output_of(network, images, code)
        return output.clamp(-1, 1) if self.clamp else output

    def code_of(self, images: Tensor, choice: Choice | None = None, direction: str | None = None) -> Tensor | None:
        """Return the code of a choice for each image, float (N, ...). None = the network takes none.

        Args:
            images: the images to translate, float (N, C, H, W) in [-1, 1].
            choice: the user's choice. None = the translator's default.
            direction: one of the `directions`. None = the first.

        Raises:
            ValueError: there is nothing of the kind to choose.
        """
        self.check(choice, direction)
        return None

    def check(self, choice: Choice | None, direction: str | None = None) -> None:
        """Check a choice before any image is at hand.

        Raises:
            ValueError: there is no such direction, or nothing of the kind to choose.
        """
        self.network(direction)
        given = choice or Choice()
        known = self._known(direction)
        for name, value in given._asdict().items():
            if value is not None and name not in known:
                instead = f", or give {' or '.join(known)}" if known else ""
                raise ValueError(f"this model takes no {name} as a choice: leave it out{instead}")

    def _known(self, direction: str | None) -> tuple[str, ...]:
        """Return the fields of a `Choice` that may be given in a direction."""
        return ()

    def sample_code(self, images: Tensor, direction: str | None, generator: torch.Generator) -> Tensor | None:
        """Draw a code at random for each image float (N, C, H, W) in [-1, 1]. None = the network takes none."""
        return None

    @contextmanager
    def running(self, network: nn.Module, device: torch.device) -> Iterator[None]:
        """Let a network run as in use: in evaluation mode, in float32, with the policy's statistics."""
        with ExitStack() as modes:
            modes.enter_context(evaluating(network))
            modes.enter_context(torch.autocast(device.type, enabled=False))
            if self.policy.batch_norm == "instance":
                modes.enter_context(InstanceStatistics())
            yield

    def output_of(self, network: nn.Module, images: Tensor, code: Tensor | None = None) -> Tensor:
        """Return a network's output for images, and for the code of each if it takes any."""
        return network(images) if code is None else network(images, code)


class Segmenter(Translator):
    """A translator that gives each pixel the class of its largest logit; classes are evenly spaced levels of grey."""

    def output_of(self, network: Any, images: Tensor, code: Tensor | None = None) -> Tensor:
        """Return segmentations (N, 1, H, W), by the network's `whole`."""
        return image_of(network.whole(images).argmax(1), network.classes)


def image_of(classes: Tensor, num_classes: int) -> Tensor:
    """Convert classes, int64 (N, H, W), to segmentations float32 (N, 1, H, W) in [-1, 1]."""
    return (2 * classes.float() / (num_classes - 1) - 1).unsqueeze(1)
