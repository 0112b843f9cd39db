"""BiGAN: Adversarial Feature Learning.

Donahue, Krähenbühl, Darrell, 2016. arXiv 1605.09782. At the same time as ALI: Dumoulin, Belghazi, Poole, Mastropietro,
Lamb, Arjovsky, Courville, "Adversarially Learned Inference", 2016, arXiv 1606.00704.

An encoder E maps images to latents, the inverse of the generator, and D judges pairs:

    min_{G,E} max_D V = E_x[log D(x, E(x))] + E_z[log(1 - D(G(z), z))]                               (equation 3)

At the optimum the pairs (x, E(x)) and (G(z), z) have one distribution, and E inverts G (theorem 2). In practice G and E
minimise D's loss with the labels exchanged (section 3.4):

    L_{G,E} = -E_x[log(1 - D(x, E(x)))] - E_z[log D(G(z), z)]
"""

from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import PairGame, Pairs
from gan_lightning.inference import Prior, UniformPrior
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import BiGANEncoder, BiGANGenerator, JointDiscriminator
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class BiGAN(PairGame):
    """GAN with an encoder, whose discriminator judges pairs of image and latent.

    Args:
        generator: G, without classes. None = the paper's for MNIST.
        encoder: E; see `PairGame`. One that returns means and standard deviations is ALI's. None = BiGAN's for MNIST.
        discriminator: D, called with images and codes. None = the paper's for MNIST.
        loss: the adversarial loss; both turns use its discriminator's side, with exchanged labels in that of G and E.
            None = non-saturating.
        base: the other arguments of `NoiseToImage`.

    NOTE: the authors update both players at once from one pass, and their losses are halves of these, which Adam does
        not notice (a weight decay does).
    """

    paper_prior: ClassVar[Prior] = UniformPrior()
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2e-4, betas=(0.5, 0.999))

    def __init__(
        self,
        generator: nn.Module | None = None,
        encoder: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or BiGANGenerator(), encoder or BiGANEncoder(), discriminator or JointDiscriminator(), **base
        )
        self.loss = loss or NonSaturating()

    def generator_loss(self, batch: ImageBatch, fake: Pairs) -> Terms:
        """Return D's loss with exchanged labels."""
        (contest,) = self.contests(batch, fake)
        real, made = contest.verdict(contest.real).logits, contest.on_fakes(contest.fake).logits
        losses = [self.loss.discriminator(*scale) for scale in zip(made, real, strict=True)]
        return {"adversarial": torch.stack(losses).mean()}
