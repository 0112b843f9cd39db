"""Semi-supervised GAN: a classifier that learns from a few labels, from unlabelled images, and from fakes.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved Techniques for Training GANs", 2016. arXiv 1606.03498,
section 5.

D is a classifier of K classes, with logits l_1(x) ... l_K(x), and a class K + 1, fake, whose logit is fixed at 0. With
Z(x) = sum_k exp(l_k(x)), an image is real with probability Z(x) / (Z(x) + 1), whose logit is log Z(x):

    L_D = -E_{x,y}[log p(y | x, y <= K)] + λ 1/2 (E_x[ζ(-log Z(x))] + E_z[ζ(log Z(G(z)))])
    L_G = ||E_x[f(x)] - E_z[f(G(z))]||^2

where ζ(t) = log(1 + e^t), and f are D's features: feature matching replaces the adversarial term.
"""

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import FewLabels, NoiseToImage
from gan_lightning.families.few_labels import UNKNOWN
from gan_lightning.losses import AdversarialLoss, NonSaturating, feature_matching
from gan_lightning.networks.discriminator import Discriminator, DiscriminatorOutput
from gan_lightning.networks.semi_supervised import NoisyDiscriminator, SoftplusGenerator
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class SSGAN(FewLabels, NoiseToImage):
    """Semi-supervised GAN, for batches with labels for half of the images; see `FewLabels`.

    Args:
        generator: G, which takes no labels. None = the paper's for MNIST.
        discriminator: D, a head of K outputs on features, without labels as input. Batch norm, whose running statistics
            mix real images with fakes, makes a poor classifier. None = the paper's for MNIST, with ten classes.
        loss: the loss that separates real from fake by log Z; only its discriminator's side is used. None =
            non-saturating, the paper's ζ.
        lambda_unlabelled: λ. With 0 the classifier learns from the labelled images alone: the supervised baseline.
        base: the arguments of `AdversarialModule`.

    NOTE: the code has a uniform prior, matches features of a second batch, and tests D with averaged weights.
    """

    discriminator: Discriminator
    takes_packs: ClassVar[bool] = False
    classes_come_from: ClassVar[str] = (
        "the discriminator's head has {} outputs: give it one for each class (head: torch.nn.Linear with out_features)"
    )
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=3e-3, betas=(0.5, 0.999))

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: Discriminator | None = None,
        loss: AdversarialLoss | None = None,
        lambda_unlabelled: NonNegativeFloat = 1.0,
        **base: Any,
    ) -> None:
        discriminator = discriminator or NoisyDiscriminator(head=partial(nn.Linear, out_features=10))
        super().__init__(generator or SoftplusGenerator(), discriminator, **base)
        self.loss = loss or NonSaturating()
        self.lambda_unlabelled = lambda_unlabelled

    def classify(self, images: Tensor) -> Tensor:
        """Return the class logits (N, K) of images float (N, C, H, W) in [-1, 1]."""
        return self.discriminator(images).float().view(len(images), -1)

    def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Classify the labelled half of the images; distinguish the other half from G(z)."""
        labels, unlabelled, labelled = _halves(batch)
        logits = self.classify(self.augmentation(batch.images))
        terms = {"labelled": F.cross_entropy(logits[labelled], labels[labelled], ignore_index=UNKNOWN)}
        if self.lambda_unlabelled:
            real_output, fake_output = (
                self._real_or_fake(logits[unlabelled]),
                self._real_or_fake(self.classify(self.augmentation(fake))),
            )
            terms["unlabelled"] = self.lambda_unlabelled * 0.5 * self.adversarial_loss(real_output, fake_output)
        return terms

    @staticmethod
    def _real_or_fake(class_logits: Tensor) -> DiscriminatorOutput:
        """Return log Z (N,), the logit of being real, from class logits (N, K)."""
        return DiscriminatorOutput((class_logits.logsumexp(dim=1),), class_logits=class_logits)

    def generator_loss(self, batch: ImageBatch, fake: Tensor) -> Terms:
        """Match the mean features of the unlabelled half."""
        with torch.no_grad():
            real = self._features(batch.images[_halves(batch)[1]])
        return {"feature_matching": feature_matching(real, self._features(fake))}

    def _features(self, images: Tensor) -> Tensor:
        """Return f of augmented images (N, C, H, W), as (N, F)."""
        ((features,),) = self.discriminate(images, with_features=True, with_logits=False).features
        return features


def _halves(batch: ImageBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Return the labels, and the rows of the unlabelled and of the labelled half."""
    assert batch.labels is not None  # ensured by check_batch
    # sorted, -1 comes first; masks would make the CPU wait for their sizes on a GPU
    unlabelled, labelled = batch.labels.argsort().tensor_split(2)
    return batch.labels, unlabelled, labelled
