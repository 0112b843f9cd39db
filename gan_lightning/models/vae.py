"""VAE: Auto-Encoding Variational Bayes.

Kingma, Welling, 2013. arXiv 1312.6114. Not a GAN, but included for comparison.

An encoder gives an approximate posterior q(z|x), a decoder the likelihood p(x|z), and both maximise the evidence lower
bound of log p(x), with p(z) = N(0, 1):

    -ELBO = KL(q(z|x) || p(z)) + E_q[-log p(x|z)]                                                    (equation 3)

The first term has a closed form, ½ Σ (μ² + σ² - log σ² - 1) over the components of z (appendix B); the second is
estimated by one z = μ + σ ε, ε ~ N(0, 1), through which the gradient passes (section 2.4).
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import FromLatents
from gan_lightning.inference import evaluating
from gan_lightning.losses import Bernoulli, Likelihood
from gan_lightning.networks import VAEDecoder, VAEEncoder
from gan_lightning.ranges import PositiveInt
from gan_lightning.regularizers import Terms
from gan_lightning.training.solo import SoloModule


class VAE(FromLatents, SoloModule):
    """Variational autoencoder. It samples, also for evaluation, by decoding z from the prior.

    Args:
        encoder: maps images to the posterior's means and standard deviations, (2, N, latent_dim). None = the
            convolutional one for 28x28 grey digits.
        generator: the decoder, any generator without labels. None = the encoder's counterpart.
        likelihood: likelihood of images given z. None = Bernoulli, which needs a decoder that returns logits.
        importance_samples: K, draws of z for each image where a validation measures likelihoods, of black and white
            images: -log 1/K Σ p(x|z) p(z) / q(z|x), z ~ q(z|x), bounds -log p(x), the tighter the larger K (Burda et
            al. 2015, arXiv 1509.00519, equation 8). 1 = -ELBO.
        base: the other arguments of `SoloModule`.

    Logged: `loss/reconstruction` and `loss/kl` in nats for an image: sums over its values and its latents, means over
        the batch. `loss` is their sum, -ELBO.

    NOTE: networks are convolutional and the optimizer is Adam; the paper has fully connected networks and Adagrad.
    """

    def __init__(
        self,
        encoder: nn.Module | None = None,
        generator: nn.Module | None = None,
        likelihood: Likelihood | None = None,
        importance_samples: PositiveInt = 1,
        **base: Any,
    ) -> None:
        super().__init__(generator or VAEDecoder(), **base)
        self.encoder = encoder or VAEEncoder()
        if self.encoder.latent_dim != self.latent_dim:
            raise ValueError(
                f"the encoder's z has {self.encoder.latent_dim} components and the generator's {self.latent_dim}: set "
                "latent_dim of both to the same"
            )
        self.likelihood = likelihood or Bernoulli()
        self.importance_samples = importance_samples
        self.likelihood_protocol = f"an upper bound, by {importance_samples} draws of z from the posterior"

    def losses(self, batch: ImageBatch) -> Terms:
        """Return -ELBO in its two terms."""
        mean, std = self.encoder(batch.images)
        posterior = Normal(mean, std, validate_args=False)
        reconstruction = self.likelihood.negative_log_likelihood(self.generator, posterior.rsample(), batch.images)
        return {
            "reconstruction": reconstruction.mean(),
            "kl": kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean(),
        }

    @torch.no_grad()
    def nats(self, batch: ImageBatch) -> Tensor | None:
        """Return the bound of -log p(x) of each image; None for images of which p(x|z) is no probability."""
        if not self.likelihood.gives_probability(batch.images):
            return None
        decoder, prior = self.averaged_generator, Normal(0.0, 1.0)
        with evaluating(self.encoder), evaluating(decoder), torch.autocast(self.device.type, enabled=False):
            mean, std = self.encoder(batch.images)
            posterior = Normal(mean, std, validate_args=False)
            weights = []
            for _ in range(self.importance_samples):
                z = mean + std * torch.randn_like(std)
                log_ratio = (prior.log_prob(z) - posterior.log_prob(z)).sum(1)
                weights.append(log_ratio - self.likelihood.negative_log_likelihood(decoder, z, batch.images))
        return math.log(self.importance_samples) - torch.stack(weights).logsumexp(0)

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """Decode images (N, C, H, W) in [-1, 1] from the means of their posteriors, by averaged weights."""
        with evaluating(self.encoder), evaluating(self.averaged_generator):
            return self.averaged_generator(self.encoder(images)[0])
