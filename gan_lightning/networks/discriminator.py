"""The output of a discriminator, and the base of discriminators with one logit for an image: features, and a head."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

from torch import Tensor, nn

from gan_lightning.layers import check_labels, check_no_labels
from gan_lightning.recording import Network

HeadFactory = Callable[[int], nn.Module]
"""Makes, for a number of features, a module from features (N, F) to logits (N, 1); classes of heads are in
`gan_lightning.networks.heads`."""


class DiscriminatorOutput(NamedTuple):
    """The output of a discriminator with one or several scales.

    A discriminator that only has logits may return a plain tensor (see `of`).
    """

    logits: Sequence[Tensor]  # one for each scale: (N,), or a map of patches (N, 1, h, w); empty unless requested
    features: Sequence[Sequence[Tensor]] = ()  # for each scale, layer by layer; empty unless requested
    class_logits: Tensor | None = None  # (N, num_classes), of a discriminator that also classifies

    @classmethod
    def of(cls, answer: "Tensor | DiscriminatorOutput") -> "DiscriminatorOutput":
        """Return the output, with a plain tensor of logits wrapped."""
        return cls((answer,)) if isinstance(answer, Tensor) else answer

    def float(self) -> Self:
        """Return the output with logits in float32, for the losses."""
        class_logits = None if self.class_logits is None else self.class_logits.float()
        return self._replace(logits=[each.float() for each in self.logits], class_logits=class_logits)

    def halves(self) -> tuple[Self, Self]:
        """Return the output for the first half of a batch, and that for the second."""
        first, second = (
            self._replace(
                logits=[each.chunk(2)[half] for each in self.logits],
                features=[[layer.chunk(2)[half] for layer in scale] for scale in self.features],
                class_logits=None if self.class_logits is None else self.class_logits.chunk(2)[half],
            )
            for half in range(2)
        )
        return first, second


class Discriminator(Network):
    """D(x) = head(features(x)).

    A subclass sets `num_classes` (0 = it takes no labels) and `num_features`, defines `features`, and ends its
    constructor with `self.head = ...`. Models use the features if the paper does: to match them, to classify, or to
    infer codes from them.
    """

    num_classes: int = 0
    num_features: int
    head: nn.Module

    @abstractmethod
    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1], and labels int64 (N,) if it takes them, to features (N, F)."""

    def judge(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map features (N, F), and labels int64 (N,) if it takes them, to logits (N,)."""
        return self.head(features).flatten()

    def forward(
        self, images: Tensor, labels: Tensor | None = None, with_features: bool = False, with_logits: bool = True
    ) -> Tensor | DiscriminatorOutput:
        """Map images (N, C, H, W) in [-1, 1] and labels int64 (N,) to logits (N,).

        With features, the result is a `DiscriminatorOutput`; without logits, the head does not run.
        """
        features = self.features(images, labels)
        if not with_features:
            return self.judge(features, labels)
        return DiscriminatorOutput((self.judge(features, labels),) if with_logits else (), ((features,),))


class ProjectingDiscriminator(Discriminator):
    """D(x, y) = e_yᵀ φ(x) + ψ(φ(x)), with the features φ, the head ψ and an embedding e of the classes.

    Miyato, Koyama, "cGANs with Projection Discriminator", 2018, arXiv 1802.05637, equation 3. Without classes it is the
    head on features. A subclass sets `embedding` too, and its `features` do not use labels.
    """

    embedding: nn.Embedding | None

    def judge(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map φ (N, F), and labels int64 (N,) if there are classes, to logits (N,)."""
        logits = super().judge(features)
        if self.embedding is None:
            check_no_labels(labels)
            return logits
        return logits + (self.embedding(check_labels(labels, self.num_classes)) * features).sum(dim=1)
