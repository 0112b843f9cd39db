"""DANN: Unsupervised Domain Adaptation by Backpropagation.

Ganin, Lempitsky, 2014. arXiv 1409.7495. (Domain-Adversarial Training of Neural Networks, 2015, arXiv 1505.07818.)

Features f = G_f(x), labels G_y(f), and the domain G_d(f). With the cross-entropy L_y of the source's labels and L_d of
both domains, the saddle point of

    E(θ_f, θ_y, θ_d) = L_y(θ_f, θ_y) - λ L_d(θ_f, θ_d)                                              (equation 1)

is sought by steps of all three at once, from one forward pass:

    θ_f ← θ_f - μ (∂L_y/∂θ_f - λ ∂L_d/∂θ_f)     θ_y ← θ_y - μ ∂L_y/∂θ_y     θ_d ← θ_d - μ ∂L_d/∂θ_d  (4 to 6)

This is one backward pass through a gradient reversal layer between f and G_d: λ scales the adversary's gradient for the
features, but not for the adversary. λ rises from 0 to 1 as λ_p = 2 / (1 + e^(-10 p)) - 1, while the learning rate falls
as 0.01 (1 + 10 p)^-0.75, where p is the share of training that is done (section 4).
"""

from functools import partial
from typing import Any, ClassVar

from torch import nn
from torch.optim import SGD

from gan_lightning.data.batches import DomainBatch, detach, split
from gan_lightning.families.domains import DomainInvariance
from gan_lightning.networks import DomainClassifier, LeNetClassifier
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.schedules import Constant, Schedule
from gan_lightning.training.adversarial import OptimizerFactory


class DANN(DomainInvariance):
    """Domain-adversarial neural network.

    Args:
        generator: G_f and G_y, the features and the labeller. None = the paper's for 28x28 RGB digits.
        discriminator: G_d. None = the paper's for 28x28 RGB digits.
        lambda_domain: the largest λ. 0 = the features ignore the adversary, which still learns: the baseline.
        lambda_schedule: factor on λ over time, `SigmoidRamp` in the paper. None = constant.
        base: the arguments of `AdversarialModule`. The paper's schedule of both players is `InversePower`.

    NOTE: the features' gradient is that of the labels, plus -λ times that of the discriminator before its own step, so
        that the two turns of a batch equal the paper's one. (With n_critic above 1 the discriminator has further steps
        between, unlike in the paper.)
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(SGD, lr=0.01, momentum=0.9)

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        lambda_domain: NonNegativeFloat = 1.0,
        lambda_schedule: Schedule | None = None,
        **base: Any,
    ) -> None:
        super().__init__(generator or LeNetClassifier(), discriminator or DomainClassifier(), **base)
        self.lambda_domain = lambda_domain
        self.lambda_schedule = lambda_schedule or Constant()

    def domain_weight(self) -> float:
        """Return λ_p."""
        return self.lambda_domain * self.at(self.lambda_schedule)

    def training_step(self, batch: DomainBatch, batch_idx: int) -> None:
        """Take the steps of equations 4 to 6: the generator's first, on features that the discriminator uses too."""
        parts = split(batch, self.accumulate)
        features = [self.draw_fakes(part) for part in parts]
        before = detach(features)
        generators_turn = self.is_generators_turn()
        if generators_turn:
            self.minimize("generator", *map(partial(partial, self._generator_terms), parts, features))
            self.regularize("generator", parts)
        self.minimize("discriminator", *map(partial(partial, self._discriminator_terms), parts, before))
        self.regularize("discriminator", parts)
        self.finish_step(batch, averaged=generators_turn)
