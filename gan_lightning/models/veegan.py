"""VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning.

Srivastava, Valkov, Russell, Gutmann, Sutton, 2017. arXiv 1705.07761.

A reconstructor F maps images to noise, D judges pairs as in BiGAN, and noise is encoded and decoded: if G drops a mode,
F maps real images of it to no noise of the prior, which D sees. With D a logit that is high for real pairs:

    L_D = -E_x[log σ(D(x, F(x)))] - E_z[log(1 - σ(D(G(z), z)))]
    L_G = -E_z[D(G(z), z)] + E_z ||z - F(G(z))||²                                                   (algorithm 1)
    L_F =  E_z ||z - F(G(z))||²
"""

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import PairGame, Pairs
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import AAEEncoder, BiGANGenerator, JointDiscriminator
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class VEEGAN(PairGame):
    """GAN with a reconstructor of its noise. Generator and reconstructor are one player, with one optimizer.

    Args:
        generator: G, without classes. None = BiGAN's for MNIST.
        encoder: the reconstructor F; see `PairGame`. None = two hidden layers of 1,000 for MNIST.
        discriminator: D, called with images and latents. None = BiGAN's for MNIST.
        loss: the adversarial loss of D's turn. None = non-saturating, the paper's logistic regression.
        lambda_noise: weight of the reconstruction of noise, a sum over its components.
        lambda_encoder: weight of E_x[D(x, F(x))] in L_F, by which F learns to fool D too. 0 = it does not, as in the
            paper; the authors' MNIST notebook has 1.
        base: the other arguments of `NoiseToImage`.

    NOTE: the networks for MNIST are BiGAN's; the authors' MNIST notebook has one hidden layer of 256 in each.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-3, betas=(0.7, 0.999))

    def __init__(
        self,
        generator: nn.Module | None = None,
        encoder: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_noise: NonNegativeFloat = 1.0,
        lambda_encoder: NonNegativeFloat = 0.0,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or BiGANGenerator(),
            encoder or AAEEncoder(latent_dim=50),
            discriminator or JointDiscriminator(),
            **base,
        )
        self.loss = loss or NonSaturating()
        self.lambda_noise, self.lambda_encoder = lambda_noise, lambda_encoder

    def generator_loss(self, batch: ImageBatch, fake: Pairs) -> Terms:
        """Raise D of the generator's pairs, lower that of real ones if asked to, and reconstruct noise."""
        (contest,) = self.contests(batch, fake)
        terms = {"adversarial": -_mean(contest.on_fakes(contest.fake))}
        if self.lambda_encoder:
            terms["encoder"] = self.lambda_encoder * _mean(contest.verdict(contest.real))
        encoded = self.encoder(fake.images)
        mean = encoded[0] if encoded.dim() == 3 else encoded
        noise = (fake.z - mean.float()).square().sum(1).mean()
        return terms | {"noise": self.lambda_noise * noise}


def _mean(verdict: DiscriminatorOutput) -> Tensor:
    return torch.stack([logits.mean() for logits in verdict.logits]).mean()
