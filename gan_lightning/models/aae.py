"""AAE: Adversarial Autoencoders.

Makhzani, Shlens, Jaitly, Goodfellow, Frey, 2015. arXiv 1511.05644.

An autoencoder whose codes are given the distribution of a prior p(z) by a discriminator of codes, in the place of the
VAE's divergence (section 2). With the encoder E and the decoder G, on each batch:

    L_D     = -E_z[log D(z)] - E_x[log(1 - D(E(x)))]           D tells codes of the prior from those of images
    L_{E,G} = E_x[½ ||x - G(E(x))||²] + λ E_x[-log D(E(x))]    reconstruction; and E makes codes that D takes for them

Samples are G(z) with z from the prior.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import CodeGame, code_contest
from gan_lightning.networks import AAEDecoder, AAEEncoder, CodeDiscriminator
from gan_lightning.regularizers import Contest
from gan_lightning.training.adversarial import OptimizerFactory


class Fakes(NamedTuple):
    """The outputs of encoder and decoder for a batch."""

    codes: Tensor  # E(x), (N, L)
    reconstructed: Tensor  # G(E(x)), (N, C, H, W)


class AAE(CodeGame):
    """Adversarial autoencoder. Encoder and decoder are one player, with one optimizer.

    Args:
        generator: the decoder G, without classes. None = the paper's for MNIST, with eight latents.
        encoder: E; see `WithEncoder`. None = the paper's for MNIST.
        discriminator: D, which maps codes (N, latent_dim) to logits. None = the paper's for MNIST.
        base: the other arguments of `CodeGame`: `loss`, `lambda_adversarial` (λ), the prior and the optimizers.

    NOTE: the paper minimises the two terms in two steps, by SGD with rates and momenta of their own; here one Adam
        minimises their sum.
    NOTE: the prior is N(0, 1); the paper's for MNIST has a standard deviation of 5, which only scales the codes.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2e-4, betas=(0.5, 0.999))

    def __init__(
        self,
        generator: nn.Module | None = None,
        encoder: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        **base: Any,
    ) -> None:
        judge = discriminator or CodeDiscriminator()
        super().__init__(generator or AAEDecoder(), encoder or AAEEncoder(), judge, **base)
        self.check_length("discriminator", judge, self.latent_dim)

    def draw_fakes(self, batch: ImageBatch) -> Fakes:
        """Encode the batch's images, and decode their codes."""
        codes = self.codes(batch.images)
        return Fakes(codes, self.generator(codes))

    def contests(self, batch: ImageBatch, fake: Fakes | None = None) -> Sequence[Contest]:
        """Return the task of D: to distinguish latents of the prior, the real ones, from codes."""
        z = self.latents(len(batch.images))
        return [code_contest("", self.discriminator, z, None if fake is None else fake.codes)]
