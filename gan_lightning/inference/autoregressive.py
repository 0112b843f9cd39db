"""Images drawn value by value, from the distributions that an autoregressive network gives."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import cached as cached_parametrizations
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.draws import ImageDraws
from gan_lightning.inference.latents import ImageName, Sampler
from gan_lightning.inference.modes import evaluating
from gan_lightning.recording import Recorded

PATIENCE = 5  # seconds before a bar appears


class AutoregressiveSampler(Recorded, Sampler):
    """Draws images pixel by pixel, row by row from the top left, and each colour given those before it.

    The network runs in evaluation mode and in float32. It computes each activation once where it keeps those of earlier
    pixels (see `gan_lightning.networks.base.AutoregressiveNetwork`).

    Args:
        network: a `gan_lightning.networks.base.AutoregressiveNetwork`.
        autoencoder: decodes what is drawn, by `decode(codes)`, to images float (N, C, H, W) in [-1, 1]; for networks
            that model the codes of images. None = values are levels of pixels, 0 black.
        class_names: names of the classes in the order of their numbers. Empty = they are not known.
    """

    def __init__(self, network: Any, autoencoder: nn.Module | None = None, class_names: Sequence[str] = ()) -> None:
        self.network = network
        self.autoencoder: Any = autoencoder
        self.class_names = tuple(class_names)
        self.num_classes = network.num_classes

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """The networks that an export holds."""
        return {**super().parts} | ({} if self.autoencoder is None else {"autoencoder": self.autoencoder})

    @property
    def device(self) -> torch.device:
        """The network's device."""
        return next(self.network.parameters()).device

    def sample(
        self,
        n: int,
        labels: Tensor | None = None,
        truncation: float | None = None,
        seed: int | None = None,
        first: int = 0,
    ) -> Tensor:
        """Draw images; see `Sampler.sample`."""
        numbers = range(first, first + n)
        if seed is None:
            noise = self._noise(n)
        else:
            with ImageDraws(seed, numbers):
                noise = self._noise(n)
        return self._images(noise, numbers, labels, truncation)

    def make(self, names: Sequence[ImageName], labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Draw the images of these names together; see `Sampler.make`."""
        with ImageDraws((), names):
            noise = self._noise(len(names))
        return self._images(noise, [name.number for name in names], labels, truncation)

    @torch.no_grad()
    def values(self, noise: Tensor, labels: Tensor | None = None, cached: bool = True) -> Tensor:
        """Draw values int64 (N, C, H, W) from uniform numbers (N, `noise_shape`).

        Args:
            noise: in [0, 1).
            labels: int64 (N,), for a network with classes.
            cached: keep the activations of earlier pixels; otherwise, compute the whole network for each value. The
                values are the same, unless a number lies within the rounding of sums of a limit.
        """
        network = self.network
        values = torch.zeros(len(noise), *network.image_shape, dtype=torch.int64, device=noise.device)
        given = [] if labels is None else [labels]
        # normalised weights are computed once
        with evaluating(network), torch.autocast(noise.device.type, enabled=False), cached_parametrizations():
            steps = network.begin(len(noise), labels) if cached else None
            for row, column in _progress([*product(range(network.image_shape[1]), range(network.image_shape[2]))]):
                for number in range(network.passes):
                    if steps is not None:
                        output = steps.at(values, row, column)
                    else:
                        output = network(values, *given)[..., row, column]
                    network.draw(output, noise[..., row, column], values[..., row, column], number)
        return values

    def _noise(self, count: int) -> Tensor:
        return torch.rand(count, *self.network.noise_shape, device=self.device)

    @torch.no_grad()
    def _images(self, noise: Tensor, numbers: Iterable[int], labels: Tensor | None, truncation: float | None) -> Tensor:
        if labels is not None and not self.num_classes:
            raise ValueError("this model takes no labels, since its network has num_classes: 0")
        if truncation is not None:
            raise ValueError("truncation limits latents, and this model draws images value by value: leave it out")
        if labels is None and self.num_classes:
            labels = torch.tensor([*numbers]) % self.num_classes
        values = self.values(noise, None if labels is None else labels.to(noise.device))
        if self.autoencoder is None:
            return values.float() * (2 / (self.network.levels - 1)) - 1
        with evaluating(self.autoencoder), torch.autocast(noise.device.type, enabled=False):
            return self.autoencoder.decode(values)


def _progress(pixels: Sequence[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    hidden = True if torch.distributed.is_available() and _rank() else None
    return tqdm(pixels, desc="pixels", delay=PATIENCE, leave=False, disable=hidden)


def _rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
