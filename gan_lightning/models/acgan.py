"""AC-GAN: Conditional Image Synthesis With Auxiliary Classifier GANs.

Odena, Olah, Shlens, 2016. arXiv 1610.09585.

    L_S = E_x[log P(S = real | x)] + E_z[log P(S = fake | G(z, c))]                               (equation 2)
    L_C = E_x[log P(C = c | x)] + E_z[log P(C = c | G(z, c))]                                     (equation 3)

D maximises L_S + L_C and G maximises L_C - L_S: D classifies real and fake images by their class c, and G helps it. D
is given no labels; both of its outputs use the same features.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import NoiseToImage
from gan_lightning.layers import check_labels
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import ACGANDiscriminator, ACGANGenerator
from gan_lightning.networks.acgan import AuxiliaryClassifier
from gan_lightning.networks.discriminator import Discriminator, DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import Terms


class ACGAN(NoiseToImage):
    """Conditional GAN whose discriminator also classifies.

    Args:
        generator: G, called with latents and labels. None = the paper's for CIFAR-10.
        discriminator: D, called with images alone. A linear layer on its `features`, learned with it, predicts the
            class. None = the paper's for CIFAR-10.
        loss: the adversarial loss. None = non-saturating.
        lambda_class: weight of the classes' cross-entropies beside the adversarial loss, for both players.
        base: the arguments of `AdversarialModule`.

    Logged: `loss/discriminator/class_real`, `loss/discriminator/class_fake` and `loss/generator/class` are
        cross-entropies, in nats, times lambda_class; guessing among ten classes gives 2.3.

    NOTE: fakes have the classes of the real batch.
    NOTE: G minimises -log P(S = real | G(z, c)), as is usual; with the paper's L_S it would minimise
        log P(S = fake | G(z, c)).
    """

    discriminator: AuxiliaryClassifier

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: Discriminator | None = None,
        loss: AdversarialLoss | None = None,
        lambda_class: NonNegativeFloat = 1.0,
        **base: Any,
    ) -> None:
        generator, discriminator = generator or ACGANGenerator(), discriminator or ACGANDiscriminator()
        num_classes = getattr(generator, "num_classes", 0)
        if not isinstance(discriminator, Discriminator) or discriminator.num_classes or not num_classes:
            raise ValueError(
                "ACGAN needs a generator that takes labels (num_classes: the data's number of classes) and a "
                "discriminator that does not (num_classes: 0) and has features to classify by, as those of "
                "gan_lightning.networks.discriminator.Discriminator"
            )
        super().__init__(generator, AuxiliaryClassifier(discriminator, num_classes), **base)
        self.loss = loss or NonSaturating()
        self.lambda_class = lambda_class

    def verdict(self, batch: ImageBatch, images: Tensor, **asked: Any) -> DiscriminatorOutput:
        """Return D's output, which does not depend on labels."""
        return self.discriminate(images, **asked)

    def class_loss(self, verdict: DiscriminatorOutput, labels: Tensor | None) -> Tensor:
        """Return minus one half of L_C, weighted: the cross-entropy of D's class logits to labels int64 (N,)."""
        assert verdict.class_logits is not None  # D is an AuxiliaryClassifier
        return self.lambda_class * F.cross_entropy(verdict.class_logits, check_labels(labels, self.num_classes))

    def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Return minus L_S, and minus the two halves of L_C."""
        real_output, fake_output = self.discriminate(batch.images), self.discriminate(fake)
        return {
            "adversarial": self.adversarial_loss(real_output, fake_output),  # equation 2
            "class_real": self.class_loss(real_output, batch.labels),  # equation 3
            "class_fake": self.class_loss(fake_output, batch.labels),
        }

    def generator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Let D take G(z, c) for real, and for an image of class c."""
        fake_output = self.discriminate(fake)
        return {
            "adversarial": self.generator_adversarial_loss(fake_output, lambda: self.discriminate(batch.images)),
            "class": self.class_loss(fake_output, batch.labels),
        }
