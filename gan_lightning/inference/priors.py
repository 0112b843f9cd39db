"""Distributions of latents."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from gan_lightning.ranges import Finite, NonNegativeInt, PositiveFloat
from gan_lightning.recording import Recorded

_INNER = 0.99  # of a bound: the coordinates of the bound itself are infinite


class Prior(Recorded, ABC):
    """A distribution of latent vectors."""

    @abstractmethod
    def draw(
        self,
        count: int,
        latent_dim: int,
        device: torch.device | str = "cpu",
        truncation: float | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw latent vectors float32 (count, latent_dim).

        Args:
            count: number of vectors.
            latent_dim: number of components of each.
            device: device of the draw.
            truncation: largest magnitude of a component, as if larger ones were redrawn (Brock et al. 2018, arXiv
                1809.11096). None = no limit.
            generator: the random number generator, on the device. None = the global one.
        """

    def length(self, latent_dim: int) -> float:
        """Return the root mean square length of a latent vector; √latent_dim for components of variance 1."""
        return latent_dim**0.5

    def one_hot(self, latent_dim: int) -> tuple[slice, ...]:
        """Return the runs of components that hold one discrete variable each, as a one-hot vector."""
        return ()

    def free(self, z: Tensor) -> Tensor:
        """Return coordinates without bounds (N, latent_dim), for optimisers, from which `bounded` makes these latents.

        Latents at a bound, or beyond it, become those a hundredth of the way within. Without bounds: the latents.
        """
        return z

    def bounded(self, coordinates: Tensor) -> Tensor:
        """Return latents z (N, latent_dim) within the prior's bounds, from coordinates of any size; differentiable."""
        return coordinates


