"""R3GAN: The GAN is dead; long live the GAN! A Modern GAN Baseline.

Huang, Gokaslan, Kuleshov, Tompkin, 2024. arXiv 2501.05441.

Each real image is paired with a fake, and D's gradient is pulled to zero at both, in each of its steps. With the
softplus ζ(t) = log(1 + e^t):

    L_D = E_{x,z}[ζ(D(G(z)) - D(x))] + γ/2 (E_x‖∇_x D(x)‖² + E_z‖∇D(G(z))‖²)
    L_G = E_{x,z}[ζ(D(x) - D(G(z)))]

The first terms are the relativistic pairing loss. The others are the penalties R1 and R2, with which the game converges
locally, without the tricks of earlier GANs.
"""

from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, RelativisticPairing, r1, r2
from gan_lightning.networks import ResidualDiscriminator, ResidualGenerator
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.schedules import Constant, Schedule
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class R3GAN(NoiseToImage):
    """Relativistic pairing GAN, regularised by R1 and R2.

    Args:
        generator: G. None = WGAN-GP's ResNet for 32x32 RGB.
        discriminator: D, returning logits, without batch norm, which would make an image's gradient depend on the
            others. None = WGAN-GP's ResNet for 32x32 RGB.
        loss: the adversarial loss. None = `RelativisticPairing`.
        gamma: weight γ of both penalties, for gradients with respect to images in [-1, 1], summed over pixels. The
            default is the paper's start value for CIFAR-10; larger images need more (256x256: 150). 0 turns them off.
        gamma_schedule: factor on γ over time. None = constant.
        base: the other arguments of `AdversarialModule`.

    NOTE: the paper's networks, ResNeXts without any norm, are not included: this is its objective, for any networks.
    NOTE: the default optimizer is the paper's at the start. The paper lowers the learning rate to a quarter and γ to a
        tenth, by half a cosine (`Cosine`, for both), and raises the average's half-life from 0 (`ema_schedule`). It
        also raises β2 from 0.9 to 0.99; no schedule here does this.
    NOTE: G's turn pairs its fakes with the batch's real images again; the authors' code draws others. A second batch
        would double the loading, and no gradient reaches G through D(x) itself.
    """

    redraws: ClassVar[bool] = True
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
        super().__init__(generator or ResidualGenerator(), discriminator or ResidualDiscriminator(), **base)
        self.loss = loss or RelativisticPairing()
        self.gamma = gamma
        self.gamma_schedule = gamma_schedule or Constant()

    def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Rate each x more real than its G(z), with small gradients at both."""
        terms = super().discriminator_loss(batch, fake)
        if self.gamma:
            half_gamma = self.gamma / 2 * self.at(self.gamma_schedule)
            terms["r1"] = half_gamma * r1(self._eager_logits, batch.images)
            terms["r2"] = half_gamma * r2(self._eager_logits, fake)
        return terms

    def _eager_logits(self, images: Tensor) -> Tensor:
        """Return logits of augmented images without a compiled module, which is not differentiable twice."""
        return self.discriminator.forward(self.augmentation(images))
