"""pix2pix: Image-to-Image Translation with Conditional Adversarial Networks.

Isola, Zhu, Zhou, Efros, 2016. arXiv 1611.07004.

    L_cGAN(G, D) = E_{x,y}[log D(x, y)] + E_{x,z}[log(1 - D(x, G(x, z)))]                         (equation 1)
    L_L1(G) = E_{x,y,z}[||y - G(x, z)||_1]                                                        (equation 3)
    G* = arg min_G max_D L_cGAN(G, D) + λ L_L1(G),   λ = 100                                      (equation 4)

There is no z: the noise is dropout in G's decoder, in training and in use (section 3.2).
"""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lightning.data.batches import PairedBatch
from gan_lightning.families import PairedTranslation
from gan_lightning.inference import Policy, Translator
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import PatchGAN, UNetGenerator
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import Terms


class Pix2Pix(PairedTranslation):
    """Paired image translation.

    Args:
        generator: G, source to target. None = the paper's U-Net for 256x256 RGB.
        discriminator: D, called with source and target concatenated along channels, returning a map of logits.
            None = the 70x70 PatchGAN.
        loss: the adversarial loss. None = non-saturating.
        lambda_l1: weight λ of the L1 term. 0 turns it off.
        policy: dropout and batch norm at inference. None = as published: dropout stays on, since it is the model's
            noise, and batch norm uses each image's own statistics, since the paper trains and tests with batches of
            one; after training with larger batches the running averages are better.
        base: the arguments of `AdversarialModule`.

    NOTE: G steps against D after D's step, as in the authors' PyTorch code; in their Torch code G reused D's earlier
        output.
    NOTE: D's two terms are added and not halved, as in the authors' Torch code (Adam makes the same steps for both).
    """

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_l1: NonNegativeFloat = 100.0,
        policy: Policy | None = None,
        **base: Any,
    ) -> None:
        super().__init__(generator or UNetGenerator(), discriminator or PatchGAN(), **base)
        self.loss = loss or NonSaturating()
        self.lambda_l1 = lambda_l1
        self.policy = policy or Policy(dropout=True, batch_norm="instance")

    def verdict(self, batch: PairedBatch, images: Tensor, **asked: Any) -> DiscriminatorOutput:
        """Return D(x, y): a map of logits, one for each patch. Both images pass the augmentation together."""
        return self.discriminate(images, beside=batch.source, **asked)

    def generator_loss(self, batch: PairedBatch, fake: Tensor) -> Terms:
        """Let D take (x, G(x)) for a real pair, and stay near y: equation 4."""
        return super().generator_loss(batch, fake) | {"l1": self.lambda_l1 * l1_loss(fake, batch.target)}

    @property
    def translator(self) -> Translator:
        """A translator with the noise and the statistics of the policy."""
        return Translator(self.averaged_generator, self.policy)
