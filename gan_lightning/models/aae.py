"""AAE: Adversarial Autoencoders.

Makhzani, Shlens, Jaitly, Goodfellow, Frey, 2015. arXiv 1511.05644.

An autoencoder whose codes are given the distribution of a prior p(z) by a discriminator of codes, in the place of the
VAE's divergence (section 2). With the encoder E and the decoder G, on each batch:

    L_D     = -E_z[log D(z)] - E_x[log(1 - D(E(x)))]           D tells codes of the prior from those of images
    L_{E,G} = E_x[½ ||x - G(E(x))||²] + λ E_x[-log D(E(x))]    reconstruction; and E makes codes that D takes for them

Samples are G(z) with z from the prior.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import FromLatents
from gan_lightning.inference import evaluating
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import AAEDecoder, AAEEncoder, CodeDiscriminator
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.regularizers import Contest
from gan_lightning.training.adversarial import AdversarialModule, OptimizerFactory, Player, Terms


class Fakes(NamedTuple):
    """The outputs of encoder and decoder for a batch."""

    codes: Tensor  # E(x), (N, L)
    reconstructed: Tensor  # G(E(x)), (N, C, H, W)


class AAE(FromLatents, AdversarialModule):
    """Adversarial autoencoder. Encoder and decoder are one player, with one optimizer.

    Args:
        generator: the decoder G, without classes. None = the paper's for MNIST, with eight latents.
        encoder: E, which maps images to codes (N, latent_dim); or to means and standard deviations (2, N, latent_dim)
            of a normal posterior, from which codes are drawn. None = the paper's for MNIST.
        discriminator: D, which maps codes (N, latent_dim) to logits. None = the paper's for MNIST.
        loss: the adversarial loss. None = non-saturating.
        lambda_adversarial: weight λ of the adversarial term beside the reconstruction, which is a sum over an image's
            pixels in [0, 1].
        base: the arguments of `AdversarialModule` and the prior.

    NOTE: the paper minimises the two terms in two steps, by SGD with rates and momenta of their own; here one Adam
        minimises their sum.
    NOTE: the prior is N(0, 1); the paper's for MNIST has a standard deviation of 5, which only scales the codes.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2e-4, betas=(0.5, 0.999))

    def __init__(
        self,
        generator: nn.Module | None = None,
        encoder: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_adversarial: NonNegativeFloat = 1.0,
        **base: Any,
    ) -> None:
        super().__init__(generator or AAEDecoder(), discriminator=discriminator or CodeDiscriminator(), **base)
        self.encoder = encoder or AAEEncoder()
        for name, network in {"encoder": self.encoder, "discriminator": self.discriminator}.items():
            length = getattr(network, "latent_dim", None)
            if length != self.latent_dim:
                raise ValueError(
                    f"the decoder's z has {self.latent_dim} components, and the {name} states {length}: set "
                    "latent_dim of all three networks to the same"
                )
        if not isinstance(self.augmentation, nn.Identity):
            raise ValueError("AAE's discriminator judges codes, not images: leave the augmentation out")
        self.loss = loss or NonSaturating()
        self.lambda_adversarial = lambda_adversarial

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players; the encoder belongs to the generator."""
        return {"discriminator": [self.discriminator], "generator": [self.generator, self.encoder]}

    def draw_fakes(self, batch: ImageBatch) -> Fakes:
        """Encode the batch's images, and decode their codes."""
        codes = self.encoder(batch.images)
        if codes.dim() == 3:
            codes = codes[0] + codes[1] * torch.randn_like(codes[1])
        return Fakes(codes, self.generator(codes))

    def fake_images(self, fake: Fakes) -> Tensor:
        """Return the reconstructions."""
        return fake.reconstructed

    def judge(self, codes: Tensor, **asked: Any) -> DiscriminatorOutput:
        """Return D's output for codes (N, L)."""
        return DiscriminatorOutput.of(self.discriminator(codes, **asked)).float()

    def contests(self, batch: ImageBatch, fake: Fakes | None = None) -> Sequence[Contest]:
        """Return the task of D: to distinguish latents of the prior, the real ones, from codes."""
        z = self.latents(len(batch.images))
        return [Contest("", z, None if fake is None else fake.codes, self.judge, None)]

    def adversarial_weight(self, verdict: DiscriminatorOutput) -> float:
        """Return λ in the turn of encoder and decoder, else 1."""
        return self.lambda_adversarial if self.playing == "generator" else 1.0

    def generator_loss(self, batch: ImageBatch, fake: Fakes) -> Terms:
        """Reconstruct, and make codes that D takes for latents of the prior."""
        difference = (fake.reconstructed.float() - batch.images) / 2  # of pixels in [0, 1]
        reconstruction = 0.5 * difference.square().flatten(1).sum(1).mean()
        return {"reconstruction": reconstruction, **super().generator_loss(batch, fake)}

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return codes (N, L) of images (N, C, H, W) in [-1, 1], in evaluation mode; the means of posteriors."""
        with evaluating(self.encoder):
            codes = self.encoder(images)
        return codes[0] if codes.dim() == 3 else codes

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return G(E(x)) of images (N, C, H, W) in [-1, 1], by averaged weights, without gradient."""
        return self.sampler.images(self.encode(images))

    def preview(self, batch: ImageBatch, count: int) -> tuple[Tensor, int]:
        """Return images, their reconstructions and samples, in three columns."""
        few = batch.images[:count]
        rows = torch.stack([few, self.reconstruct(few), self.sample(len(few), seed=0)], dim=1)
        return self.render(rows.flatten(0, 1)), 3
