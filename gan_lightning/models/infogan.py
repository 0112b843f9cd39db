"""InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets.

Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel, 2016. arXiv 1606.03657.

A part c of G's latents must stay readable in its images: the mutual information I(c; G(z, c)) is at least

    L_I(G, Q) = E_{c, z}[log Q(c | G(z, c))] + H(c)                                               (equation 5)

for any Q, which shares all but the last layers with D; so min_{G,Q} max_D V(D, G) - λ L_I(G, Q)      (equation 6).
For digits: one categorical code of 10 values, two continuous ones uniform on [-1, 1], 62 noise variables, λ = 1.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import NoiseToImage
from gan_lightning.inference import CodesPrior
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.losses.information import mutual_information
from gan_lightning.networks.discriminator import Discriminator, DiscriminatorOutput
from gan_lightning.networks.infogan import CodeHead, InfoGANDiscriminator, InfoGANGenerator
from gan_lightning.ranges import NonNegativeFloat, NonNegativeInt
from gan_lightning.training.adversarial import OptimizerFactory, Player, Terms


class Fakes(NamedTuple):
    """Images of G, and their latents."""

    images: Tensor  # (N, C, H, W)
    latents: Tensor  # (N, latent_dim): noise | one-hot category | continuous codes


class InfoGAN(NoiseToImage):
    """GAN with latent codes that can be read back from its images.

    Args:
        generator: G. Its latents that are not codes are noise. None = the paper's for 28x28 digits.
        discriminator: a `Discriminator`, whose `features` Q shares. None = the paper's for 28x28 digits.
        recognition: Q, which maps features (N, F) to a logit for each category and a mean for each continuous code.
            None = the paper's: one hidden layer of 128.
        loss: the adversarial loss. None = non-saturating.
        categories: number of values of the categorical code. 0 = there is none.
        continuous: number of continuous codes. 0 = there are none.
        lambda_information: weight λ of L_I.
        generator_optimizer: see `AdversarialModule`. None = the paper's, with five times the discriminator's rate.
        base: the other arguments of `AdversarialModule`.

    Logged: `mutual_information/categorical` and `mutual_information/continuous`, the bound L_I in nats; the former is
        at most log(categories).

    NOTE: -λ L_I is in both players' losses, as in the authors' code: D's trunk and Q learn in D's turn, G in its own.
        The variance of Q's Gaussian is fixed to 1, as in that code, so that the continuous bound stays below 0 nats.
    """

    takes_packs: ClassVar[bool] = False
    redraws: ClassVar[bool] = True  # the generator's turn has latents of its own, as in the authors' code
    discriminator: Discriminator
    prior: CodesPrior

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: Discriminator | None = None,
        recognition: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        categories: NonNegativeInt = 10,
        continuous: NonNegativeInt = 2,
        lambda_information: NonNegativeFloat = 1.0,
        generator_optimizer: OptimizerFactory | None = None,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or InfoGANGenerator(),
            discriminator or InfoGANDiscriminator(),
            prior=CodesPrior(categories, continuous),
            generator_optimizer=generator_optimizer or partial(Adam, lr=1e-3, betas=(0.5, 0.999)),
            **base,
        )
        if not 0 < categories + continuous <= self.latent_dim:
            raise ValueError(
                f"{categories} categories and {continuous} continuous codes do not fit into the {self.latent_dim} "
                "latents of the generator, or there is no code at all: set categories, continuous and latent_dim"
            )
        self.recognition = recognition or CodeHead(self.discriminator.num_features, categories + continuous)
        self.loss = loss or NonSaturating()
        self.lambda_information = lambda_information

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players; Q learns in the discriminator's turn."""
        return {"discriminator": [self.discriminator, self.recognition], "generator": [self.generator]}

    def sample(
        self,
        n: int,
        labels: Tensor | None = None,
        truncation: float | None = None,
        seed: int | None = None,
        first: int = 0,
        category: Tensor | None = None,
        continuous: Tensor | None = None,
    ) -> Tensor:
        """Generate images, with the codes int64 (n,) and float (n, continuous) if they are given."""
        if labels is not None:
            raise ValueError("InfoGAN takes no labels: give its own categories as `category`")
        sampler, numbers = self.sampler, range(first, first + n)
        z = sampler.draw(n, truncation) if seed is None else sampler.latents(numbers, seed, truncation)
        return sampler.images(self.prior.replace(z, category, continuous), seed=seed, first=first)

    def draw_fakes(self, batch: ImageBatch) -> Fakes:
        """Make a fake for each real image, and keep its latents."""
        z = self.latents(len(batch.images))
        return Fakes(self.generator(z), z)

    def fake_images(self, fake: Fakes) -> Tensor:
        """Return the images, without their latents."""
        return fake.images

    def discriminator_loss(self, batch: ImageBatch, fake: Fakes) -> Terms:
        """Distinguish x from G(z, c), and read c."""
        output = self.discriminate(fake.images, with_features=True)
        information = self.information(output, fake.latents)
        return {"adversarial": self.adversarial_loss(self.discriminate(batch.images), output), **information}

    def generator_loss(self, batch: ImageBatch, fake: Fakes) -> Terms:
        """Let D take G(z, c) for real, and Q read c."""
        output = self.discriminate(fake.images, with_features=True)
        information = self.information(output, fake.latents)
        adversarial = self.generator_adversarial_loss(output, lambda: self.discriminate(batch.images))
        return {"adversarial": adversarial, **information}

    def information(self, verdict: DiscriminatorOutput, latents: Tensor) -> Terms:
        """Return -λ L_I (equation 5), a term for each kind of code, which Q reads from D's features of the fakes."""
        ((features,),) = verdict.features
        _, category, continuous = self.prior.parts(latents)
        bounds = mutual_information(self.recognition(features).float(), category, continuous)
        for name, bound in bounds.items():
            self.record(f"mutual_information/{name}", bound)
        return {f"information_{name}": -self.lambda_information * bound for name, bound in bounds.items()}

    @torch.no_grad()
    def preview(self, batch: ImageBatch, count: int) -> tuple[Tensor, int]:
        """Return about `count` images that show the effect of each code, in blocks of rows (see `CodesPrior.sweep`)."""
        columns = self.prior.categories or round(count**0.5)
        blocks = (self.prior.categories > 0) + self.prior.continuous
        rows = max(1, count // columns // blocks)
        noise = self.sampler.draw(rows, generator=torch.Generator(self.device).manual_seed(0))
        return self.render(torch.cat([self.sampler.images(z) for z in self.prior.sweep(noise, columns)])), columns
