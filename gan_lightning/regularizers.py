"""Terms that any model here can take beside its paper's own: `model.regularizers` in YAML, a list."""

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from gan_lightning.recording import Recorded

if TYPE_CHECKING:
    from gan_lightning.adversarial import AdversarialModule

Terms = dict[str, Tensor]


class Regularizer(Recorded, nn.Module):
    """Terms that are added to the players' losses, under names of their own.

    A subclass overrides one of the two methods, or both. What it remembers from step to step goes into buffers, which
    are in the checkpoint.
    """

    def discriminator(self, model: "AdversarialModule", batch: Any, fake: Any) -> Terms:
        """Named terms for the discriminator's turn; what `model.discriminator_loss` is given."""
        return {}

    def generator(self, model: "AdversarialModule", batch: Any, fake: Any) -> Terms:
        """Named terms for the generator's turn; what `model.generator_loss` is given."""
        return {}
