"""WGAN: Wasserstein GAN.

Arjovsky, Chintala, Bottou, 2017. arXiv 1701.07875.

    L_D = E_z[D(G(z))] - E_x[D(x)]            L_G = -E_z[D(G(z))]                        (equations 2 and 3)

A critic that is K-Lipschitz and fully trained measures K times the Wasserstein distance of data and fakes. Algorithm 1
keeps it Lipschitz by clipping every parameter to [-c, c] after each of its steps, and nearly fully trained by n_critic
steps for each of G's: c = 0.01, n_critic = 5, RMSprop with learning rate 0.00005, batches of 64; each turn draws its
own latents.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim import RMSprop

from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, Wasserstein
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from gan_lightning.ranges import NonNegativeInt, PositiveFloat, PositiveInt
from gan_lightning.training.adversarial import OptimizerFactory, Player, Terms

EARLY, ROUND = 25, 500  # number of steps of the generator


class WGAN(NoiseToImage):
    """Wasserstein GAN with clipped weights.

    Args:
        generator: G. None = the paper's, which is DCGAN's for 64x64 RGB.
        discriminator: the critic D. None = the paper's, which is DCGAN's for 64x64 RGB, batch norm included.
        loss: the adversarial loss. None = the Wasserstein loss.
        clip: largest magnitude c of a parameter of the critic, the gains and biases of its batch norm included.
        n_critic: number of critic steps for each step of the generator.
        head_start: factor on n_critic before each of the generator's first 25 steps and before every 500th; 20 gives
            the authors' 100 steps, 1 turns it off.
        base: the other arguments of `AdversarialModule`.

    Logged: `wasserstein_estimate`, the critic's estimate of the distance, up to the Lipschitz constant.

    NOTE: the authors' code clips before a critic's step and not after it, so that G learns from a critic that is one
        step outside the limits.
    """

    redraws: ClassVar[bool] = True
    unrolls: ClassVar[bool] = False
    paper_optimizer: ClassVar[OptimizerFactory] = partial(RMSprop, lr=5e-5)

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        clip: PositiveFloat = 0.01,
        n_critic: PositiveInt = 5,
        head_start: NonNegativeInt = 20,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or DCGANGenerator(), discriminator or DCGANDiscriminator(), n_critic=n_critic, **base
        )
        if clip <= 0 or head_start < 1:
            raise ValueError(f"clip must be above 0 and head_start count from 1, but they are {clip} and {head_start}")
        self.loss = loss or Wasserstein()
        self.clip = clip
        self.head_start = head_start

    def is_generators_turn(self) -> bool:
        """Return whether n_critic steps of the critic, or head_start times as many, are over, by the batch count."""
        turns, more = divmod(self.batches_seen + 1, self.n_critic)
        if more:
            return False
        late = turns - EARLY * self.head_start
        if late <= 0:
            return turns % self.head_start == 0
        # each round of 500 steps begins with a long one; the early ones end 24 short ones after the first round's
        return (late + self.head_start + EARLY - 2) % (self.head_start + ROUND - 1) >= self.head_start - 1

    def minimize(self, player: Player, *losses: Callable[[], Terms]) -> None:
        """Step, then clip the critic's weights to [-c, c]."""
        super().minimize(player, *losses)
        if player == "discriminator":
            with torch.no_grad():
                for parameter in self.discriminator.parameters():
                    parameter.clamp_(-self.clip, self.clip)
            self.record("wasserstein_estimate", -self.records["loss/discriminator/adversarial"])
