"""MUNIT: Multimodal Unsupervised Image-to-Image Translation.

Huang, Liu, Belongie, Kautz, 2018. arXiv 1804.04732.

An image of domain i has a content c = E_i^c(x), which both domains share, and a style s = E_i^s(x), which its own
domain has; G_i(c, s) decodes both. A translation takes another style, drawn from q(s) = N(0, I) or from an example.
With 1, 2 for the domains A, B here, c_1 = E_1^c(x_1), s_1 = E_1^s(x_1) and x_1→2 = G_2(c_1, s_2), s_2 ~ q(s):

    L_recon^x1 = E[||G_1(c_1, s_1) - x_1||_1]                                                     (equation 1)
    L_recon^c1 = E[||E_2^c(x_1→2) - c_1||_1]                                                      (equation 2)
    L_recon^s2 = E[||E_2^s(x_1→2) - s_2||_1]                                                      (equation 3)
    L_GAN^x2 = E[log(1 - D_2(x_1→2))] + E[log D_2(x_2)]                                           (equation 4)
    min_E,G max_D  Σ_i L_GAN^xi + λ_x L_recon^xi + λ_c L_recon^ci + λ_s L_recon^si                (equation 5)

with λ_x = 10, λ_c = λ_s = 1. Section 5.1 adds, for some sets, λ_cc E[||G_1(E_2^c(x_1→2), s_1) - x_1||_1], the
style-augmented cycle, and a perceptual loss between x_1 and x_1→2 that ignores the domain.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Adam

from gan_lightning.data.batches import UnpairedBatch
from gan_lightning.families import StyledUnpairedTranslation, check_parts
from gan_lightning.losses import AdversarialLoss, LeastSquares, PerceptualLoss
from gan_lightning.networks import MUNITDiscriminator, MUNITGenerator
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class Fakes(NamedTuple):
    """The images that both generators make from a batch, and the codes that they are made of."""

    fake_b: Tensor  # x_1→2 = G_2(c_1, s_2)
    fake_a: Tensor  # x_2→1 = G_1(c_2, s_1)
    content_a: Tensor  # c_1
    content_b: Tensor  # c_2
    style_a: Tensor  # the drawn s_1
    style_b: Tensor  # the drawn s_2


class MUNIT(StyledUnpairedTranslation):
    """Unpaired image translation in both directions, with many outputs for a source.

    Args:
        generator_a_to_b: holds E_1^c, E_2^s and G_2 as `content`, `style` and `decoder`, and is called as
            `MUNITGenerator`. None = the paper's, for RGB.
        generator_b_to_a: holds E_2^c, E_1^s and G_1. None = the paper's, for RGB.
        discriminator_a: D_1. None = the paper's of three scales, for RGB.
        discriminator_b: D_2. None = the paper's of three scales, for RGB.
        loss: the adversarial loss, summed over a discriminator's scales. None = least squares, not halved.
        lambda_image: weight λ_x of the reconstruction of images.
        lambda_content: weight λ_c of the reconstruction of contents.
        lambda_style: weight λ_s of the reconstruction of styles.
        lambda_cycle: weight λ_cc of the style-augmented cycle. 0 turns it off (and saves two passes of decoders). The
            authors have 10 for summer to winter.
        perceptual: a loss between each image and its translation, such as `DomainInvariantLoss`. None = there is none.
        lambda_perceptual: weight of the perceptual loss.
        base: the other arguments of `UnpairedTranslation` and `AdversarialModule`.

    NOTE: the adversarial loss of the paper's experiments is least squares (section 5.1), and not that of equation 4.
    NOTE: contents are not detached in equation 2, as in the authors' code.
    """

    generator: Any
    redraws: ClassVar[bool] = True  # each turn draws styles of its own
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-4, betas=(0.5, 0.999), weight_decay=1e-4)

    def __init__(
        self,
        generator_a_to_b: nn.Module | None = None,
        generator_b_to_a: nn.Module | None = None,
        discriminator_a: nn.Module | None = None,
        discriminator_b: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_image: NonNegativeFloat = 10.0,
        lambda_content: NonNegativeFloat = 1.0,
        lambda_style: NonNegativeFloat = 1.0,
        lambda_cycle: NonNegativeFloat = 0.0,
        perceptual: PerceptualLoss | None = None,
        lambda_perceptual: NonNegativeFloat = 1.0,
        **base: Any,
    ) -> None:
        generators = {"a_to_b": generator_a_to_b or MUNITGenerator(), "b_to_a": generator_b_to_a or MUNITGenerator()}
        check_parts("MUNIT", generators.values(), "content", "style", "decoder", "style_dim")
        discriminators = {"a": discriminator_a or MUNITDiscriminator(), "b": discriminator_b or MUNITDiscriminator()}
        super().__init__(nn.ModuleDict(generators), nn.ModuleDict(discriminators), **base)
        self.loss = loss or LeastSquares(discriminator_scale=1.0, generator_scale=1.0)
        self.lambda_image, self.lambda_content, self.lambda_style = lambda_image, lambda_content, lambda_style
        self.lambda_cycle, self.lambda_perceptual = lambda_cycle, lambda_perceptual
        self.perceptual = perceptual

    def draw_fakes(self, batch: UnpairedBatch) -> Fakes:
        """Return the translations in drawn styles, with all their codes."""
        a_to_b, b_to_a = self.generator["a_to_b"], self.generator["b_to_a"]
        content_a, content_b = a_to_b.content(batch.real_a), b_to_a.content(batch.real_b)
        style_a, style_b = (
            torch.randn(len(batch.real_a), each.style_dim, device=self.device) for each in (b_to_a, a_to_b)
        )
        fake_b, fake_a = a_to_b.decoder(content_a, style_b), b_to_a.decoder(content_b, style_a)
        return Fakes(fake_b, fake_a, content_a, content_b, style_a, style_b)

    def adversarial_weight(self, verdict: DiscriminatorOutput) -> float:
        """Return the number of scales, since equation 4 is their sum."""
        return len(verdict.logits)

    def generator_loss(self, batch: UnpairedBatch, fake: Fakes) -> Terms:
        """Fool both discriminators; reconstruct images, contents and styles: equation 5."""
        a_to_b, b_to_a = self.generator["a_to_b"], self.generator["b_to_a"]
        into, out_of = {"a": b_to_a, "b": a_to_b}, {"a": a_to_b, "b": b_to_a}  # decode and encode each domain
        real, fakes = {"a": batch.real_a, "b": batch.real_b}, {"a": fake.fake_a, "b": fake.fake_b}
        contents = {"a": fake.content_a, "b": fake.content_b}
        drawn = {"a": fake.style_a, "b": fake.style_b}
        own = {domain: into[domain].style(real[domain]) for domain in real}
        terms = super().generator_loss(batch, fake)
        for domain, other in (("a", "b"), ("b", "a")):
            again = into[domain].decoder(contents[domain], own[domain])
            terms[f"image_{domain}"] = self.lambda_image * l1_loss(again, real[domain])  # equation 1
            content = out_of[other].content(fakes[other])  # of this domain's image, from its translation
            terms[f"content_{domain}"] = self.lambda_content * l1_loss(content, contents[domain])  # equation 2
            style = into[domain].style(fakes[domain])
            terms[f"style_{domain}"] = self.lambda_style * l1_loss(style, drawn[domain])  # equation 3
            if self.lambda_cycle:
                back = into[domain].decoder(content, own[domain])
                terms[f"cycle_{domain}"] = self.lambda_cycle * l1_loss(back, real[domain])
            if self.perceptual is not None:
                distance = self.perceptual(fakes[other], real[domain])
                terms[f"perceptual_{domain}"] = self.lambda_perceptual * distance
        return terms

    def learners(self) -> Sequence[nn.Module]:
        """Return the parts of both generators, which are called by themselves, and the discriminators."""
        parts = [part for network in self.generator.values() for part in network.children()]
        return [*parts, *self.discriminator.values()]
