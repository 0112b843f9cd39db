"""BicycleGAN: Toward Multimodal Image-to-Image Translation.

Zhu, Zhang, Pathak, Darrell, Efros, Wang, Shechtman, 2017. arXiv 1711.11586.

From pairs (A, B), G(A, z) learns many outputs for a source, with an encoder E of styles z, in two ways. cVAE-GAN
encodes the true output, z ~ E(B) = N(μ, σ²), and cLR-GAN draws z ~ p(z) = N(0, I) and encodes the made output:

    L_GAN^VAE = E[log D(A, B)] + E[log(1 - D(A, G(A, z)))],  z ~ E(B)                             (equation 4)
    L_1^VAE = E[||B - G(A, z)||_1],  z ~ E(B)
    L_KL = E[D_KL(E(B) || N(0, I))]                                                               (equation 5)
    L_1^latent = E[||z - E(G(A, z))||_1],  z ~ p(z)                                               (equation 7)
    G*, E* = arg min_G,E max_D  L_GAN^VAE + λ L_1^VAE + L_GAN + λ_latent L_1^latent + λ_KL L_KL   (equation 9)

where L_GAN has z ~ p(z), λ = 10, λ_latent = 0.5 and λ_KL = 0.01. L_1^latent teaches G alone, so that E does not hide z
in its own output.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lightning.data.batches import PairedBatch, batch_length, map_rows, select
from gan_lightning.families import StyledPairedTranslation
from gan_lightning.inference import frozen
from gan_lightning.losses import AdversarialLoss, LeastSquares
from gan_lightning.networks import BicycleEncoder, MultiScale, PatchGAN, UNetGenerator
from gan_lightning.networks.bicyclegan import StyledTranslation
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.regularizers import Contest
from gan_lightning.training.adversarial import Player, Terms


class Fakes(NamedTuple):
    """The images that G makes from a batch of 2n pairs, of which the even ones are sources."""

    encoded: Tensor  # G(A, z), z ~ E(B), of the n sources
    random: Tensor  # G(A, z), z ~ N(0, I)
    mean: Tensor  # μ of E(B), (n, style_dim)
    log_variance: Tensor  # log σ² of E(B), (n, style_dim)
    style: Tensor  # the drawn z, (n, style_dim)


class BicycleGAN(StyledPairedTranslation):
    """Paired image translation with many outputs for a source.

    Args:
        generator: G, called with images and styles, with `style_dim`. None = the paper's U-Net for 256x256 RGB, which
            gets the style at every layer of its encoder.
        encoder: E, from images of the target domain to means and log variances of their styles. None = the paper's
            residual one, for RGB.
        discriminator_encoded: D of L_GAN^VAE, which sees images without their sources. None = the authors' of two
            scales, for RGB.
        discriminator_random: D of L_GAN. None = another like it.
        loss: the adversarial loss, summed over a discriminator's scales. None = least squares, not halved.
        lambda_l1: weight λ of the reconstruction.
        lambda_latent: weight λ_latent of the reconstruction of styles. 0 turns it off.
        lambda_kl: weight λ_KL of the styles' divergence.
        base: the arguments of `AdversarialModule`.

    NOTE: as in the authors' code, discriminators do not see the source; half of a batch is translated, and the targets
        of the other half are the real images for the D of L_GAN; and L_1^latent compares z with μ. Halves are the even
        and the odd pairs here, so that several processes use the same halves as one.
    NOTE: the divergence is a sum over components and a mean over images; the authors' sum over images is the same in
        their batches of two.
    """

    generator: Any
    discriminator: Any

    def __init__(
        self,
        generator: nn.Module | None = None,
        encoder: nn.Module | None = None,
        discriminator_encoded: nn.Module | None = None,
        discriminator_random: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_l1: NonNegativeFloat = 10.0,
        lambda_latent: NonNegativeFloat = 0.5,
        lambda_kl: NonNegativeFloat = 0.01,
        **base: Any,
    ) -> None:
        generator = generator or UNetGenerator(dropout_layers=(1, 2, 3), norm="instance", style_dim=8, init="xavier")
        patches = partial(PatchGAN, in_channels=3, norm="instance", init="xavier")
        discriminators = {
            "encoded": discriminator_encoded or MultiScale(patches, scales=2, widths=[64, 32]),
            "random": discriminator_random or MultiScale(patches, scales=2, widths=[64, 32]),
        }
        translation = StyledTranslation(generator, encoder or BicycleEncoder())
        super().__init__(translation, nn.ModuleDict(discriminators), **base)
        self.loss = loss or LeastSquares(discriminator_scale=1.0, generator_scale=1.0)
        self.lambda_l1, self.lambda_latent, self.lambda_kl = lambda_l1, lambda_latent, lambda_kl

    def trial_step(self, batch: PairedBatch) -> None:
        """Compute the discriminators' loss of a batch; of an evaluation's batch of one pair, as if it were two."""
        alone = batch_length(batch) == 1 and not self.training
        super().trial_step(map_rows(batch, lambda values: values.repeat_interleave(2, dim=0)) if alone else batch)

    def draw_fakes(self, batch: PairedBatch) -> Fakes:
        """Return the translations of half of the batch in encoded and in drawn styles.

        Raises:
            ValueError: the batch has an odd number of pairs.
        """
        count = batch_length(batch)
        if count % 2:
            raise ValueError(
                f"BicycleGAN uses a batch in two halves, and this one has {count} pairs: make data.batch_size an even "
                "number for each process, and for each part of model.accumulate"
            )
        source, target = select(batch, torch.arange(0, count, 2, device=batch.source.device))
        mean, log_variance = (each.float() for each in self.generator.encoder(target))
        # a row for each pair of the batch, since several processes share them out by these
        noise, style = (torch.randn(count, self.generator.style_dim, device=target.device)[::2] for _ in range(2))
        encoded = mean + noise * (log_variance / 2).exp()
        g = self.generator.translator
        return Fakes(g(source, encoded), g(source, style), mean, log_variance, style)

    def adversarial_weight(self, verdict: DiscriminatorOutput) -> float:
        """Return the number of scales, since the loss is their sum."""
        return len(verdict.logits)

    def generator_loss(self, batch: PairedBatch, fake: Fakes) -> Terms:
        """Fool both discriminators; reconstruct targets and styles; keep styles normal: equation 9."""
        terms = super().generator_loss(batch, fake)
        terms["l1"] = self.lambda_l1 * l1_loss(fake.encoded, batch.target[::2])
        log_variance = fake.log_variance
        divergence = 0.5 * (fake.mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
        terms["kl"] = self.lambda_kl * divergence.mean()  # equation 5
        if self.lambda_latent:
            with frozen(self.generator.encoder):  # equation 7 teaches G alone
                terms["latent"] = self.lambda_latent * l1_loss(self.generator.encoder(fake.random)[0], fake.style)
        return terms

    def contests(self, batch: PairedBatch, fake: Fakes | None = None) -> Sequence[Contest]:
        """Return the tasks of both discriminators, each with half of the targets and the fakes of the even sources."""
        sources = batch.source[::2]
        encoded, random = (None, None) if fake is None else (fake.encoded, fake.random)
        judges = {name: partial(self.discriminate, by=network) for name, network in self.discriminator.items()}
        return [
            Contest("encoded", batch.target[::2], encoded, judges["encoded"], sources),
            Contest("random", batch.target[1::2], random, judges["random"], sources),
        ]

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players, with each network separately: each is called, and compiled, by itself."""
        return super().players() | {"generator": [self.generator.translator, self.generator.encoder]}
