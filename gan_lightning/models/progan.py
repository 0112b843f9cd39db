"""ProGAN: Progressive Growing of GANs for Improved Quality, Stability, and Variation.

Karras, Aila, Laine, Lehtinen, 2017. arXiv 1710.10196.

Training begins with images of 4x4 pixels. Each time their size doubles, a level of layers is added to both networks and
fades in: with α from 0 to 1, G's image is (1 - α) · (that of the levels before, enlarged) + α · (its own), D's maps are
mixed alike, and so are real images. At every size the loss is WGAN-GP's, with a small pull of D's outputs to zero:

    L_D = E_z[D(G(z))] - E_x[D(x)] + λ E_x̂[(‖∇_x̂ D(x̂)‖₂ - 1)²] + ε_drift E_x[D(x)²]               (appendix A.1)
    L_G = -E_z[D(G(z))]

with x̂ = ε x + (1 - ε) G(z), one ε ~ U(0, 1) for each pair; λ = 10, ε_drift = 0.001.
"""

from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.data.growth import Growth
from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, Wasserstein, gradient_penalty
from gan_lightning.networks import ProGANDiscriminator, ProGANGenerator
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class ProGAN(NoiseToImage):
    """Wasserstein GAN with gradient penalty whose images grow during training.

    Level and α are functions of the number of images seen (`Growth`), so that a run can be stopped and resumed at any
    batch. Images always have the final size: below it, pixels are repeated, in G's images and in real ones, for
    training and for evaluation. The penalty is on the gradient with respect to these.

    Args:
        generator: G. None = the paper's, for RGB images of the growth's final size.
        discriminator: the critic D. None = the paper's, for RGB images of the growth's final size.
        growth: the sizes, fades, batch sizes and learning rates by images seen. None = the networks do not grow.
        loss: the adversarial loss. None = the Wasserstein loss.
        lambda_gp: weight λ of the gradient penalty. 0 turns it off.
        epsilon_drift: weight ε_drift of the pull of D(x) to zero. 0 turns it off.
        base: the other arguments of `AdversarialModule`. The paper averages G's weights.

    NOTE: networks conditional on classes are those of `Projection`; the authors' code trains AC-GAN's classifier.
    """

    redraws: ClassVar[bool] = True
    clamps: ClassVar[bool] = True
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-3, betas=(0.0, 0.99))

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        growth: Growth | None = None,
        loss: AdversarialLoss | None = None,
        lambda_gp: NonNegativeFloat = 10.0,
        epsilon_drift: NonNegativeFloat = 0.001,
        **base: Any,
    ) -> None:
        size = 1024 if growth is None else growth.final_size
        super().__init__(
            generator or ProGANGenerator(image_size=size),
            discriminator or ProGANDiscriminator(image_size=size),
            **base,
        )
        self.growth = growth
        self.loss = loss or Wasserstein()
        self.lambda_gp, self.epsilon_drift = lambda_gp, epsilon_drift

    def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Return the terms of L_D, on real images of the present level."""
        real = self.reference(batch)
        verdict = self.verdict(batch, real)
        terms = {"adversarial": self.adversarial_loss(verdict, self.verdict(batch, fake))}
        if self.lambda_gp:
            penalty = gradient_penalty(partial(self.eager_logits, batch), real, fake, pack=self.pack)
            terms["gradient_penalty"] = self.lambda_gp * penalty
        if self.epsilon_drift:
            terms["drift"] = self.epsilon_drift * verdict.logits[0].square().mean()
        return terms
