"""Augmented CycleGAN: Learning Many-to-Many Mappings from Unpaired Data.

Almahairi, Rajeswar, Sordoni, Bachman, Courville, 2018. arXiv 1802.10151.

CycleGAN's mappings are one-to-one. Here a style z of B, which A does not show, is drawn and found again: the mappings
are between A × Z and B, with G_AB(a, z), G_BA(b), and an encoder E_B(a, b) of z:

    L_GAN:  D_B judges b~ = G_AB(a, z),   D_A judges a~ = G_BA(b),   D_z judges z~ = E_B(a~, b) against z ~ N(0, I)
    L_CYC = γ_1 ||G_BA(b~) - a||_1 + γ_2 ||E_B(a, b~) - z||_1 + ||G_AB(a~, z~) - b||_1           (equations 5 and 6)

with least-squares adversarial losses, γ_1 = 1, γ_2 = 0.025.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Adam
from typing_extensions import override

from gan_lightning.data.batches import UnpairedBatch, first
from gan_lightning.families import StyledUnpairedTranslation, code_contest, side_by_side
from gan_lightning.losses import AdversarialLoss, LeastSquares
from gan_lightning.networks.augmented_cyclegan import (
    AugmentedEncoder,
    AugmentedGenerator,
    AugmentedTranslator,
    LocalDiscriminator,
    StyleDiscriminator,
    WholeDiscriminator,
)
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.regularizers import Contest
from gan_lightning.training.adversarial import OptimizerFactory, Player, Terms

SHOWN = 4  # styles of a source in a preview


class Fakes(NamedTuple):
    """The images and styles that are made from a batch."""

    fake_b: Tensor  # G_AB(a, z), (N, C, H, W)
    fake_a: Tensor  # G_BA(b), (N, C', H, W)
    style: Tensor  # z of the prior, (N, style_dim)
    found: Tensor  # E_B(G_BA(b), b), (N, style_dim)


class AugmentedCycleGAN(StyledUnpairedTranslation):
    """Unpaired translation from A to many images of B, and back.

    A style of B is drawn (`translate --style_seed 0-3`) or taken from an image of B (`--example IMAGE`).

    Args:
        generator_a_to_b: G_AB, called with images and styles. None = the authors', RGB to RGB.
        generator_b_to_a: G_BA. None = the authors', RGB to RGB.
        encoder: E_B, called with images of A and of B. None = the authors', for 64x64 RGB.
        discriminator_a: D_A. None = the authors', for 64x64 RGB.
        discriminator_b: D_B. None = the authors', for RGB.
        discriminator_style: D_z, called with styles. None = the authors'.
        loss: the adversarial loss. None = least squares, halved for the discriminators only.
        lambda_cycle_a: weight γ_1 of a's cycle. 0 turns it off.
        lambda_cycle_b: weight of b's cycle. 0 turns it off.
        lambda_cycle_style: weight γ_2 of the style's cycle. 0 turns it off.
        discriminator_optimizer: see `AdversarialModule`. None = the paper's, with a fifth of the generators' rate.
        base: the other arguments of `UnpairedTranslation` and `AdversarialModule`.

    Logged in evaluations: the cycle errors of `UnpairedTranslation`, b's by its own style.

    NOTE: the paper's semi-supervised terms, which need some true pairs, are left out.
    NOTE: once the authors' code lowers its learning rate, it gives the discriminators the generators' rate; here they
        keep a fifth of it.
    """

    def __init__(
        self,
        generator_a_to_b: nn.Module | None = None,
        generator_b_to_a: nn.Module | None = None,
        encoder: nn.Module | None = None,
        discriminator_a: nn.Module | None = None,
        discriminator_b: nn.Module | None = None,
        discriminator_style: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_cycle_a: NonNegativeFloat = 1.0,
        lambda_cycle_b: NonNegativeFloat = 1.0,
        lambda_cycle_style: NonNegativeFloat = 0.025,
        discriminator_optimizer: OptimizerFactory | None = None,
        **base: Any,
    ) -> None:
        back = generator_b_to_a or AugmentedGenerator(style_dim=0)
        there = AugmentedTranslator(generator_a_to_b or AugmentedGenerator(), encoder or AugmentedEncoder(), back)
        judges = {
            "a": discriminator_a or WholeDiscriminator(),
            "b": discriminator_b or LocalDiscriminator(),
            "style": discriminator_style or StyleDiscriminator(there.style_dim),
        }
        slower = discriminator_optimizer or partial(Adam, lr=4e-5, betas=(0.5, 0.999))
        generators = {"a_to_b": there, "b_to_a": back}
        super().__init__(nn.ModuleDict(generators), nn.ModuleDict(judges), discriminator_optimizer=slower, **base)
        self.loss = loss or LeastSquares(discriminator_scale=0.5, generator_scale=1.0)
        self.lambda_cycle_a, self.lambda_cycle_b = lambda_cycle_a, lambda_cycle_b
        self.lambda_cycle_style = lambda_cycle_style
        self.style_dim = there.style_dim

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players; the encoder learns with the generators."""
        there: Any = self.generator["a_to_b"]
        return super().players() | {"generator": [there.generator, there.encoder, self.generator["b_to_a"]]}

    def prior_styles(self, batch: UnpairedBatch) -> Tensor:
        """Draw a style z ~ N(0, I) for each image of A: (N, style_dim)."""
        return torch.randn(len(batch.real_a), self.style_dim, device=self.device)

    def draw_fakes(self, batch: UnpairedBatch) -> Fakes:
        """Return G_AB(a, z), G_BA(b), z and E_B(G_BA(b), b)."""
        there: Any = self.generator["a_to_b"]
        style = self.prior_styles(batch)
        fake_b, fake_a = there(batch.real_a, style), self.generator["b_to_a"](batch.real_b)
        return Fakes(fake_b, fake_a, style, there.encoder(fake_a, batch.real_b))

    def contests(self, batch: UnpairedBatch, fake: Fakes | None = None) -> Sequence[Contest]:
        """Return the tasks of D_A and D_B, and that of D_z: to distinguish styles of the prior from those found."""
        drawn = self.prior_styles(batch) if fake is None else fake.style
        found = None if fake is None else fake.found
        return [*super().contests(batch, fake), code_contest("style", self.discriminator["style"], drawn, found)]

    def generator_loss(self, batch: UnpairedBatch, fake: Fakes) -> Terms:
        """Fool the discriminators of images and styles; reconstruct a, b and z."""
        (real_a, real_b), (fake_b, fake_a, style, found) = batch, fake
        there: Any = self.generator["a_to_b"]
        terms = super().generator_loss(batch, fake)
        if self.lambda_cycle_a:  # equation 5
            terms["cycle_a"] = self.lambda_cycle_a * l1_loss(self.generator["b_to_a"](fake_b), real_a)
        if self.lambda_cycle_style:
            terms["cycle_style"] = self.lambda_cycle_style * l1_loss(there.encoder(real_a, fake_b), style)
        if self.lambda_cycle_b:  # equation 6
            terms["cycle_b"] = self.lambda_cycle_b * l1_loss(there(fake_a, found), real_b)
        return terms

    @override
    def cycles(self, batch: UnpairedBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        (fake_b,), fake_a = self.in_styles(batch.real_a, "a_to_b", 1), self.there(batch, "b_to_a")
        own = self.translator.encode(batch.real_b, "a_to_b")
        return fake_b, fake_a, self.translate(fake_b, "b_to_a"), self.translator.apply(fake_a, own, "a_to_b")

    def preview(self, batch: UnpairedBatch, count: int) -> tuple[Tensor, int]:
        """Return rows of real A | fakes B in four styles | real B | fake A | that A in the style of the real B."""
        shown = first(batch, count)
        _, fake_a, _, again = self.cycles(shown)
        columns = shown.real_a, *self.in_styles(shown.real_a, "a_to_b", SHOWN), shown.real_b, fake_a, again
        return side_by_side(*map(self.render, columns)), len(columns)
