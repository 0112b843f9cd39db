"""An adversarial loss of which the generator minimises a part only, or nothing."""

from collections.abc import Callable

from torch import Tensor

from gan_lightning.losses.adversarial import AdversarialLoss
from gan_lightning.ranges import NonNegativeFloat


class WeightedGenerator(AdversarialLoss):
    """Another loss, with a weight on the generator's side.

    With weight 0 the generator learns from the model's other terms alone, such as feature matching, which Salimans et
    al. (2016, arXiv 1606.03498, section 3.1) put in the place of the adversarial term.

    Args:
        loss: the loss; the discriminator's side stays as it is.
        weight: factor on the generator's side.
    """

    def __init__(self, loss: AdversarialLoss, weight: NonNegativeFloat) -> None:
        self.loss = loss
        self.weight = weight

    @property
    def threshold(self) -> float | None:  # type: ignore[override]
        """The other loss's."""
        return self.loss.threshold

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The other loss's."""
        return self.loss.discriminator(real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """The other loss's, times the weight."""
        return self.weight * self.loss.generator(fake_logits, real_logits)
