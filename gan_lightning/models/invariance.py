"""Controllable Invariance through Adversarial Feature Learning.

Xie, Dai, Du, Hovy, Neubig, 2017. arXiv 1705.11122.

    min_{E,M} max_D  E_{x,s,y}[γ log q_D(s|h) - log q_M(y|h)],   h = E(x, s)                         (equation 2)

An encoder E gets the attribute s of x, so that it can remove s from its representation h. A discriminator D tries to
predict s from h; a predictor M predicts the label y from h. Here s is the domain.
"""

from typing import Any

from torch import nn

from gan_lightning.families.domains import DomainInvariance
from gan_lightning.networks import DomainClassifier, LeNetClassifier
from gan_lightning.ranges import NonNegativeFloat


class ControllableInvariance(DomainInvariance):
    """Features that do not contain the domain, which their encoder gets as an input.

    Args:
        generator: E and M, a network that takes the domain (num_domains: 2). None = DANN's for 28x28 RGB digits, with a
            one-hot map for each domain beside the image's channels.
        discriminator: D. None = DANN's.
        gamma: γ, the weight of hiding the domain against predicting the labels. 0 = D learns, and E ignores it.
        base: the arguments of `AdversarialModule`.

    NOTE: y is known for the source alone; the paper has labels for all of its training data.
    NOTE: D and E take turns, as in the paper's game; its released code, for translation, reverses gradients on every
        second step.
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
                "ControllableInvariance gives the domain to its features: give it a generator with num_domains: 2"
            )
        self.gamma = gamma

    def domain_weight(self) -> float:
        """Return γ."""
        return self.gamma
