"""WGAN-GP: Improved Training of Wasserstein GANs.

Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, 2017. arXiv 1704.00028.

    L_D = E_z[D(G(z))] - E_x[D(x)] + λ E_x̂[(||∇_x̂ D(x̂)||_2 - 1)^2]                                (equation 3)
    L_G = -E_z[D(G(z))]

with x̂ = ε x + (1 - ε) G(z), one ε ~ U(0, 1) for each pair. Algorithm 1: n_critic = 5, λ = 10; each turn draws its own
latents.
"""

from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, Wasserstein, gradient_penalty
from gan_lightning.networks import ResidualDiscriminator, ResidualGenerator
from gan_lightning.ranges import NonNegativeFloat, PositiveInt
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class WGANGP(NoiseToImage):
    """Wasserstein GAN with gradient penalty.

    Args:
        generator: G. None = the paper's ResNet for 32x32 RGB.
        discriminator: the critic D, without batch norm, which would make the penalty of one image depend on the others.
            None = the paper's ResNet for 32x32 RGB.
        loss: the adversarial loss. None = the Wasserstein loss.
        lambda_gp: weight λ of the gradient penalty. 0 turns it off.
        n_critic: number of critic steps for each step of the generator.
        base: the other arguments of `AdversarialModule`.

    Logged: minus `loss/discriminator/adversarial` is the estimate of the Wasserstein distance (up to the Lipschitz
        constant).

    NOTE: in the authors' CIFAR code the generator's turn has twice the batch; here, as in algorithm 1, all batches are
        equal.
    """

    redraws: ClassVar[bool] = True
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2e-4, betas=(0.0, 0.9))

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_gp: NonNegativeFloat = 10.0,
        n_critic: PositiveInt = 5,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or ResidualGenerator(), discriminator or ResidualDiscriminator(), n_critic=n_critic, **base
        )
        self.loss = loss or Wasserstein()
        self.lambda_gp = lambda_gp

    def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Return equation 3. The penalty calls `forward`, since compiled modules are not differentiable twice."""
        terms = super().discriminator_loss(batch, fake)
        if self.lambda_gp:
            penalty = gradient_penalty(self.discriminator.forward, batch.images, fake, pack=self.pack)
            terms["gradient_penalty"] = self.lambda_gp * penalty
        return terms
