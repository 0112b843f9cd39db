"""How images are made from latents by a trained generator."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gan_lightning.draws import ImageDraws
from gan_lightning.inference.modes import evaluating
from gan_lightning.inference.priors import NormalPrior, Prior

Space = Literal["z", "w"]
_NOISE = 1  # the name of the stream that a generator's own noise is drawn from


class Sampler(ABC):
    """A source of images by number: image k of a seed is the same whichever other images are made with it."""

    num_classes: int = 0
    """Classes that images can be asked for by label. 0 = it takes no labels."""

    @abstractmethod
    def sample(
        self,
        n: int,
        labels: Tensor | None = None,
        truncation: float | None = None,
        seed: int | None = None,
        first: int = 0,
    ) -> Tensor:
        """Make images, without gradient.

        Args:
            n: how many.
            labels: class of each, int64 (n,), for a conditional generator. None = it goes through its classes in turn.
            truncation: see `Prior.draw`.
            seed: image k of a seed is the same whatever `n`, the batch size and the device, up to the rounding of
                sums. None = drawn from the global random state.
            first: number of the first image, where there is a seed.

        Returns:
            float32 (n, C, H, W) in [-1, 1].

        Raises:
            ValueError: labels are given to a generator that takes none, or lie outside its classes.
        """


class LatentSampler(Sampler):
    """Makes images from latents, and from class labels where the generator takes any.

    The network runs in evaluation mode (batch norm by its running statistics) and in float32, whatever mode it is in
    and whatever precision is set outside.

    A generator with a space of styles w between latents and images has two methods (or modules) for the two ways:
    `mapping(z, *labels)` and `synthesis(w)`. Any other has z as its only space: `map` is the identity then.

    Args:
        network: the generator, called with latents (N, latent_dim) and, where its `num_classes` is above 0, labels
            int64 (N,). It states both as int attributes (`num_classes` absent = 0).
        prior: the distribution of latents. None = a standard normal.
        clamp: limit images to [-1, 1], for generators whose output may leave it.

    Raises:
        TypeError: the network does not state its `latent_dim` or `num_classes` as an int.
    """

    def __init__(self, network: nn.Module, prior: Prior | None = None, clamp: bool = False) -> None:
        self.network: Any = network
        self.prior = prior or NormalPrior()
        self.clamp = clamp
        self.latent_dim = _stated(network, "latent_dim", None, 1)
        self.num_classes = _stated(network, "num_classes", 0, 0)

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The latent spaces, from the prior on."""
        styled = all(callable(getattr(self.network, part, None)) for part in ("mapping", "synthesis"))
        return ("z", "w") if styled else ("z",)

    @property
    def device(self) -> torch.device:
        """The network's device."""
        tensors = (*self.network.parameters(), *self.network.buffers())
        return tensors[0].device if tensors else torch.device("cpu")

    def draw(self, count: int, truncation: float | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Latents z float32 (count, latent_dim) from the prior; see `Prior.draw`."""
        return self.prior.draw(count, self.latent_dim, self.device, truncation, generator)

    def latents(self, numbers: Iterable[int], seed: int, truncation: float | None = None) -> Tensor:
        """The latents z float32 (N, latent_dim) that `sample` makes the images of these numbers from."""
        numbers = list(numbers)
        with ImageDraws(seed, numbers):
            return self.draw(len(numbers), truncation)

    def conditions(self, labels: Tensor | None) -> list[Tensor]:
        """The network's arguments beside latents: the labels of a conditional generator, else none."""
        return [] if self.num_classes == 0 or labels is None else [labels]

    def classes(self, n: int, first: int = 0) -> Tensor | None:
        """The classes in turn, int64 (n,), beginning with that of image `first`; None where there are none."""
        return torch.arange(first, first + n, device=self.device) % self.num_classes if self.num_classes else None

    def map(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents z (N, latent_dim), and labels of a conditional generator, to styles w; z itself where there are none.

        Differentiable.
        """
        if "w" not in self.spaces:
            return z
        with evaluating(self.network), torch.autocast(z.device.type, enabled=False):
            return self.network.mapping(z, *self.conditions(labels))

    def synthesize(self, w: Tensor, labels: Tensor | None = None, seed: Any = None, first: int = 0) -> Tensor:
        """Make images float32 (N, C, H, W) in [-1, 1] from the output of `map`; differentiable.

        Args:
            w: (N, ...), in the last of `spaces`.
            labels: int64 (N,), of a conditional generator; the styles of one that has w tell it the class already.
            seed: of the noise that the generator draws itself, an int or a tuple of ints; with the same seed, image k
                has the same noise. None = drawn from the global random state.
            first: number of the first image, where there is a seed.
        """
        name = (*seed, _NOISE) if isinstance(seed, tuple) else (seed, _NOISE)
        noise = nullcontext() if seed is None else ImageDraws(name, range(first, first + len(w)))
        with evaluating(self.network), torch.autocast(w.device.type, enabled=False), noise:
            styled = "w" in self.spaces
            images = self.network.synthesis(w) if styled else self.network(w, *self.conditions(labels))
        return images.clamp(-1, 1) if self.clamp else images

    @torch.no_grad()
    def images(self, z: Tensor, labels: Tensor | None = None, seed: Any = None, first: int = 0) -> Tensor:
        """Latents z (N, latent_dim) to images float32 (N, C, H, W) in [-1, 1], without gradient; see `synthesize`."""
        return self.synthesize(self.map(z, labels), labels, seed, first)

    def sample(
        self,
        n: int,
        labels: Tensor | None = None,
        truncation: float | None = None,
        seed: int | None = None,
        first: int = 0,
    ) -> Tensor:
        """Make images from latents of the prior; see `Sampler.sample`."""
        if labels is not None and not self.num_classes:
            raise ValueError("this model takes no labels: its networks have num_classes: 0")
        labels = self.classes(n, first) if labels is None else labels
        z = self.draw(n, truncation) if seed is None else self.latents(range(first, first + n), seed, truncation)
        return self.images(z, labels, seed, first)


def _stated(network: nn.Module, name: str, absent: int | None, least: int) -> int:
    stated = getattr(network, name, absent)
    if not isinstance(stated, int) or stated < least:
        raise TypeError(
            f"the generator {type(network).__name__} does not say its {name} (it is {stated!r}): give it an int "
            f"attribute of this name, {least} or more"
        )
    return stated
