"""An adversarial loss with a weight on the generator's side."""

from collections.abc import Callable

from torch import Tensor

from gan_lightning.losses.adversarial import AdversarialLoss
from gan_lightning.ranges import NonNegativeFloat


class WeightedGenerator(AdversarialLoss):
    """Another adversarial loss, with a weight on the generator's side.

    With weight 0 the generator learns only from the model's other terms, such as feature matching. Salimans et al.
    (2016, arXiv 1606.03498, section 3.1) replace the adversarial term by it.

    Args:
        loss: the loss; the discriminator's side stays unchanged.
        weight: factor on the generator's side.
    """

    def __init__(self, loss: AdversarialLoss, weight: NonNegativeFloat) -> None:
        self.loss = loss
        self.weight = weight

    @property
    def threshold(self) -> float | None:  # type: ignore[override]
        """The threshold of the other loss."""
        return self.loss.threshold

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the other loss's value."""
        return self.loss.discriminator(real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
        """Return the other loss's value times the weight."""
        return self.weight * self.loss.generator(fake_logits, real_logits)
