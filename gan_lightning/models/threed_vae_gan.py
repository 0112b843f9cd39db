"""3D-VAE-GAN: a shape from a picture.

Wu, Zhang, Xue, Freeman, Tenenbaum, "Learning a Probabilistic Latent Space of Object Shapes via 3D
Generative-Adversarial Modeling", 2016. arXiv 1610.07584, section 3.3.

An encoder E gives a distribution q(z|y) of latents for a picture y, and the generator of a 3D-GAN makes the shape x of
them. As in VAE-GAN, z of the prior p(z) = N(0, I) are shapes too, which D tells from real ones:

    L = L_3D-GAN + α1 L_KL + α2 L_recon                                                              (equation 2)
    L_3D-GAN = log D(x) + log(1 - D(G(z)))                                                           (equation 3)
    L_KL = KL(q(z|y) || p(z))                                                                        (equation 4)
    L_recon = ||G(E(y)) - x||²                                                                       (equation 5)

D maximises L_3D-GAN; E minimises α1 L_KL + α2 L_recon; G minimises α2 L_recon and its part of L_3D-GAN.
"""

from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.optim import Adam

from gan_lightning.data.batches import Batch, DepictedBatch, first
from gan_lightning.families import WithEncoder
from gan_lightning.families.translation import side_by_side
from gan_lightning.inference import LatentSampler, evaluating
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import ThreeDGANDiscriminator, ThreeDGANGenerator, ThreeDVAEGANEncoder
from gan_lightning.ranges import NonNegativeFloat, Share
from gan_lightning.training.adversarial import OptimizerFactory, Terms
from gan_lightning.training.handicap import Handicap


class Fakes(NamedTuple):
    """The outputs of encoder and generator for a batch."""

    mean: Tensor  # of q(z|y), (N, L)
    std: Tensor  # of q(z|y), (N, L)
    reconstructed: Tensor  # G(E(y)), (N, 1, S, S, S)
    sampled: Tensor  # G(z), (N, 1, S, S, S)


class ThreeDVAEGAN(WithEncoder):
    """A 3D-GAN with an encoder of pictures. Encoder and generator are one player, with one optimizer.

    Its sampler has the encoder too, so that a trained model makes shapes of pictures as well as of random z.

    Args:
        encoder: E, maps pictures to means and standard deviations (2, N, latent_dim). None = the paper's for 256x256.
        generator: G. None = the paper's for 64x64x64.
        discriminator: D. None = the paper's for 64x64x64.
        loss: the adversarial loss. None = non-saturating.
        alpha_kl: α1, the weight of the divergence.
        alpha_reconstruction: α2, the weight of the squared distance of occupancies in [0, 1], a sum over voxels.
        accuracy_limit: see `ThreeDGAN`.
        base: the arguments of `AdversarialModule`. The default learning rates are the paper's, 0.0025 of G and E, and
            0.00001 of D.

    Logged: `loss/generator/kl` and `loss/generator/reconstruction` with their weights; `discriminator_accuracy`.

    NOTE: equation 5 has the norm, not its square; the square is a likelihood, as in VAE-GAN, and the norm would be
        nothing beside the other terms with the published α2.
    NOTE: the paper takes three steps in turn, of D, E and G; here E and G step together, on the same terms.
    """

    batch_type: ClassVar[type[Batch]] = DepictedBatch
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2.5e-3, betas=(0.5, 0.999))

    def __init__(
        self,
        encoder: nn.Module | None = None,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        alpha_kl: NonNegativeFloat = 5.0,
        alpha_reconstruction: NonNegativeFloat = 1e-4,
        accuracy_limit: Share = 0.8,
        discriminator_optimizer: OptimizerFactory | None = None,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or ThreeDGANGenerator(),
            encoder or ThreeDVAEGANEncoder(),
            discriminator or ThreeDGANDiscriminator(),
            discriminator_optimizer=discriminator_optimizer or partial(Adam, lr=1e-5, betas=(0.5, 0.999)),
            **base,
        )
        self.loss = loss or NonSaturating()
        self.alpha_kl, self.alpha_reconstruction = alpha_kl, alpha_reconstruction
        self.handicap = Handicap(accuracy_limit, self.loss)

    @property
    def sampler(self) -> LatentSampler:
        """A sampler with the averaged weights, and with the encoder once there is one."""
        return LatentSampler(self.averaged_generator, self.prior, self.clamps, encoder=getattr(self, "encoder", None))

    def draw_fakes(self, batch: DepictedBatch) -> Fakes:
        """Make shapes of the batch's pictures, and as many of the prior."""
        mean, std = self.encoder(batch.images)
        z = mean + std * torch.randn_like(std)
        return Fakes(mean, std, self.generator(z), self.generator(self.latents(len(z))))

    def fake_images(self, fake: Fakes) -> Tensor:
        """Return the shapes made of the prior."""
        return fake.sampled

    def generator_loss(self, batch: DepictedBatch, fake: Fakes) -> Terms:
        """Return L_KL and L_recon with their weights, and G's adversarial loss."""
        kl = kl_divergence(Normal(fake.mean, fake.std, validate_args=False), Normal(0.0, 1.0)).sum(1).mean()
        difference = (fake.reconstructed - batch.voxels).float() / 2  # occupancy is in [0, 1]
        return {
            "kl": self.alpha_kl * kl,
            "reconstruction": self.alpha_reconstruction * difference.square().flatten(1).sum(1).mean(),
            **super().generator_loss(batch, fake),
        }

    def reference(self, batch: DepictedBatch) -> Tensor:
        """Return the real shapes (N, 1, S, S, S)."""
        return batch.voxels

    @torch.no_grad()
    def generate(self, batch: DepictedBatch) -> Tensor:
        """Make the shapes of the batch's pictures, from the means of q(z|y), by averaged weights."""
        with evaluating(self.averaged_generator), torch.autocast(self.device.type, enabled=False):
            return self.averaged_generator(self.sampler.encode(batch.images))

    def preview(self, batch: DepictedBatch, count: int) -> tuple[Tensor, int]:
        """Return rows of a picture, the shape made of it, and the real shape."""
        shown = first(batch, count)
        return side_by_side(shown.images, self.render(self.generate(shown)), self.render(shown.voxels)), 6
