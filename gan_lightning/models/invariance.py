"""Controllable Invariance through Adversarial Feature Learning.

Xie, Dai, Du, Hovy, Neubig, 2017. arXiv 1705.11122.

    min_{E,M} max_D  E_{x,s,y}[γ log q_D(s|h) - log q_M(y|h)],   h = E(x, s)                         (equation 2)

An encoder E is told the attribute s of x that its representation h is to be free of, so that it can take s out; a
discriminator D tries to find s in h; a predictor M reads the label y from h. Here s is the domain.
"""

from typing import Any

from torch import nn

from gan_lightning.families.domains import DomainInvariance
from gan_lightning.networks import DomainClassifier, LeNetClassifier
from gan_lightning.ranges import NonNegativeFloat


class ControllableInvariance(DomainInvariance):
    """Features that are told the domain and keep nothing of it.

    Args:
        generator: E and M, of a network that is told the domain (num_domains: 2). None = DANN's for 28x28 RGB digits,
            with a one-hot map for each domain beside the image's channels.
        discriminator: D. None = DANN's.
        gamma: γ, what hiding the domain weighs beside reading the labels. 0 = D learns, and E ignores it.
        base: the arguments of `AdversarialModule`.

    NOTE: y is known of the source alone, where the paper has the labels of all that it trains on.
    NOTE: D and E take turns, as the paper's game is written; its released code, for translation, reverses gradients on
        every second step.
    """

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        gamma: NonNegativeFloat = 1.0,
        **base: Any,
    ) -> None:
        super().__init__(generator or LeNetClassifier(num_domains=2), discriminator or DomainClassifier(), **base)
        if self.generator.num_domains != 2:
            raise ValueError(
                "ControllableInvariance tells its features the domain: give it a generator with num_domains: 2"
            )
        self.gamma = gamma

    def domain_weight(self) -> float:
        """γ."""
        return self.gamma
