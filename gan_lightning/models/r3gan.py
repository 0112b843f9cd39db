"""R3GAN: The GAN is dead; long live the GAN! A Modern GAN Baseline.

Huang, Gokaslan, Kuleshov, Tompkin, 2024. arXiv 2501.05441.

Each real image is paired with a fake, and D's gradient is pulled to zero at both, in each of its steps. With the
softplus ζ(t) = log(1 + e^t):

    L_D = E_{x,z}[ζ(D(G(z)) - D(x))] + γ/2 (E_x‖∇_x D(x)‖² + E_z‖∇D(G(z))‖²)
    L_G = E_{x,z}[ζ(D(x) - D(G(z)))]

The first terms are the relativistic pairing loss. The others are the penalties R1 and R2, with which the game converges
locally, without the tricks of earlier GANs. With classes y, both networks take them: D(x, y), G(z, y).

Over the run, half a cosine lowers the learning rate to a quarter and γ to a tenth, raises Adam's β2 from 0.9 to 0.99,
and raises the average's half-life from 0 (appendix, and the authors' code): `generator_schedule`, `gamma_schedule`,
`beta2_schedule`, `ema_schedule`. All are functions of the images seen.
"""

from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, RelativisticPairing, r1, r2
from gan_lightning.networks import R3GANDiscriminator, R3GANGenerator
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.schedules import Constant, Schedule
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class R3GAN(NoiseToImage):
    """Relativistic pairing GAN, regularised by R1 and R2.

    Args:
        generator: G. None = the paper's for 32x32 RGB without classes.
        discriminator: D, returning logits, without batch norm, which would make an image's gradient depend on the
            others. None = the paper's for 32x32 RGB without classes.
        loss: the adversarial loss. None = `RelativisticPairing`.
        gamma: weight γ of both penalties, for gradients with respect to images in [-1, 1], summed over pixels. The
            default is the paper's start value for CIFAR-10; larger images need more (256x256: 150). 0 turns them off.
        gamma_schedule: factor on γ over time. None = constant.
        base: the other arguments of `AdversarialModule`.

    NOTE: the default optimizer is the paper's at the start, and schedules are constant if none are given; the published
        configs give them.
    NOTE: images are limited to [-1, 1] after training; the authors' code limits them when it writes them.
    NOTE: G's turn pairs its fakes with the batch's real images again; the authors' code draws others. A second batch
        would double the loading, and no gradient reaches G through D(x) itself.
    """

    redraws: ClassVar[bool] = True
    clamps: ClassVar[bool] = True
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2e-4, betas=(0.0, 0.9))

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        gamma: NonNegativeFloat = 0.05,
        gamma_schedule: Schedule | None = None,
        **base: Any,
    ) -> None:
        super().__init__(generator or R3GANGenerator(), discriminator or R3GANDiscriminator(), **base)
        self.loss = loss or RelativisticPairing()
        self.gamma = gamma
        self.gamma_schedule = gamma_schedule or Constant()

    def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Rate each x more real than its G(z), with small gradients at both."""
        terms = super().discriminator_loss(batch, fake)
        if self.gamma:
            half_gamma = self.gamma / 2 * self.at(self.gamma_schedule)
            critic = partial(self.eager_logits, batch)
            terms["r1"] = half_gamma * r1(critic, batch.images, self.pack)
            terms["r2"] = half_gamma * r2(critic, fake, self.pack)
        return terms
