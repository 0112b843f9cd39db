"""BEGAN: Boundary Equilibrium Generative Adversarial Networks.

Berthelot, Schumm, Metz, 2017. arXiv 1703.10717.

D is an autoencoder. Its verdict on an image is the error L(v) = |v - D(v)| of its reconstruction, which it lowers for
real images and raises for fakes. A controller keeps a chosen ratio γ = E L(G(z)) / E L(x) (section 3.4):

    L_D = L(x) - k_t L(G(z))            L_G = L(G(z))
    k_{t+1} = k_t + λ_k (γ L(x) - L(G(z))),   k_0 = 0,   kept in [0, 1]

and M = L(x) + |γ L(x) - L(G(z))| measures the progress of training (section 3.4.1): it falls as images improve.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import NoiseToImage
from gan_lightning.inference import Prior, UniformPrior
from gan_lightning.networks.autoencoder import BEGANAutoencoder, BEGANGenerator
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import OptimizerFactory, Player, Terms


class BEGAN(NoiseToImage):
    """Boundary equilibrium GAN.

    Args:
        generator: G. None = the paper's for 64x64 RGB.
        discriminator: D, which maps images to images of the same shape. None = the paper's for 64x64 RGB.
        gamma: γ in (0, 1]: lower for sharper, higher for more varied images.
        lambda_k: λ_k, the controller's step.
        base: the arguments of `AdversarialModule`.

    Logged: `convergence`, M in units of pixels in [-1, 1], and `k`.

    NOTE: L is a mean over an image's values. Both players share a batch's latents, as in all models of this library;
        the paper draws z_D and z_G.
    NOTE: the paper halves the learning rate, which starts between 0.00005 and 0.0001, each time M stalls; here it is
        constant unless a schedule is given.
    """

    k: Tensor
    clamps: ClassVar[bool] = True
    paper_prior: ClassVar[Prior] = UniformPrior()
    takes_packs: ClassVar[bool] = False
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-4, betas=(0.5, 0.999))

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        gamma: NonNegativeFloat = 0.5,
        lambda_k: NonNegativeFloat = 0.001,
        **base: Any,
    ) -> None:
        super().__init__(generator or BEGANGenerator(), discriminator or BEGANAutoencoder(), **base)
        if not 0 < gamma <= 1:
            raise ValueError(f"gamma is a ratio in (0, 1], not {gamma}")
        self.gamma = gamma
        self.lambda_k = lambda_k
        self.register_buffer("k", torch.zeros(()))

    def reconstruction_error(self, images: Tensor) -> Tensor:
        """Return L(v) = |v - D(v)| of augmented images v, a scalar."""
        images = self.augmentation(images)
        return (images.float() - self.discriminator(images).float()).abs().mean()

    def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Reconstruct real images well, and fakes badly with weight k."""
        return {"real": self.reconstruction_error(batch.images), "fake": -self.k * self.reconstruction_error(fake)}

    def generator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Make images that D reconstructs well."""
        return {"adversarial": self.reconstruction_error(fake)}

    def minimize(self, player: Player, *losses: Callable[[], Terms]) -> None:
        """Step; after the generator's turn, update k, with the same value on all processes."""
        super().minimize(player, *losses)
        if player == "generator":
            real = self.records["loss/discriminator/real"]
            balance = self.mean_over_processes(self.gamma * real - self.records["loss/generator"])
            self.k.add_(self.lambda_k * balance).clamp_(0, 1)
            self.record("convergence", real + balance.abs())
            self.record("k", self.k.clone())
