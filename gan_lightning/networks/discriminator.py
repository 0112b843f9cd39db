"""What discriminators of one logit an image have in common: features, and a head that judges them."""

from abc import abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from gan_lightning.recording import Network

HeadFactory = Callable[[int], nn.Module]
"""From the number of features to a module that turns features (N, F) into logits (N, 1); classes of heads are in
`gan_lightning.networks.heads`."""


class Discriminator(Network):
    """D(x) = head(features(x)).

    A subclass sets `num_classes` (0 = it takes no labels) and `num_features`, defines `features`, and ends its
    constructor with `self.head = ...`. Models read `features` where the paper looks inside the discriminator: to match
    them, to classify or to infer codes from them.
    """

    num_classes: int = 0
    num_features: int
    head: nn.Module

    @abstractmethod
    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] and, of a conditional network, labels int64 (N,), to features (N, F)."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] and labels int64 (N,) to logits (N,)."""
        return self.head(self.features(images, labels)).flatten()
