"""A wrapper that makes any discriminator without labels conditional by projection, from YAML too:

discriminator:
  class_path: gan_lightning.networks.projection.Projection
  init_args:
    num_classes: 10
    discriminator: {class_path: gan_lightning.networks.DCGANDiscriminator}
"""

from torch import Tensor, nn

from gan_lightning.layers import check_labels, normalise_spectrally
from gan_lightning.networks.discriminator import Discriminator
from gan_lightning.ranges import PositiveInt


class Projection(Discriminator):
    """The projection discriminator on features of another discriminator.

    Miyato, Koyama, "cGANs with Projection Discriminator", 2018, arXiv 1802.05637, equation 3:

        D(x, y) = e_yᵀ φ(x) + ψ(φ(x))

    with φ the features and ψ the head of a discriminator without labels, and e an embedding of the classes, spectrally
    normalised as in the authors' code. (`SNResidualDiscriminator` is their own network, projection included.)

    Args:
        discriminator: the discriminator with φ and ψ; its own `num_classes` is 0.
        num_classes: number of classes to condition on.

    Raises:
        ValueError: the discriminator takes labels itself.
    """

    def __init__(self, discriminator: Discriminator, num_classes: PositiveInt) -> None:
        super().__init__()
        if discriminator.num_classes:
            raise ValueError(
                f"Projection adds labels to a discriminator without any, but {type(discriminator).__name__} takes "
                f"{discriminator.num_classes} classes itself: set its num_classes to 0"
            )
        self.num_classes, self.num_features = num_classes, discriminator.num_features
        self.discriminator = discriminator
        self.embedding = nn.Embedding(num_classes, self.num_features)
        nn.init.xavier_uniform_(self.embedding.weight)
        normalise_spectrally(self.embedding)

    @property
    def head(self) -> nn.Module:  # type: ignore[override]
        """ψ, the head of the other discriminator."""
        return self.discriminator.head

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to φ, (N, F); labels are not used."""
        return self.discriminator.features(images)

    def judge(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map φ (N, F) and labels int64 (N,) to logits (N,)."""
        embedded = self.embedding(check_labels(labels, self.num_classes))
        return super().judge(features) + (embedded * features).sum(dim=1)
