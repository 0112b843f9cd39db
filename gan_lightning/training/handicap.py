"""A discriminator that rests while it is too strong."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_lightning.losses import AdversarialLoss


class Handicap:
    """Lets the discriminator rest on a batch if its accuracy in the last batch was above a limit.

    Wu et al., "Learning a Probabilistic Latent Space of Object Shapes via 3D Generative-Adversarial Modeling", 2016,
    arXiv 1610.07584, section 3.1. The accuracy is the mean of two shares: of real images, and of fakes, whose logits
    lie on their side of the loss's threshold. To decide, the host waits for the device once a batch.

    Args:
        limit: the largest accuracy, in [0, 1], with which the discriminator still learns. 1 = it always learns.
        loss: the adversarial loss.

    Raises:
        ValueError: there is a limit, and the loss is a critic's, whose logits have no threshold.
    """

    def __init__(self, limit: float, loss: AdversarialLoss) -> None:
        if limit < 1 and loss.threshold is None:
            raise ValueError(
                f"accuracy_limit={limit:g} needs a discriminator that says real or fake, and {type(loss).__name__} "
                "trains a critic: set accuracy_limit to 1, or choose a loss such as NonSaturating"
            )
        self.limit = limit
        self.accuracy = 0.0
        self._seen: list[Tensor] = []

    @property
    def rests(self) -> bool:
        """Whether the discriminator rests on the next batch."""
        return self.accuracy > self.limit

    def begin(self) -> None:
        """Begin the discriminator's turn."""
        self._seen.clear()

    def observe(self, real_logits: Tensor, fake_logits: Tensor, threshold: float | None) -> None:
        """Take in logits of the turn, of any shape."""
        if threshold is not None:
            real, fake = real_logits.detach() > threshold, fake_logits.detach() < threshold
            self._seen.append((real.float().mean() + fake.float().mean()) / 2)

    def end(self, mean_over_processes: Callable[[Tensor], Tensor]) -> Tensor | None:
        """End the turn, and return its accuracy, the same on all processes. None = there is none."""
        if not self._seen:
            return None
        accuracy = mean_over_processes(torch.stack(self._seen).mean())
        if self.limit < 1:
            self.accuracy = float(accuracy)
        return accuracy

    def state_dict(self) -> dict[str, Any]:
        """Return the accuracy of the last batch."""
        return {"accuracy": self.accuracy}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the accuracy of the last batch."""
        self.accuracy = float(state["accuracy"])
