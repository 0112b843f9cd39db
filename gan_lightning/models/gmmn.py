"""GMMN: Generative Moment Matching Networks.

Li, Swersky, Zemel, 2015. arXiv 1502.02761.

There is no discriminator. G minimises the distance between a batch of its images and a batch of data. A mixture of
Gaussian kernels compares all their moments (equation 3, and the square root of section 4.2):

    L = √MMD²(x, G(h)),   k(a, b) = Σ_σ exp(-||a - b||² / (2σ)),   σ = 2, 5, 10, 20, 40, 80

with MMD² the biased estimate, h uniform on [-1, 1]^10 and batches of 1000, which kernels in pixel space need.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from torch import nn
from torch.optim import SGD

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import FromLatents
from gan_lightning.inference import Prior, UniformPrior
from gan_lightning.losses.kernels import mmd2, safe_sqrt
from gan_lightning.networks import MLPGenerator
from gan_lightning.ranges import PositiveFloat
from gan_lightning.regularizers import Terms
from gan_lightning.training.optimizers import OptimizerFactory
from gan_lightning.training.solo import SoloModule


class GMMN(FromLatents, SoloModule):
    """Generative moment matching network, in pixel space.

    Args:
        generator: G. None = the paper's for MNIST: 10 latents, ReLU layers of 64, 256, 256 and 1024, a sigmoid.
        bandwidths: σ of each kernel, in squared units of pixels in [0, 1].
        base: the arguments of `SoloModule`.

    NOTE: the authors' code multiplies the loss by 1000 and has a learning rate of 2. Here the loss is not scaled, and
        the learning rate is 2000, which makes the same steps. That code divides the rate by ten after 10,000 and 40,000
        steps; here it is constant unless a schedule is given.
    NOTE: the initial weights are those of `MLPGenerator`. The paper's second model, which matches the codes of a
        pretrained autoencoder, is left out.
    """

    paper_prior: ClassVar[Prior] = UniformPrior()
    paper_optimizer: ClassVar[OptimizerFactory] = partial(SGD, lr=2000.0, momentum=0.9)

    def __init__(
        self,
        generator: nn.Module | None = None,
        bandwidths: Sequence[PositiveFloat] = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0),
        **base: Any,
    ) -> None:
        super().__init__(generator or MLPGenerator(latent_dim=10, hidden=(64, 256, 256, 1024)), **base)
        self.bandwidths = bandwidths

    def losses(self, batch: ImageBatch) -> Terms:
        """Return the distance between a batch of fakes and the real batch."""
        fake = self.generator(self.latents(len(batch.images)), *self.conditions(batch.labels))
        real, fake = ((images.float().flatten(1) + 1) / 2 for images in (batch.images, fake))  # (N, C·H·W) in [0, 1]
        return {"mmd": safe_sqrt(mmd2(real, fake, self.bandwidths))}
