"""The answer of a discriminator, and the base of discriminators of one logit an image: features, and a head."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

from torch import Tensor, nn

from gan_lightning.recording import Network

HeadFactory = Callable[[int], nn.Module]
"""From the number of features to a module that turns features (N, F) into logits (N, 1); classes of heads are in
`gan_lightning.networks.heads`."""


class DiscriminatorOutput(NamedTuple):
    """The answer of a discriminator, of one scale or several, on images.

    A discriminator that has nothing to add to its logits may answer with a plain tensor (see `of`).
    """

    logits: Sequence[Tensor]  # one for each scale: (N,), or a map of patches (N, 1, h, w); none where not asked for
    features: Sequence[Sequence[Tensor]] = ()  # for each scale, layer by layer; none where not asked for
    class_logits: Tensor | None = None  # (N, num_classes), of a discriminator that classifies

    @classmethod
    def of(cls, answer: "Tensor | DiscriminatorOutput") -> "DiscriminatorOutput":
        """The answer as it is, or the one that a plain tensor of logits stands for."""
        return cls((answer,)) if isinstance(answer, Tensor) else answer

    def float(self) -> Self:
        """The same answer with logits in float32, for the losses."""
        class_logits = None if self.class_logits is None else self.class_logits.float()
        return self._replace(logits=[each.float() for each in self.logits], class_logits=class_logits)


class Discriminator(Network):
    """D(x) = head(features(x)).

    A subclass sets `num_classes` (0 = it takes no labels) and `num_features`, defines `features`, and ends its
    constructor with `self.head = ...`. Models ask for features where the paper looks inside the discriminator: to match
    them, to classify or to infer codes from them.
    """

    num_classes: int = 0
    num_features: int
    head: nn.Module

    @abstractmethod
    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] and, of a conditional network, labels int64 (N,), to features (N, F)."""

    def judge(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Features (N, F) and, of a conditional network, labels int64 (N,), to logits (N,)."""
        return self.head(features).flatten()

    def forward(
        self, images: Tensor, labels: Tensor | None = None, with_features: bool = False, with_logits: bool = True
    ) -> Tensor | DiscriminatorOutput:
        """Images (N, C, H, W) in [-1, 1] and labels int64 (N,) to logits (N,).

        With features, the answer is a `DiscriminatorOutput`; without logits, the head does not run.
        """
        features = self.features(images, labels)
        if not with_features:
            return self.judge(features, labels)
        return DiscriminatorOutput((self.judge(features, labels),) if with_logits else (), ((features,),))
