"""How much of a generator's latents can be read from its images: the variational bound of InfoGAN.

Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel, 2016, arXiv 1606.03657, equation 5.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


def categorical_information(logits: Tensor, category: Tensor) -> Tensor:
    """E[log Q(c|x)] + H(c) of a category c that is drawn uniformly, in nats: at most log K.

    Args:
        logits: Q's, (N, K).
        category: c as one-hot vectors, (N, K).

    Returns:
        A scalar; 0 for a Q that has learnt nothing.
    """
    return (category * logits.log_softmax(dim=1)).sum(1).mean() + math.log(logits.shape[1])


def continuous_information(means: Tensor, codes: Tensor) -> Tensor:
    """E[log Q(c|x)] + H(c) of codes c that are uniform on [-1, 1], with Gaussians of variance 1 for Q, in nats.

    With this variance, that of the authors' code, the bound is loose: at most -0.23 nats a code.

    Args:
        means: Q's, (N, C).
        codes: c, (N, C).

    Returns:
        A scalar: the sum over the codes.
    """
    log_q = -0.5 * ((codes - means).square() + math.log(2 * math.pi))
    return (log_q + math.log(2)).sum(1).mean()


class Codes(NamedTuple):
    """Latents of which some are codes: noise | one-hot category | continuous codes, all uniform.

    Args:
        noise: variables that are no codes, on [-1, 1].
        categories: values of the categorical code. 0 = there is none.
        continuous: continuous codes, on [-1, 1]. 0 = there are none.
    """

    noise: int
    categories: int
    continuous: int

    def draw(self, count: int, bound: float, device: torch.device, generator: torch.Generator | None) -> Tensor:
        """Latents (count, noise + categories + continuous) from the prior, the noise within `bound`."""
        noise = torch.empty(count, self.noise, device=device).uniform_(-bound, bound, generator=generator)
        continuous = torch.empty(count, self.continuous, device=device).uniform_(-1, 1, generator=generator)
        category = torch.empty(count, self.categories, device=device)
        if self.categories:
            drawn = torch.randint(self.categories, (count,), device=device, generator=generator)
            category = F.one_hot(drawn, self.categories).float()
        return torch.cat([noise, category, continuous], dim=1)

    def replace(self, z: Tensor, category: Tensor | None = None, continuous: Tensor | None = None) -> Tensor:
        """The latents z with other codes: category int64 (N,), continuous float (N, continuous)."""
        noise, old_category, old_continuous = z.split([*self], dim=1)
        new_category = old_category if category is None else F.one_hot(category, self.categories).to(z)
        return torch.cat([noise, new_category, old_continuous if continuous is None else continuous.to(z)], dim=1)

    def sweep(self, z: Tensor, columns: int) -> list[Tensor]:
        """For each code, latents (rows · columns, ...) in which it alone varies along a row, whose noise is z's (rows,
        ...).

        First a category a column. Then each continuous code from -2 to 2 (twice the prior's range, as in the paper),
        each row with a category of its own. Other codes are 0.
        """
        noise = z.repeat_interleave(columns, dim=0)
        places = torch.arange(len(noise), device=z.device)
        column, row = places % columns, places // columns
        swept = []
        for code in ([None] if self.categories else []) + [*range(self.continuous)]:
            continuous = noise.new_zeros(len(noise), self.continuous)
            if code is not None:
                continuous[:, code] = torch.linspace(-2, 2, columns, device=z.device)[column]
            category = None if not self.categories else column if code is None else row % self.categories
            swept.append(self.replace(noise, category, continuous))
        return swept

    def information(self, read: Tensor, z: Tensor) -> dict[str, Tensor]:
        """The bounds by name, from what Q read of the images, (N, categories + continuous), and their latents z."""
        _, category, continuous = z.split([*self], dim=1)
        bounds = {}
        if self.categories:
            bounds["categorical"] = categorical_information(read[:, : self.categories], category)
        if self.continuous:
            bounds["continuous"] = continuous_information(read[:, self.categories :], continuous)
        return bounds
