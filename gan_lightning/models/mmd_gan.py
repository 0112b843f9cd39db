"""MMD-GAN: Towards Deeper Understanding of Moment Matching Network.

Li, Chang, Cheng, Yang, Póczos, 2017. arXiv 1705.08584.

GMMN's distance, with a learned kernel. An adversary maximises √MMD² of codes f(x). A decoder behind the codes keeps
them from losing information (equation 3 and section 3.2; the rank hinge is from the authors' code):

    L_G = √M + λ_r R,   L_D = -√M - λ_r R + λ_AE (E||x - d(f(x))||² + E||G(z) - d(f(G(z)))||²)
    M = MMD²(f(x), f(G(z))),   k(a, b) = Σ_σ exp(-||a - b||² / (2σ²)),   σ = 1, 2, 4, 8, 16
    R = -mean relu(E f(G(z)) - E f(x)) ≤ 0

λ_r = 16, λ_AE = 8. Algorithm 1: every parameter of f is clipped to [-0.01, 0.01] after each of D's steps, n_critic = 5,
RMSprop with learning rate 0.00005, batches of 64; each turn draws its own latents.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import RMSprop

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import NoiseToImage
from gan_lightning.losses.kernels import mmd2, safe_sqrt
from gan_lightning.networks import DCGANGenerator
from gan_lightning.networks.autoencoder import Autoencoder, DCGANAutoencoder
from gan_lightning.ranges import NonNegativeFloat, PositiveFloat, PositiveInt
from gan_lightning.training.adversarial import OptimizerFactory, Player, Terms


class MMDGAN(NoiseToImage):
    """Moment matching in the codes of an adversarial autoencoder.

    Args:
        generator: G. None = the paper's, which is DCGAN's for 32x32 RGB with 128 latents.
        discriminator: an `Autoencoder`: f is its `encode`, d its `decode`. None = the paper's for 32x32 RGB.
        bandwidths: σ of each kernel, in units of codes.
        lambda_autoencoder: weight λ_AE of both reconstruction errors, means over all values. 0 turns them off.
        lambda_rank: weight λ_r of the rank hinge. 0 turns it off.
        clip: largest magnitude of a parameter of the encoder, the gains and biases of its batch norm included.
        n_critic: number of discriminator steps for each step of the generator.
        base: the other arguments of `AdversarialModule`.

    NOTE: the authors' code clips before a step of D, not after it, and gives D 100 steps for each of G's first 25 and
        every 500th; here n_critic is constant.
    """

    discriminator: Autoencoder
    redraws: ClassVar[bool] = True
    unrolls: ClassVar[bool] = False
    takes_packs: ClassVar[bool] = False
    paper_optimizer: ClassVar[OptimizerFactory] = partial(RMSprop, lr=5e-5)

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: Autoencoder | None = None,
        bandwidths: Sequence[PositiveFloat] = (1.0, 2.0, 4.0, 8.0, 16.0),
        lambda_autoencoder: NonNegativeFloat = 8.0,
        lambda_rank: NonNegativeFloat = 16.0,
        clip: PositiveFloat = 0.01,
        n_critic: PositiveInt = 5,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or DCGANGenerator(128, image_size=32),
            discriminator or DCGANAutoencoder(),
            n_critic=n_critic,
            **base,
        )
        if clip <= 0:
            raise ValueError(f"clip must be above 0, not {clip}")
        self.variances = [sigma**2 for sigma in bandwidths]
        self.lambda_autoencoder = lambda_autoencoder
        self.lambda_rank = lambda_rank
        self.clip = clip

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players, with encoder and decoder separately: each is called, and compiled, by itself."""
        return super().players() | {"discriminator": [self.discriminator.encoder, self.discriminator.decoder]}

    def minimize(self, player: Player, *losses: Callable[[], Terms]) -> None:
        """Step, then clip the encoder's weights to [-c, c]. The decoder's weights are free."""
        super().minimize(player, *losses)
        if player == "discriminator":
            with torch.no_grad():
                for parameter in self.discriminator.encoder.parameters():
                    parameter.clamp_(-self.clip, self.clip)

    def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Separate the codes of real and fake images, and keep the information in the codes."""
        real, fake = self.augmentation(batch.images), self.augmentation(fake)
        real_codes, fake_codes = self.discriminator.encode(real), self.discriminator.encode(fake)
        terms = {name: -value for name, value in self._distance(real_codes.float(), fake_codes.float()).items()}
        if self.lambda_autoencoder:
            for name, images, codes in (("real", real, real_codes), ("fake", fake, fake_codes)):
                error = F.mse_loss(self.discriminator.decode(codes).float(), images.float())
                terms[f"autoencoder_{name}"] = self.lambda_autoencoder * error
        return terms

    def generator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Bring the codes of fakes near those of real images."""
        encode = self.discriminator.encode
        return self._distance(encode(self.augmentation(batch.images)).float(), encode(self.augmentation(fake)).float())

    def _distance(self, real_codes: Tensor, fake_codes: Tensor) -> Terms:
        terms = {"mmd": safe_sqrt(mmd2(real_codes, fake_codes, self.variances))}
        if self.lambda_rank:
            terms["rank"] = -self.lambda_rank * F.relu(fake_codes.mean(0) - real_codes.mean(0)).mean()
        return terms
