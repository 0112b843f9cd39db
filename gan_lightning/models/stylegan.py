"""StyleGAN: A Style-Based Generator Architecture for Generative Adversarial Networks.

Karras, Laine, Aila, 2018. arXiv 1812.04948.

A mapping f takes z to a style w = f(z). The synthesis begins with a learnt constant; after each layer, adaptive
instance norm gives every map x_i a scale and a bias that are affine in w:

    AdaIN(x_i, w) = y_s,i (x_i - μ(x_i)) / σ(x_i) + y_b,i                                          (equation 1)

The game is non-saturating, with R1 in every step. With the softplus ζ(t) = log(1 + e^t) and γ = 10:

    L_D = E_z[ζ(D(G(z)))] + E_x[ζ(-D(x))] + γ/2 E_x‖∇_x D(x)‖²
    L_G = E_z[ζ(-D(G(z)))]

Nine batches of ten are mixed: from a random layer on, they have the styles of other latents. The networks grow from 8x8
pixels (ProGAN) or, with `growth: null`, have their full size throughout.
"""

from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.data.growth import Growth
from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, NonSaturating, r1
from gan_lightning.networks import StyleGANDiscriminator, StyleGANGenerator
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class StyleGAN(NoiseToImage):
    """Non-saturating GAN with R1 and a generator that is controlled by styles.

    The generator states the space w, so that all tools for latents work in it: interpolation, directions, the
    truncation psi up to a cut-off layer, mixtures of styles. Its running mean of w is a buffer.

    Args:
        generator: G. None = the paper's, for RGB images of the growth's final size.
        discriminator: D. None = the paper's, for RGB images of the growth's final size.
        growth: the sizes, fades, batch sizes and learning rates by images seen. None = the networks do not grow.
        loss: the adversarial loss. None = `NonSaturating`.
        gamma: weight γ of R1, for gradients with respect to images in [-1, 1] of the final size, summed over pixels. 0
            turns it off.
        base: the other arguments of `AdversarialModule`. The paper averages G's weights with a half-life of 10,000
            images.

    NOTE: classes enter the mapping as in the authors' code; their discriminator has a logit for each class, and here a
        `Projection` of any discriminator does this.
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
        gamma: NonNegativeFloat = 10.0,
        **base: Any,
    ) -> None:
        size = 1024 if growth is None else growth.final_size
        super().__init__(
            generator or StyleGANGenerator(image_size=size),
            discriminator or StyleGANDiscriminator(image_size=size),
            **base,
        )
        self.growth = growth
        self.loss = loss or NonSaturating()
        self.gamma = gamma

    def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Return the terms of L_D, on real images of the present level."""
        terms = super().discriminator_loss(batch, fake)
        if self.gamma:
            terms["r1"] = self.gamma / 2 * r1(partial(self.eager_logits, batch), self.reference(batch), self.pack)
        return terms
