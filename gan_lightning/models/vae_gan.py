"""VAE-GAN: Autoencoding beyond pixels using a learned similarity metric.

Larsen, Sønderby, Larochelle, Winther, 2015. arXiv 1512.09300.

An encoder Enc gives q(z|x); the decoder of a VAE is the generator Dec of a GAN; and images are compared not by pixels
but by what the discriminator Dis sees in them, at its layer l. With x̃ = Dec(z), z ~ q(z|x), and x_p = Dec(z_p), z_p
from the prior p(z) = N(0, 1):

    L_prior = KL(q(z|x) || p(z))                                                                     (equation 5)
    L_rec   = E_q[-log p(Dis_l(x)|z)] = E_q[½ ||Dis_l(x) - Dis_l(x̃)||²] + const                     (equations 7 and 8)
    L_GAN   = log Dis(x) + log(1 - Dis(x̃)) + log(1 - Dis(x_p))                                       (equation 10)

and each network descends only what algorithm 1 gives it:

    Enc: L_prior + L_rec            Dec: γ L_rec + L_GAN            Dis: -L_GAN
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.optim import RMSprop

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import FromLatents
from gan_lightning.layers.gradients import scale_gradient
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import VAEGANDecoder, VAEGANDiscriminator, VAEGANEncoder
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import AdversarialModule, OptimizerFactory, Player, Terms


class Fakes(NamedTuple):
    """The outputs of encoder and decoder for a batch."""

    mean: Tensor  # of q(z|x), (N, L)
    std: Tensor  # of q(z|x), (N, L)
    z: Tensor  # ~ q(z|x), (N, L)
    reconstructed: Tensor  # x̃, (N, C, H, W)
    sampled: Tensor  # x_p, (N, C, H, W)


class VAEGAN(FromLatents, AdversarialModule):
    """A VAE that is its own GAN. Encoder and decoder are one player, with one optimizer.

    Args:
        encoder: Enc, from images to means and standard deviations (2, N, latent_dim). None = the paper's for 64x64 RGB.
        generator: Dec. None = the paper's for 64x64 RGB.
        discriminator: Dis, with the layer that compares images as its `features`. None = the paper's for 64x64 RGB.
        loss: the adversarial loss. None = non-saturating.
        gamma: γ, the weight of L_rec against L_GAN in the decoder, more than 0.
        base: the arguments of `AdversarialModule`.

    Logged: `loss/generator/prior` and `loss/generator/reconstruction` are L_prior and L_rec in nats an image.

    NOTE: the decoder's loss is the non-saturating one; in the paper's minimax game (`gan_lightning.losses.Minimax`) the
        authors' code skips turns of the player that leads.
    NOTE: x̃ and x_p together weigh as much as x (their mean), where equation 10 adds them up, for any loss to be played.
    NOTE: γ and the optimizer's settings are the code's for faces, without its decay of the learning rate.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(RMSprop, lr=0.025 / 64, weight_decay=1e-5)

    def __init__(
        self,
        encoder: nn.Module | None = None,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        gamma: NonNegativeFloat = 1e-6,
        **base: Any,
    ) -> None:
        super().__init__(generator or VAEGANDecoder(), discriminator=discriminator or VAEGANDiscriminator(), **base)
        self.encoder = encoder or VAEGANEncoder()
        if self.encoder.latent_dim != self.latent_dim:
            raise ValueError(
                f"the encoder's z has {self.encoder.latent_dim} components and the generator's {self.latent_dim}: set "
                "latent_dim of both to the same"
            )
        if gamma <= 0:
            raise ValueError(f"gamma weighs the reconstruction in the decoder and is more than 0, not {gamma}")
        self.loss = loss or NonSaturating()
        self.gamma = gamma

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Add the encoder, which plays with the generator."""
        return {"discriminator": [self.discriminator], "generator": [self.generator, self.encoder]}

    def draw_fakes(self, batch: ImageBatch) -> Fakes:
        """The batch's images encoded and decoded, and as many decoded from the prior."""
        mean, std = self.encoder(batch.images)
        z = mean + std * torch.randn_like(std)
        # L_rec's gradient passes the decoder as γ of itself (see `generator_loss`), and is whole again from here on
        reconstructed = self.generator(scale_gradient(z, 1 / self.gamma))
        return Fakes(mean, std, z, reconstructed, self.generator(self.latents(len(z))))

    def fake_images(self, fake: Fakes) -> Tensor:
        """The images decoded from the prior."""
        return fake.sampled

    def discriminator_loss(self, batch: ImageBatch, fake: Fakes) -> Terms:
        """-L_GAN: tell x from x̃ and x_p, in passes of their own."""
        made = self._verdict_on_both(fake.reconstructed, fake.sampled)
        return {"adversarial": self.adversarial_loss(self.discriminate(batch.images), made)}

    def generator_loss(self, batch: ImageBatch, fake: Fakes) -> Terms:
        """L_prior and L_rec for the encoder, γ L_rec and L_GAN for the decoder, from one sum of terms."""
        prior = kl_divergence(Normal(fake.mean, fake.std, validate_args=False), Normal(0.0, 1.0)).sum(1).mean()
        with torch.no_grad():
            seen = self._layer(batch.images)
        difference = self._layer(scale_gradient(fake.reconstructed, self.gamma)) - seen
        reconstruction = 0.5 * difference.square().sum(1).mean()

        # x̃ once more, from a z that ends the gradient: Enc learns nothing from L_GAN
        reconstructed = self.generator(fake.z.detach())
        made = self._verdict_on_both(reconstructed, fake.sampled)
        adversarial = self.generator_adversarial_loss(made, lambda: self.discriminate(batch.images))
        return {"prior": prior, "reconstruction": reconstruction, "adversarial": adversarial}

    def _layer(self, images: Tensor) -> Tensor:
        """Dis_l of images as they are, not augmented, (N, F), in float32."""
        ((features,),) = self.discriminator(images, with_features=True, with_logits=False).features
        return features.float()

    def _verdict_on_both(self, reconstructed: Tensor, sampled: Tensor) -> DiscriminatorOutput:
        """Dis of x̃ and of x_p, in passes of their own, as the answer on one batch."""
        (first,), (second,) = self.discriminate(reconstructed).logits, self.discriminate(sampled).logits
        return DiscriminatorOutput((torch.cat([first, second]),))
