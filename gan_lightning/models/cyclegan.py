"""CycleGAN: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks.

Zhu, Park, Isola, Efros, 2017. arXiv 1703.10593.

Two generators, G: A -> B and F: B -> A, and a discriminator for each domain, with least-squares adversarial losses
(section 4):

    L_GAN(G) = E_a[(D_B(G(a)) - 1)^2]            L_D(D_B) = 1/2 E_b[(D_B(b) - 1)^2] + 1/2 E_a[D_B(G(a))^2]
    L_cyc = E_a[||F(G(a)) - a||_1] + E_b[||G(F(b)) - b||_1]                                       (equation 2)
    L_identity = E_b[||G(b) - b||_1] + E_a[||F(a) - a||_1]                                        (section 5.2)
    L = L_GAN(G) + L_GAN(F) + λ L_cyc + 0.5 λ L_identity,   λ = 10                                (equation 3)

D learns from a pool of the last 50 fakes, not only from the newest (Shrivastava et al. 2017).
"""

from typing import Any

from torch import nn
from torch.nn.functional import l1_loss

from gan_lightning.data.batches import UnpairedBatch
from gan_lightning.families import Exchanged, UnpairedTranslation
from gan_lightning.losses import AdversarialLoss, LeastSquares
from gan_lightning.networks import PatchGAN, ResNetGenerator
from gan_lightning.ranges import NonNegativeFloat, NonNegativeInt
from gan_lightning.training.adversarial import Terms
from gan_lightning.training.image_pool import ImagePool


class CycleGAN(UnpairedTranslation):
    """Unpaired image translation, in both directions.

    Args:
        generator_a_to_b: G. None = the paper's ResNet of nine blocks, RGB to RGB.
        generator_b_to_a: F. None = the paper's ResNet of nine blocks, RGB to RGB.
        discriminator_a: D_A. None = the 70x70 PatchGAN with instance norm, for RGB.
        discriminator_b: D_B. None = the 70x70 PatchGAN with instance norm, for RGB.
        loss: the adversarial loss. None = least squares, halved for the discriminators only.
        lambda_cycle: weight λ of the cycle-consistency term. 0 turns it off.
        lambda_identity: weight of the identity term, relative to `lambda_cycle`. 0 turns it off (and saves two passes).
        pool_size: number of fakes kept for each discriminator. 0 = it only sees the newest.
        base: the other arguments of `UnpairedTranslation` and `AdversarialModule`.

    NOTE: the discriminators step before the generators, as in all models of this library; the authors' code does the
        opposite.
    NOTE: the identity term is on by default, as in the authors' code; the paper uses it only for paintings to
        photographs.
    NOTE: the paper's rate is constant for 100 epochs and then falls to zero over 100. In the authors' code, and in our
        configs, its factor is 1 - max(0, e - 100) / 101 in epoch e, counted from 1: 1/101 and not 0 in the last. In
        newer versions of that code, which step the schedule before an epoch and not after it, each factor comes an
        epoch earlier, so that the last epoch learns nothing: `LinearToZero(98, 199)`.
    """

    def __init__(
        self,
        generator_a_to_b: nn.Module | None = None,
        generator_b_to_a: nn.Module | None = None,
        discriminator_a: nn.Module | None = None,
        discriminator_b: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_cycle: NonNegativeFloat = 10.0,
        lambda_identity: NonNegativeFloat = 0.5,
        pool_size: NonNegativeInt = 50,
        **base: Any,
    ) -> None:
        generators = {"a_to_b": generator_a_to_b or ResNetGenerator(), "b_to_a": generator_b_to_a or ResNetGenerator()}
        discriminators = {
            "a": discriminator_a or PatchGAN(in_channels=3, norm="instance"),
            "b": discriminator_b or PatchGAN(in_channels=3, norm="instance"),
        }
        super().__init__(nn.ModuleDict(generators), nn.ModuleDict(discriminators), **base)
        self.loss = loss or LeastSquares(discriminator_scale=0.5, generator_scale=1.0)
        self.lambda_cycle = lambda_cycle
        self.lambda_identity = lambda_identity
        self.pools = {"a": ImagePool(pool_size), "b": ImagePool(pool_size)}

    def check_batch(self, batch: Any) -> None:
        """Check that each generator can take images of its output domain, which it gets for the identity term."""
        super().check_batch(batch)
        channels_a, channels_b = batch.real_a.shape[1], batch.real_b.shape[1]
        if self.lambda_identity and channels_a != channels_b:
            raise ValueError(
                f"the identity term of CycleGAN gives images of B ({channels_b} channels) to the generator from A "
                f"({channels_a}) to B: set lambda_identity to 0, or the datamodule's channels_a and channels_b equal"
            )

    def draw_fakes(self, batch: UnpairedBatch) -> Exchanged:
        """Return G(a) and F(b)."""
        return Exchanged(self.generator["a_to_b"](batch.real_a), self.generator["b_to_a"](batch.real_b))

    def discriminator_loss(self, batch: UnpairedBatch, fake: Exchanged) -> Terms:
        """Let each domain's discriminator distinguish its real images from earlier fakes."""
        terms = {}
        for domain, real, fakes, verdict, *_ in self.contests(batch, fake):
            shown = self.exchanged(self.pools[domain], fakes)
            terms[domain] = self.adversarial_loss(verdict(real), verdict(shown))
        return terms

    def generator_loss(self, batch: UnpairedBatch, fake: Exchanged) -> Terms:
        """Fool both discriminators; reconstruct each image; leave images of the output domain unchanged."""
        (real_a, real_b), (fake_b, fake_a) = batch, fake
        a_to_b, b_to_a = self.generator["a_to_b"], self.generator["b_to_a"]
        terms = super().generator_loss(batch, fake)
        if self.lambda_cycle:
            terms["cycle_a"] = self.lambda_cycle * l1_loss(b_to_a(fake_b), real_a)
            terms["cycle_b"] = self.lambda_cycle * l1_loss(a_to_b(fake_a), real_b)
        if weight := self.lambda_cycle * self.lambda_identity:
            terms["identity_a"] = weight * l1_loss(b_to_a(real_a), real_a)
            terms["identity_b"] = weight * l1_loss(a_to_b(real_b), real_b)
        return terms
