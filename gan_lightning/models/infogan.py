"""InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets.

Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel, 2016. arXiv 1606.03657.

A part c of G's latents is to stay readable in its images: the mutual information I(c; G(z, c)) is at least

    L_I(G, Q) = E_{c, z}[log Q(c | G(z, c))] + H(c)                                               (equation 5)

whatever Q, which shares all but the last layers with D; so min_{G,Q} max_D V(D, G) - λ L_I(G, Q)     (equation 6).
For digits: one categorical code of 10 values, two continuous ones uniform on [-1, 1], 62 noise variables, λ = 1.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from gan_lightning.adversarial import OptimizerFactory, Player, Terms
from gan_lightning.batches import ImageBatch
from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.losses.information import categorical_information, continuous_information
from gan_lightning.networks.discriminator import Discriminator
from gan_lightning.networks.infogan import CodeHead, InfoGANDiscriminator, InfoGANGenerator


class Fakes(NamedTuple):
    """What G made, and what it was made from."""

    images: Tensor  # (N, C, H, W)
    latents: Tensor  # (N, latent_dim): noise | one-hot category | continuous codes


class InfoGAN(NoiseToImage):
    """GAN with codes that its images can be read back from.

    Args:
        generator: G. Of its latents, those that are no codes are noise. None = the paper's for 28x28 digits.
        discriminator: a `Discriminator`, whose `features` Q shares. None = the paper's for 28x28 digits.
        recognition: Q, from features (N, F) to a logit for each category and a mean for each continuous code. None =
            the paper's: one hidden layer of 128.
        loss: the adversarial loss. None = non-saturating.
        categories: values of the categorical code. 0 = there is none.
        continuous: continuous codes. 0 = there are none.
        lambda_information: weight λ of L_I.
        generator_optimizer: see `AdversarialModule`. None = the paper's, with five times the discriminator's rate.
        base: the other arguments of `AdversarialModule`.

    Logged: `mutual_information/categorical` and `mutual_information/continuous`, the bound L_I in nats; the former is
        at most log(categories).

    NOTE: -λ L_I is in both players' losses, as in the authors' code: D's trunk and Q learn in D's turn, G in its own.
        The variance of Q's Gaussian is fixed to 1, as there, so that the continuous bound stays below 0 nats.
    NOTE: both turns share a batch's latents, as everywhere in this library; the authors' code draws them twice.
    """

    discriminator: Discriminator

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: Discriminator | None = None,
        recognition: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        categories: int = 10,
        continuous: int = 2,
        lambda_information: float = 1.0,
        generator_optimizer: OptimizerFactory | None = None,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or InfoGANGenerator(),
            discriminator or InfoGANDiscriminator(),
            generator_optimizer=generator_optimizer or partial(Adam, lr=1e-3, betas=(0.5, 0.999)),
            **base,
        )
        self.noise_dim = self.latent_dim - categories - continuous
        if min(categories, continuous, self.noise_dim) < 0 or categories + continuous == 0:
            raise ValueError(
                f"{categories} categories and {continuous} continuous codes do not fit into the {self.latent_dim} "
                "latents of the generator, or there is no code at all: set categories, continuous and latent_dim"
            )
        self.recognition = recognition or CodeHead(self.discriminator.num_features, categories + continuous)
        self.loss = loss or NonSaturating()
        self.categories = categories
        self.continuous = continuous
        self.lambda_information = lambda_information

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Q learns in the discriminator's turn."""
        return {"discriminator": [self.discriminator, self.recognition], "generator": [self.generator]}

    # ------------------------------------------------------------------ latents

    def latents(self, count: int, truncation: float | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Noise, uniform on [-1, 1] (within `truncation`), and codes from their priors; (count, latent_dim)."""
        bound = 1.0 if truncation is None else min(truncation, 1.0)
        noise = torch.empty(count, self.noise_dim, device=self.device).uniform_(-bound, bound, generator=generator)
        continuous = torch.empty(count, self.continuous, device=self.device).uniform_(-1, 1, generator=generator)
        category = torch.empty(count, self.categories, device=self.device)
        if self.categories:
            drawn = torch.randint(self.categories, (count,), device=self.device, generator=generator)
            category = F.one_hot(drawn, self.categories).float()
        return torch.cat([noise, category, continuous], dim=1)

    def with_codes(self, z: Tensor, category: Tensor | None = None, continuous: Tensor | None = None) -> Tensor:
        """The latents (N, latent_dim) with other codes: category int64 (N,), continuous float (N, continuous)."""
        noise, old_category, old_continuous = self._parts(z)
        new_category = old_category if category is None else F.one_hot(category, self.categories).to(z)
        return torch.cat([noise, new_category, old_continuous if continuous is None else continuous.to(z)], dim=1)

    def _parts(self, z: Tensor) -> tuple[Tensor, ...]:
        return z.split([self.noise_dim, self.categories, self.continuous], dim=1)

    def sample(
        self,
        n: int,
        labels: Tensor | None = None,
        truncation: float | None = None,
        seed: int | None = None,
        category: Tensor | None = None,
        continuous: Tensor | None = None,
    ) -> Tensor:
        """As ever; with these codes, int64 (n,) and float (n, continuous), where they are given."""
        if labels is not None:
            raise ValueError("InfoGAN takes no labels: give the categories that it has found as `category`")
        random = None if seed is None else torch.Generator(self.device).manual_seed(seed)
        return self.images_of(self.with_codes(self.latents(n, truncation, random), category, continuous))

    # ------------------------------------------------------------------ the game

    def draw_fakes(self, batch: ImageBatch) -> Fakes:  # type: ignore[override]
        """A fake for each real image, with the latents that it was made from."""
        z = self.latents(len(batch.images))
        return Fakes(self.generator(z), z)

    def discriminator_loss(self, batch: ImageBatch, fake: Fakes) -> Terms:
        """Tell x from G(z, c), and read c."""
        fake_logits, information = self._read(fake)
        return {"adversarial": self.tell_apart(self.discriminate(batch.images), fake_logits), **information}

    def generator_loss(self, batch: ImageBatch, fake: Fakes) -> Terms:
        """Have G(z, c) taken for real, and c read."""
        fake_logits, information = self._read(fake)
        adversarial = self.loss.generator(fake_logits, lambda: self.discriminate(batch.images))
        return {"adversarial": adversarial, **information}

    def _read(self, fake: Fakes) -> tuple[Tensor, Terms]:
        """D's logits of fakes (N,), and -λ L_I by one pass through what D and Q share."""
        features = self.discriminator.features(self.augmentation(fake.images))
        read = self.recognition(features).float()
        _, category, continuous = self._parts(fake.latents)
        bounds: Terms = {}
        if self.categories:
            bounds["categorical"] = categorical_information(read[:, : self.categories], category)
        if self.continuous:
            bounds["continuous"] = continuous_information(read[:, self.categories :], continuous)
        self._terms |= {f"mutual_information/{name}": bound.detach() for name, bound in bounds.items()}
        weighted = {f"information_{name}": -self.lambda_information * bound for name, bound in bounds.items()}
        return self.discriminator.head(features).flatten().float(), weighted

    # ------------------------------------------------------------------ what the codes do

    @torch.no_grad()
    def preview(self, batch: ImageBatch, count: int) -> tuple[Tensor, int]:
        """What each code does, in blocks of rows; a row has one draw of the noise, and about `count` images are shown.

        The first block has a category a column. Then a block for each continuous code, which goes from -2 to 2 along a
        row (twice the prior's range, as in the paper), each row with a category of its own. Other codes are 0.
        """
        columns = self.categories or round(count**0.5)
        varied = ([None] if self.categories else []) + [*range(self.continuous)]
        rows = max(1, count // columns // len(varied))
        random = torch.Generator(self.device).manual_seed(0)
        noise = self.latents(rows, generator=random).repeat_interleave(columns, dim=0)
        places = torch.arange(rows * columns, device=self.device)
        column, row, blocks = places % columns, places // columns, []
        for code in varied:
            continuous = noise.new_zeros(len(noise), self.continuous)
            if code is not None:
                continuous[:, code] = torch.linspace(-2, 2, columns, device=self.device)[column]
            category = None if not self.categories else column if code is None else row % self.categories
            blocks.append(self.images_of(self.with_codes(noise, category, continuous)))
        return torch.cat(blocks), columns
