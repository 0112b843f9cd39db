"""VAE-GAN: Autoencoding beyond pixels using a learned similarity metric.

Larsen, Sønderby, Larochelle, Winther, 2015. arXiv 1512.09300.

An encoder Enc gives q(z|x), and the decoder of a VAE is the generator Dec of a GAN. Images are compared not by pixels
but by the features of the discriminator Dis, at its layer l. With x̃ = Dec(z), z ~ q(z|x), and x_p = Dec(z_p), z_p
from the prior p(z) = N(0, 1):

    L_prior = KL(q(z|x) || p(z))                                                                     (equation 5)
    L_rec   = E_q[-log p(Dis_l(x)|z)] = E_q[½ ||Dis_l(x) - Dis_l(x̃)||²] + const                     (equations 7 and 8)
    L_GAN   = log Dis(x) + log(1 - Dis(x̃)) + log(1 - Dis(x_p))                                       (equation 10)

Each network minimises only the terms that algorithm 1 gives it:

    Enc: L_prior + L_rec            Dec: γ L_rec + L_GAN            Dis: -L_GAN
"""

from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.optim import RMSprop

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import WithEncoder
from gan_lightning.layers.gradients import scale_gradient
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import VAEGANDecoder, VAEGANDiscriminator, VAEGANEncoder
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class Fakes(NamedTuple):
    """The outputs of encoder and decoder for a batch."""

    mean: Tensor  # of q(z|x), (N, L)
    std: Tensor  # of q(z|x), (N, L)
    z: Tensor  # ~ q(z|x), (N, L)
    reconstructed: Tensor  # x̃, (N, C, H, W)
    sampled: Tensor  # x_p, (N, C, H, W)


class VAEGAN(WithEncoder):
    """A VAE whose decoder is the generator of a GAN. Encoder and decoder are one player, with one optimizer.

    Args:
        encoder: Enc, maps images to means and standard deviations (2, N, latent_dim). None = the paper's for 64x64 RGB.
        generator: Dec. None = the paper's for 64x64 RGB.
        discriminator: Dis, with the layer that compares images as its `features`. None = the paper's for 64x64 RGB.
        loss: the adversarial loss. None = non-saturating.
        gamma: γ, the weight of L_rec against L_GAN in the decoder, above 0.
        base: the arguments of `AdversarialModule`.

    Logged: `loss/generator/prior` and `loss/generator/reconstruction` are L_prior and L_rec in nats an image.

    NOTE: the decoder's loss is the non-saturating one; in the paper's minimax game (`gan_lightning.losses.Minimax`) the
        authors' code skips turns of the player that leads.
    NOTE: x̃ and x_p together have the weight of x (their mean is used), for any loss; equation 10 adds them up.
    NOTE: γ and the optimizer's settings are those of the code for faces, without its decay of the learning rate.
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
        judge = discriminator or VAEGANDiscriminator()
        super().__init__(generator or VAEGANDecoder(), encoder or VAEGANEncoder(), judge, **base)
        if gamma <= 0:
            raise ValueError(f"gamma weighs the reconstruction in the decoder and is more than 0, not {gamma}")
        self.loss = loss or NonSaturating()
        self.gamma = gamma

    def draw_fakes(self, batch: ImageBatch) -> Fakes:
        """Encode and decode the batch's images, and decode as many latents from the prior."""
        mean, std = self.encoder(batch.images)
        z = mean + std * torch.randn_like(std)
        # L_rec's gradient passes the decoder times γ (see `generator_loss`), and regains its size from here on
        reconstructed = self.generator(scale_gradient(z, 1 / self.gamma))
        return Fakes(mean, std, z, reconstructed, self.generator(self.latents(len(z))))

    def fake_images(self, fake: Fakes) -> Tensor:
        """Return the images decoded from the prior."""
        return fake.sampled

    def discriminator_loss(self, batch: ImageBatch, fake: Fakes) -> Terms:
        """Return -L_GAN: distinguish x from x̃ and x_p, in separate passes."""
        output = self._output_on_both(fake.reconstructed, fake.sampled)
        return {"adversarial": self.adversarial_loss(self.discriminate(batch.images), output)}

    def generator_loss(self, batch: ImageBatch, fake: Fakes) -> Terms:
        """Return L_prior and L_rec for the encoder, γ L_rec and L_GAN for the decoder, as one sum of terms."""
        prior = kl_divergence(Normal(fake.mean, fake.std, validate_args=False), Normal(0.0, 1.0)).sum(1).mean()
        with torch.no_grad():
            target = self._layer(batch.images)
        difference = self._layer(scale_gradient(fake.reconstructed, self.gamma)) - target
        reconstruction = 0.5 * difference.square().sum(1).mean()

        # x̃ again, from a z that stops the gradient: Enc learns nothing from L_GAN
        reconstructed = self.generator(fake.z.detach())
        output = self._output_on_both(reconstructed, fake.sampled)
        adversarial = self.generator_adversarial_loss(output, lambda: self.discriminate(batch.images))
        return {"prior": prior, "reconstruction": reconstruction, "adversarial": adversarial}

    def _layer(self, images: Tensor) -> Tensor:
        """Return Dis_l of images without augmentation, (N, F), in float32."""
        ((features,),) = self.discriminator(images, with_features=True, with_logits=False).features
        return features.float()

    def _output_on_both(self, reconstructed: Tensor, sampled: Tensor) -> DiscriminatorOutput:
        """Return Dis of x̃ and of x_p, in separate passes, as the output for one batch."""
        (first,), (second,) = self.discriminate(reconstructed).logits, self.discriminate(sampled).logits
        return DiscriminatorOutput((torch.cat([first, second]),))
