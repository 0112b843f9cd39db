"""StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation.

Choi, Choi, Kim, Ha, Kim, Choo, 2017. arXiv 1711.09020.

One generator G(x, c) for all domains. D judges images (D_src) and classifies their domain (D_cls):

    L_adv = E_x[D_src(x)] - E_{x,c}[D_src(G(x, c))] - λ_gp E_x̂[(||∇_x̂ D_src(x̂)||_2 - 1)^2]      (equation 8)
    L_cls^r = E_{x,c'}[-log D_cls(c'|x)],   L_cls^f = E_{x,c}[-log D_cls(c|G(x, c))]               (equations 2, 3)
    L_rec = E_{x,c,c'}[||x - G(G(x, c), c')||_1]                                                  (equation 4)
    L_D = -L_adv + λ_cls L_cls^r,   L_G = L_adv + λ_cls L_cls^f + λ_rec L_rec                      (equations 5, 6)

c' is the domain of x, and c another's; λ_cls = 1, λ_rec = 10, λ_gp = 10, n_critic = 5.
"""

from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from gan_lightning.data.batches import DomainsBatch, ImageBatch
from gan_lightning.families import DomainTranslation
from gan_lightning.losses import AdversarialLoss, Wasserstein, gradient_penalty
from gan_lightning.networks import StarGANDiscriminator, StarGANGenerator
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat, PositiveInt
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class Fakes(NamedTuple):
    """The images that G makes from a batch, and their targets."""

    images: Tensor  # G(x, c)
    code: Tensor  # c, float (N, K)


class StarGAN(DomainTranslation):
    """Translation among several domains, or of attributes, by one generator.

    Args:
        generator: G, called as `generator(images, code)`; it states its `num_targets`. None = the paper's, for five.
        discriminator: D, which gives logits and class logits. None = the paper's for 128x128, for as many targets.
        loss: the adversarial loss. None = the Wasserstein loss.
        lambda_class: weight λ_cls of the classification terms of both players.
        lambda_cycle: weight λ_rec of the reconstruction. 0 turns it off (and saves a pass).
        lambda_gp: weight λ_gp of the gradient penalty. 0 turns it off.
        n_critic: number of D's steps for each step of G.
        base: the other arguments of `DomainTranslation` and `AdversarialModule`.

    NOTE: targets c are the domains of the batch's images in another order, as in the authors' code.
    NOTE: cross-entropies of attributes are summed over attributes and averaged over images, as in the authors' code.
    NOTE: the paper's learning rate falls to zero in the second half. The authors' code subtracts a hundred-thousandth
        of it once in 1,000 steps, which leaves 99.9 % at the end. Our configs follow the paper.
    """

    takes_packs: ClassVar[bool] = False
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-4, betas=(0.5, 0.999))

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_class: NonNegativeFloat = 1.0,
        lambda_cycle: NonNegativeFloat = 10.0,
        lambda_gp: NonNegativeFloat = 10.0,
        n_critic: PositiveInt = 5,
        **base: Any,
    ) -> None:
        generator = generator or StarGANGenerator()
        discriminator = discriminator or StarGANDiscriminator(getattr(generator, "num_targets", 1))
        super().__init__(generator, discriminator, n_critic=n_critic, **base)
        judged = getattr(discriminator, "num_targets", self.num_targets)
        if judged != self.num_targets:
            raise ValueError(
                f"the generator has {self.num_targets} targets and the discriminator {judged}: set num_targets of both "
                "to the data's number of domains or attributes"
            )
        self.loss = loss or Wasserstein()
        self.lambda_class, self.lambda_cycle, self.lambda_gp = lambda_class, lambda_cycle, lambda_gp

    def draw_fakes(self, batch: ImageBatch | DomainsBatch) -> Fakes:
        """Return G(x, c), with the batch's own codes in another order for c."""
        code = self.shuffled(self.code_of(batch))
        return Fakes(self.generator(batch.images, code), code)

    def fake_images(self, fake: Fakes) -> Tensor:
        """Return G(x, c)."""
        return fake.images

    def class_loss(self, verdict: DiscriminatorOutput, code: Tensor) -> Tensor:
        """Return λ_cls times the cross-entropy of D's class logits to the code, float (N, K)."""
        assert verdict.class_logits is not None  # `check_batch` has tried it
        if self.exclusive is None:
            return self.lambda_class * F.cross_entropy(verdict.class_logits, code.argmax(dim=1))
        losses = F.binary_cross_entropy_with_logits(verdict.class_logits, code, reduction="sum")
        return self.lambda_class * losses / len(code)

    def discriminator_loss(self, batch: ImageBatch | DomainsBatch, fake: Fakes) -> Terms:
        """Return equation 5. The penalty calls `forward`, since compiled modules are not differentiable twice."""
        if isinstance(self.discriminator, StarGANDiscriminator):
            # in one pass, since a pass through its 45 million weights takes long for few images
            real, made = self.discriminate(torch.cat([batch.images, fake.images])).halves()
        else:  # its verdict on an image may depend on the others of a batch
            real, made = self.discriminate(batch.images), self.discriminate(fake.images)
        terms = {
            "adversarial": self.adversarial_loss(real, made),
            "class": self.class_loss(real, self.code_of(batch)),  # equation 2
        }
        if self.lambda_gp:
            critic: Any = self.discriminator.forward
            penalty = gradient_penalty(lambda images: critic(images).logits[0], batch.images, fake.images)
            terms["gradient_penalty"] = self.lambda_gp * penalty
        return terms

    def generator_loss(self, batch: ImageBatch | DomainsBatch, fake: Fakes) -> Terms:
        """Return equation 6."""
        verdict = self.discriminate(fake.images)
        terms = {
            "adversarial": self.generator_adversarial_loss(verdict, lambda: self.discriminate(batch.images)),
            "class": self.class_loss(verdict, fake.code),  # equation 3
        }
        if self.lambda_cycle:
            rec = self.generator(fake.images, self.code_of(batch))
            terms["cycle"] = self.lambda_cycle * F.l1_loss(rec, batch.images)  # equation 4
        return terms

    def classifier(self) -> nn.Module:
        """Return D, which sees the attributes of an image."""
        return self.discriminator