class NormalPrior(Prior):
    """The standard normal distribution."""

    def draw(
        self,
        count: int,
        latent_dim: int,
        device: torch.device | str = "cpu",
        truncation: float | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw latent vectors float32 (count, latent_dim) from N(0, 1); see `Prior.draw`."""
        z = torch.empty(count, latent_dim, device=device)
        if truncation is None:
            return z.normal_(generator=generator)
        # inverse distribution function: one random number a component; redrawing needs an unknown number of them
        share = math.erf(truncation / math.sqrt(2))
        z.uniform_(-share, share, generator=generator).erfinv_().mul_(math.sqrt(2))
        return z.clamp_(-truncation, truncation)  # against rounding


class UniformPrior(Prior):
    """The uniform distribution on [-bound, bound].

    Args:
        bound: largest magnitude of a component; √3 gives variance 1.
    """

    def __init__(self, bound: PositiveFloat = 1.0) -> None:
        self.bound = bound

    def draw(
        self,
        count: int,
        latent_dim: int,
        device: torch.device | str = "cpu",
        truncation: float | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw latent vectors float32 (count, latent_dim) from U(-bound, bound); see `Prior.draw`."""
        bound = self.bound if truncation is None else min(truncation, self.bound)
        return torch.empty(count, latent_dim, device=device).uniform_(-bound, bound, generator=generator)

    def length(self, latent_dim: int) -> float:
        """Return the root mean square length of a latent vector."""
        return self.bound * (latent_dim / 3) ** 0.5

    @override
    def free(self, z: Tensor) -> Tensor:
        return _atanh(z / self.bound)

    @override
    def bounded(self, coordinates: Tensor) -> Tensor:
        return self.bound * coordinates.tanh()


class IntervalPrior(Prior):
    """The uniform distribution on [low, high]; that around zero is `UniformPrior`.

    Args:
        low: least value of a component.
        high: largest value of a component.
    """

    def __init__(self, low: Finite = 0.0, high: Finite = 1.0) -> None:
        if not low < high:
            raise ValueError(f"an interval from {low:g} to {high:g} has no length: make low smaller than high")
        self.low, self.high = low, high

    def draw(
        self,
        count: int,
        latent_dim: int,
        device: torch.device | str = "cpu",
        truncation: float | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw latent vectors float32 (count, latent_dim) from U(low, high).

        With `truncation`, components lie within this distance of the interval's middle; see `Prior.draw`.
        """
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        bound = half if truncation is None else min(truncation, half)
        z = torch.empty(count, latent_dim, device=device)
        return z.uniform_(middle - bound, middle + bound, generator=generator)

    def length(self, latent_dim: int) -> float:
        """Return the root mean square length of a latent vector."""
        return (latent_dim * (self.low**2 + self.low * self.high + self.high**2) / 3) ** 0.5

    @override
    def free(self, z: Tensor) -> Tensor:
        return _atanh((2 * z - self.low - self.high) / (self.high - self.low))

    @override
    def bounded(self, coordinates: Tensor) -> Tensor:
        return (self.low + self.high + (self.high - self.low) * coordinates.tanh()) / 2


class CodesPrior(Prior):
    """Latents with codes among them: noise | one-hot category | continuous codes, all uniform.

    Chen et al., "InfoGAN", 2016, arXiv 1606.03657, section 7. Noise and continuous codes lie in [-1, 1]. Latents that
    are not codes are noise.

    Args:
        categories: number of values of the categorical code. 0 = there is none.
        continuous: number of continuous codes. 0 = there are none.
    """

    def __init__(self, categories: NonNegativeInt = 10, continuous: NonNegativeInt = 2) -> None:
        self.categories = categories
        self.continuous = continuous

    def draw(
        self,
        count: int,
        latent_dim: int,
        device: torch.device | str = "cpu",
        truncation: float | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw latent vectors float32 (count, latent_dim); truncation limits only the noise; see `Prior.draw`."""
        bound = 1.0 if truncation is None else min(truncation, 1.0)
        width = latent_dim - self.categories - self.continuous
        noise = torch.empty(count, width, device=device).uniform_(-bound, bound, generator=generator)
        continuous = torch.empty(count, self.continuous, device=device).uniform_(-1, 1, generator=generator)
        category = torch.empty(count, self.categories, device=device)
        if self.categories:
            drawn = torch.randint(self.categories, (count,), device=device, generator=generator)
            category = F.one_hot(drawn, self.categories).float()
        return torch.cat([noise, category, continuous], dim=1)

    def length(self, latent_dim: int) -> float:
        """Return the root mean square length of a latent vector."""
        return ((latent_dim - self.categories) / 3 + (self.categories > 0)) ** 0.5

    def one_hot(self, latent_dim: int) -> tuple[slice, ...]:
        """Return the categorical code, if there is one."""
        end = latent_dim - self.continuous
        return (slice(end - self.categories, end),) if self.categories else ()

    def free(self, z: Tensor) -> Tensor:
        """Return coordinates (N, latent_dim); those of a category are the logarithms of its one-hot vector."""
        noise, category, continuous = self.parts(z)
        return torch.cat([_atanh(noise), category.clamp(1 - _INNER, _INNER).log(), _atanh(continuous)], dim=1)

    def bounded(self, coordinates: Tensor) -> Tensor:
        """Return latents z (N, latent_dim); categories are mixtures, of shares that are positive and have the sum 1."""
        noise, category, continuous = self.parts(coordinates)
        return torch.cat([noise.tanh(), category.softmax(dim=1), continuous.tanh()], dim=1)

    def parts(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split latents (N, latent_dim) into noise, one-hot categories (N, categories) and codes (N, continuous)."""
        coded = self.categories + self.continuous
        noise, category, continuous = z.split([z.shape[1] - coded, self.categories, self.continuous], dim=1)
        return noise, category, continuous

    def replace(self, z: Tensor, category: Tensor | None = None, continuous: Tensor | None = None) -> Tensor:
        """Return latents z with other codes: category int64 (N,), continuous float (N, continuous)."""
        noise, old_category, old_continuous = self.parts(z)
        new_category = old_category if category is None else F.one_hot(category, self.categories).to(z)
        return torch.cat([noise, new_category, old_continuous if continuous is None else continuous.to(z)], dim=1)

    def sweep(self, z: Tensor, columns: int) -> list[Tensor]:
        """Return latents in which one code varies along a row: a tensor (rows · columns, latent_dim) for each code.

        The first tensor has one category for each column. Then each continuous code goes from -2 to 2 (twice the
        prior's range, as in the paper), and each row has its own category. Other codes are 0.

        Args:
            z: latents (rows, latent_dim) with the noise of each row.
            columns: number of images side by side.
        """
        latents = z.repeat_interleave(columns, dim=0)
        places = torch.arange(len(latents), device=z.device)
        column, row = places % columns, places // columns
        swept = []
        for code in ([None] if self.categories else []) + [*range(self.continuous)]:
            continuous = latents.new_zeros(len(latents), self.continuous)
            if code is not None:
                continuous[:, code] = torch.linspace(-2, 2, columns, device=z.device)[column]
            category = None if not self.categories else column if code is None else row % self.categories
            swept.append(self.replace(latents, category, continuous))
        return swept


def _atanh(shares: Tensor) -> Tensor:
    return shares.clamp(-_INNER, _INNER).atanh()
