"""SPADE (GauGAN): Semantic Image Synthesis with Spatially-Adaptive Normalization.

Park, Liu, Wang, Zhu, 2019. arXiv 1903.07291.

A label map m modulates every layer of G: after the norm, values at y, x get a gain γ_c,y,x(m) and a bias β_c,y,x(m)
(equation 1). In the notation of pix2pixHD, whose losses are kept but for the adversarial one,

    L_D = E max(0, 1 - D(m, x)) + E max(0, 1 + D(m, G(m, z)))
    L_G = -E D(m, G(m, z)) + λ_FM L_FM + λ_P L_P + λ_KL KL(q(z|x) || p(z))

with λ_FM = λ_P = 10 and λ_KL = 0.05 (appendix A). With a style encoder E, z ~ q(z|x) = N(μ(x), σ²(x)) in training; in
use, z ~ N(0, I), or it is the mean of an example. Without one, there is no z.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import PairedBatch
from gan_lightning.families import LabelTranslation
from gan_lightning.losses import AdversarialLoss, Hinge, PerceptualLoss
from gan_lightning.networks import MultiScale, PatchGAN, SPADEGenerator
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import Player, Terms
from gan_lightning.training.optimizers import OptimizerFactory


class Fakes(NamedTuple):
    """The images that G makes from a batch, and the styles that they were made with."""

    images: Tensor  # (N, C, H, W)
    mean: Tensor | None  # (N, style_dim); None without styles
    log_variance: Tensor | None


class SPADE(LabelTranslation):
    """Pictures from label maps, with styles or without.

    Args:
        generator: G, called with label maps, and with styles if its `style_dim` is not 0; its `encoder` then gives the
            mean and the logarithm of the variance of an image's style. None = the paper's for ADE20K, without styles.
        discriminator: D. None = the paper's for ADE20K: two `PatchGAN`s, with spectral norm, of 154 channels.
        loss: the adversarial loss. None = hinge.
        lambda_layers: weight λ_FM of the matching of D's layers. 0 turns it off.
        perceptual: a perceptual loss. None = no such term; the paper's is VGG19's.
        lambda_perceptual: weight λ_P of the perceptual loss.
        lambda_kl: weight λ_KL of the divergence of styles from N(0, I): a sum over components, averaged over images.
        base: the arguments of `AdversarialModule`.

    NOTE: D steps before G, on the same fakes; in the authors' code G begins, and makes the fakes again for D.
    NOTE: the authors' code sums the divergence over the images of a device, 4 in their runs: a λ_KL of 0.2 is theirs.
    NOTE: β₂ of Adam is the code's 0.9; the paper prints 0.999 (the authors call this a mistake).
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-4, betas=(0.0, 0.9))

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_layers: NonNegativeFloat = 10.0,
        perceptual: PerceptualLoss | None = None,
        lambda_perceptual: NonNegativeFloat = 10.0,
        lambda_kl: NonNegativeFloat = 0.05,
        discriminator_optimizer: OptimizerFactory | None = None,
        **base: Any,
    ) -> None:
        patch = partial(PatchGAN, in_channels=154, norm="instance", init="xavier", padding=2, spectral=True)
        super().__init__(
            generator or SPADEGenerator(),
            discriminator or MultiScale(patch, scales=2),
            lambda_layers,
            perceptual,
            lambda_perceptual,
            discriminator_optimizer=discriminator_optimizer or partial(Adam, lr=4e-4, betas=(0.0, 0.9)),
            **base,
        )
        self.loss = loss or Hinge()
        self.lambda_kl = lambda_kl

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players, with the encoder separately: it is called, and compiled, by itself."""
        encoder = [self.generator.encoder] if getattr(self.generator, "style_dim", 0) else []
        return {"discriminator": [self.discriminator], "generator": [self.generator, *encoder]}

    def draw_fakes(self, batch: PairedBatch) -> Fakes:  # type: ignore[override]
        """Return G(m, z), z from the style of the target if there are styles."""
        if not getattr(self.generator, "style_dim", 0):
            return Fakes(self.generator(batch.source), None, None)
        mean, log_variance = self.generator.encoder(batch.target)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return Fakes(self.generator(batch.source, z), mean, log_variance)

    def fake_images(self, fake: Fakes) -> Tensor:
        """Return G(m, z)."""
        return fake.images

    def generator_loss(self, batch: PairedBatch, fake: Fakes) -> Terms:
        """Return the terms of L_G."""
        terms = super().generator_loss(batch, fake)
        if fake.mean is not None and fake.log_variance is not None:
            mean, log_variance = fake.mean.float(), fake.log_variance.float()
            divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
            terms["kl"] = self.lambda_kl * divergence.mean()
        return terms
