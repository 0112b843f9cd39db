"""BigGAN: Large Scale GAN Training for High Fidelity Natural Image Synthesis.

Brock, Donahue, Simonyan, 2018. arXiv 1809.11096.

SAGAN's game, with more channels and larger batches:

    L_D = E_{x,y}[max(0, 1 - D(x, y))] + E_{z,y}[max(0, 1 + D(G(z, y), y))]
    L_G = -E_{z,y}[D(G(z, y), y)] + β sum_W ‖WWᵀ ⊙ (1 - I)‖²                                      (equation 3)

The last term keeps the filters W of G apart, so that G also serves truncated latents: components of z above a threshold
are drawn again (section 3.1), which gives better and less varied images (`truncation` of all commands that sample).

Images are made with a moving average of G's weights. The running statistics of its batch norm belong to other weights,
so they are measured anew over some batches (standing statistics, section 3).
"""

from functools import partial
from typing import Any, ClassVar

from torch import nn
from torch.optim import Adam

from gan_lightning.families import NoiseToImage
from gan_lightning.inference import measure_standing_statistics
from gan_lightning.losses import AdversarialLoss, Hinge
from gan_lightning.networks import BigGANDiscriminator, BigGANGenerator
from gan_lightning.ranges import NonNegativeInt, PositiveInt
from gan_lightning.regularizers import OrthogonalRegularization, Regularizer
from gan_lightning.training.adversarial import OptimizerFactory

IMAGENET = 1000  # classes


class BigGAN(NoiseToImage):
    """Class-conditional GAN at scale: chunks of z, a shared embedding, orthogonality, standing statistics.

    Large batches are made of parts by `accumulate`; batch norm sees the parts.

    Args:
        generator: G, called with latents, and with labels if it has classes. None = BigGAN-128's for 1000 classes.
        discriminator: D, called with images, and with labels if it has classes, which contains the projection. None =
            BigGAN-128's for 1000 classes.
        loss: the adversarial loss. None = hinge.
        n_critic: number of discriminator steps for each step of the generator.
        regularizers: terms beside the adversarial ones. None = `OrthogonalRegularization` of G with the paper's β of
            1e-4; [] = none.
        generator_optimizer: see `AdversarialModule`. None = Adam with a rate of 5e-5, β = (0, 0.999), ε = 1e-6.
        discriminator_optimizer: see `AdversarialModule`. None = Adam with a rate of 2e-4, β = (0, 0.999), ε = 1e-6.
        standing_batches: number of batches over which the statistics of the average are measured before images are made
            or weights saved. 0 = those of G in training are used.
        standing_batch_size: number of images of such a batch.
        base: the other arguments of `AdversarialModule`.

    NOTE: fakes have the classes of the real batch; the authors' code draws them uniformly.
    NOTE: statistics are measured on latents that are not truncated; the authors measure them for each threshold.
    NOTE: without a moving average (`ema_half_life`) no statistics are measured, since G's own are of its last weights.
    NOTE: ε is that of the first author's PyTorch code.
    """

    redraws: ClassVar[bool] = True

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        n_critic: PositiveInt = 2,
        regularizers: list[Regularizer] | None = None,
        generator_optimizer: OptimizerFactory | None = None,
        discriminator_optimizer: OptimizerFactory | None = None,
        standing_batches: NonNegativeInt = 16,
        standing_batch_size: PositiveInt = 64,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or BigGANGenerator(num_classes=IMAGENET),
            discriminator or BigGANDiscriminator(num_classes=IMAGENET),
            n_critic=n_critic,
            regularizers=[OrthogonalRegularization()] if regularizers is None else regularizers,
            generator_optimizer=generator_optimizer or partial(Adam, lr=5e-5, betas=(0.0, 0.999), eps=1e-6),
            discriminator_optimizer=discriminator_optimizer or partial(Adam, lr=2e-4, betas=(0.0, 0.999), eps=1e-6),
            **base,
        )
        self.loss = loss or Hinge()
        self.standing_batches, self.standing_batch_size = standing_batches, standing_batch_size

    def prepare(self) -> None:
        """Measure standing statistics of the averaged generator."""
        if self.average is not None and self.standing_batches:
            measure_standing_statistics(self.sampler, self.standing_batches, self.standing_batch_size)
