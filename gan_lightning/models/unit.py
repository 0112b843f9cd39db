"""UNIT: Unsupervised Image-to-Image Translation Networks.

Liu, Breuel, Kautz, 2017. arXiv 1703.00848.

Two domains share a latent space: each has an encoder E_i, a generator G_i and a discriminator D_i, where the last
layers of E_1 and E_2, and the first of G_1 and G_2, are the same. q_i(z|x_i) = N(E_i(x_i), I) and p(z) = N(0, I); with
z_i ~ q_i(z|x_i), an image becomes G_i(z_i) in its own domain and x_1→2 = G_2(z_1) in the other:

    L_VAE1 = λ_1 KL(q_1(z_1|x_1) || p) - λ_2 E[log p_G1(x_1|z_1)]                                 (equation 3)
    L_GAN1 = λ_0 E[log D_1(x_1)] + λ_0 E[log(1 - D_1(G_1(z_2)))]                                  (equation 5)
    L_CC1 = λ_3 KL(q_1(z_1|x_1) || p) + λ_3 KL(q_2(z_2|x_1→2) || p) - λ_4 E[log p_G1(x_1|z_2)]    (equation 7)

with λ_0 = 10, λ_1 = λ_3 = 0.1, λ_2 = λ_4 = 100, the same for the second domain, and p_G a Laplacian: a mean absolute
difference. An image is translated by the mean of its code.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Adam

from gan_lightning.data.batches import UnpairedBatch
from gan_lightning.families import UnpairedTranslation, check_parts
from gan_lightning.losses import AdversarialLoss, NonSaturating, PerceptualLoss
from gan_lightning.networks import MUNITDiscriminator, UNITGenerator
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class Fakes(NamedTuple):
    """The images that both generators make from a batch, with the codes."""

    fake_b: Tensor  # x_1→2 = G_2(z_1)
    fake_a: Tensor  # x_2→1 = G_1(z_2)
    mean_a: Tensor  # E_1(x_1)
    mean_b: Tensor  # E_2(x_2)
    code_a: Tensor  # z_1
    code_b: Tensor  # z_2


class UNIT(UnpairedTranslation):
    """Unpaired image translation in both directions, through a latent space that both domains share.

    Args:
        generator_a_to_b: E_1 and G_2, with `encode`, `decode` and `share_with` as `UNITGenerator` has them. None = the
            paper's for RGB, with one shared block in each.
        generator_b_to_a: E_2 and G_1. None = the paper's, for RGB.
        discriminator_a: D_1. None = the authors' of three scales, for RGB.
        discriminator_b: D_2. None = the authors' of three scales, for RGB.
        loss: the adversarial loss, summed over a discriminator's scales. None = non-saturating.
        lambda_adversarial: λ_0.
        lambda_kl: weight λ_1 of the codes' divergence.
        lambda_image: weight λ_2 of the reconstruction of images.
        lambda_cycle_kl: weight λ_3 of the divergence of the translations' codes.
        lambda_cycle: weight λ_4 of the reconstruction of images from their translations.
        perceptual: a loss between each image and its translation, as in the authors' later code, such as
            `DomainInvariantLoss`. None (the paper) = there is none.
        lambda_perceptual: weight of the perceptual loss.
        base: the other arguments of `UnpairedTranslation` and `AdversarialModule`.

    NOTE: with the variance fixed at 1, the divergence is ½ Σ μ²; as in the authors' code it is the mean of μ² over all
        values, and the first term of equation 7, which repeats that of equation 3, is left out.
    NOTE: weights in the authors' later code are a tenth of the paper's, which makes no difference for Adam; that code
        has the loss of least squares, and shares no layers (`shared: 0`).
    """

    generator: Any
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-4, betas=(0.5, 0.999), weight_decay=1e-4)

    def __init__(
        self,
        generator_a_to_b: nn.Module | None = None,
        generator_b_to_a: nn.Module | None = None,
        discriminator_a: nn.Module | None = None,
        discriminator_b: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_adversarial: NonNegativeFloat = 10.0,
        lambda_kl: NonNegativeFloat = 0.1,
        lambda_image: NonNegativeFloat = 100.0,
        lambda_cycle_kl: NonNegativeFloat = 0.1,
        lambda_cycle: NonNegativeFloat = 100.0,
        perceptual: PerceptualLoss | None = None,
        lambda_perceptual: NonNegativeFloat = 10.0,
        **base: Any,
    ) -> None:
        a_to_b: Any = generator_a_to_b or UNITGenerator()
        b_to_a: Any = generator_b_to_a or UNITGenerator()
        check_parts("UNIT", (a_to_b, b_to_a), "encode", "decode", "share_with")
        a_to_b.share_with(b_to_a)
        discriminators = {"a": discriminator_a or MUNITDiscriminator(), "b": discriminator_b or MUNITDiscriminator()}
        generators = nn.ModuleDict({"a_to_b": a_to_b, "b_to_a": b_to_a})
        super().__init__(generators, nn.ModuleDict(discriminators), **base)
        self.loss = loss or NonSaturating()
        self.lambda_adversarial = lambda_adversarial
        self.lambda_kl, self.lambda_image = lambda_kl, lambda_image
        self.lambda_cycle_kl, self.lambda_cycle = lambda_cycle_kl, lambda_cycle
        self.perceptual, self.lambda_perceptual = perceptual, lambda_perceptual

    def draw_fakes(self, batch: UnpairedBatch) -> Fakes:
        """Return the translations by drawn codes z = μ + ε, ε ~ N(0, I)."""
        a_to_b, b_to_a = self.generator["a_to_b"], self.generator["b_to_a"]
        mean_a, mean_b = a_to_b.encode(batch.real_a), b_to_a.encode(batch.real_b)
        code_a, code_b = mean_a + torch.randn_like(mean_a), mean_b + torch.randn_like(mean_b)
        return Fakes(a_to_b.decode(code_a), b_to_a.decode(code_b), mean_a, mean_b, code_a, code_b)

    def adversarial_weight(self, verdict: DiscriminatorOutput) -> float:
        """Return the weight of equation 5, times the number of scales, since the loss is their sum."""
        return self.lambda_adversarial * len(verdict.logits)

    def generator_loss(self, batch: UnpairedBatch, fake: Fakes) -> Terms:
        """Fool both discriminators; reconstruct images from their codes, and from their translations' codes."""
        a_to_b, b_to_a = self.generator["a_to_b"], self.generator["b_to_a"]
        into, out_of = {"a": b_to_a, "b": a_to_b}, {"a": a_to_b, "b": b_to_a}  # decode and encode each domain
        real, fakes = {"a": batch.real_a, "b": batch.real_b}, {"a": fake.fake_a, "b": fake.fake_b}
        means, codes = {"a": fake.mean_a, "b": fake.mean_b}, {"a": fake.code_a, "b": fake.code_b}
        terms = super().generator_loss(batch, fake)
        for domain, other in (("a", "b"), ("b", "a")):
            terms[f"kl_{domain}"] = self.lambda_kl * means[domain].float().square().mean()  # equation 3
            image = into[domain].decode(codes[domain])
            terms[f"image_{domain}"] = self.lambda_image * l1_loss(image, real[domain])
            mean = out_of[other].encode(fakes[other])  # of this domain's translation, E_2(x_1→2)
            terms[f"cycle_kl_{domain}"] = self.lambda_cycle_kl * mean.float().square().mean()  # equation 7
            back = into[domain].decode(mean + torch.randn_like(mean))
            terms[f"cycle_{domain}"] = self.lambda_cycle * l1_loss(back, real[domain])
            if self.perceptual is not None:
                distance = self.perceptual(fakes[other], real[domain])
                terms[f"perceptual_{domain}"] = self.lambda_perceptual * distance
        return terms

    def learners(self) -> Sequence[nn.Module]:
        """Return the parts of both generators, which are called by themselves, and the discriminators."""
        parts = [part for network in self.generator.values() for part in network.children()]
        return [*dict.fromkeys(parts), *self.discriminator.values()]
