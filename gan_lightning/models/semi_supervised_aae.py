"""Semi-supervised AAE: an adversarial autoencoder that classifies, with few labels.

Makhzani, Shlens, Jaitly, Goodfellow, Frey, "Adversarial Autoencoders", 2015. arXiv 1511.05644, section 5.

The encoder gives a class, softmax E_y(x), and a style, E_z(x), from which the decoder G makes the image again. Two
discriminators give both a distribution: that of one-hot classes, all equally frequent, and that of the style's prior.
On each batch, half of which has labels y:

    L_Dy    = -E_c[log D_y(c)] - E_x[log(1 - D_y(E_y(x)))]           c one-hot (and L_Dz likewise, on styles)
    L_{E,G} = E_x[½ ||x - G(E_z(x), E_y(x))||²] - λ E_x[log D_y(E_y(x)) + log D_z(E_z(x))] - E_{x,y}[log E_y(y|x)]
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.data.description import DataDescription
from gan_lightning.families import CodeGame, FewLabels, code_contest
from gan_lightning.families.few_labels import UNKNOWN
from gan_lightning.inference import CodesPrior, evaluating
from gan_lightning.networks import AAEDecoder, AAEEncoder, CodeDiscriminator
from gan_lightning.ranges import NonNegativeFloat, PositiveInt
from gan_lightning.regularizers import Contest
from gan_lightning.training.adversarial import OptimizerFactory, Terms


class Fakes(NamedTuple):
    """The outputs of encoder and decoder for a batch."""

    codes: Tensor  # E_z(x) and E_y(x), (N, L)
    logits: Tensor  # of E_y(x), (N, K)
    reconstructed: Tensor  # (N, C, H, W)


class SemiSupervisedAAE(FewLabels, CodeGame):
    """Semi-supervised AAE, for batches with labels for half of the images; see `FewLabels`.

    Args:
        generator: the decoder G, of latents that begin with the style and end with the one-hot class. None = the
            paper's for MNIST, with a style of ten.
        encoder: E, which maps images to codes (N, latent_dim): the style, and a logit of each class. None = the
            paper's for MNIST.
        style_discriminator: D_z, which maps styles to logits. None = the paper's, of the style's length.
        class_discriminator: D_y, which maps shares of classes to logits. None = the paper's.
        classes: number K of classes.
        lambda_class: weight of the cross-entropy.
        base: the other arguments of `CodeGame`: `loss`, `lambda_adversarial` (λ), and the optimizers.

    NOTE: the paper takes three steps on each batch, by SGD with rates of their own; here one Adam minimises the sum.
    NOTE: styles are uniform on [-1, 1], as InfoGAN's noise, where the paper has a normal distribution.
    """

    classes_come_from: ClassVar[str] = "the model has {} classes: set model.classes to the data's"
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2e-4, betas=(0.5, 0.999))
    prior: CodesPrior

    def __init__(
        self,
        generator: nn.Module | None = None,
        encoder: nn.Module | None = None,
        style_discriminator: nn.Module | None = None,
        class_discriminator: nn.Module | None = None,
        classes: PositiveInt = 10,
        lambda_class: NonNegativeFloat = 1.0,
        **base: Any,
    ) -> None:
        decoder: Any = generator or AAEDecoder(latent_dim=10 + classes)
        styles: int = decoder.latent_dim - classes
        if styles < 1:
            raise ValueError(
                f"the decoder's z has {decoder.latent_dim} components, of which {classes} are the class, so that "
                f"none is left for the style: set its latent_dim to more than {classes}"
            )
        judges = {
            "style": style_discriminator or CodeDiscriminator(styles),
            "class": class_discriminator or CodeDiscriminator(classes),
        }
        coder = encoder or AAEEncoder(latent_dim=decoder.latent_dim)
        super().__init__(decoder, coder, nn.ModuleDict(judges), prior=CodesPrior(classes, continuous=0), **base)
        for (kind, judge), length in zip(judges.items(), (styles, classes), strict=True):
            self.check_length(f"{kind}_discriminator", judge, length)
        self.classes, self.lambda_class = classes, lambda_class

    def as_code(self, encoded: Tensor) -> Tensor:
        """Return the style, and the shares of the classes, in an output of the encoder."""
        return torch.cat([encoded[:, : -self.classes], encoded[:, -self.classes :].softmax(dim=1)], dim=1)

    def draw_fakes(self, batch: ImageBatch) -> Fakes:
        """Encode the batch's images, and decode styles with shares of classes."""
        encoded = self.encoder(batch.images)
        codes = self.as_code(encoded)
        return Fakes(codes, encoded[:, -self.classes :], self.generator(codes))

    def contests(self, batch: ImageBatch, fake: Fakes | None = None) -> Sequence[Contest]:
        """Return the task of each discriminator: to distinguish the prior's styles, or classes, from the encoder's."""
        style, one_hot, _ = self.prior.parts(self.latents(len(batch.images)))
        lengths = [self.latent_dim - self.classes, self.classes]
        made = (None, None) if fake is None else fake.codes.split(lengths, dim=1)
        judges: Any = self.discriminator
        parts = zip(judges.items(), (style, one_hot), made, strict=True)
        return [code_contest(kind, judge, real, codes) for (kind, judge), real, codes in parts]

    def generator_loss(self, batch: ImageBatch, fake: Fakes) -> Terms:
        """Reconstruct, give codes the distribution of the prior, and classify the images that have a label."""
        assert batch.labels is not None  # ensured by check_batch
        crossed = F.cross_entropy(fake.logits.float(), batch.labels, ignore_index=UNKNOWN, reduction="sum")
        crossed = crossed / (len(batch.labels) / 2)  # the labelled half, so that processes' shares add up
        return super().generator_loss(batch, fake) | {"class": self.lambda_class * crossed}

    @torch.no_grad()
    def classify(self, images: Tensor) -> Tensor:
        """Return the class logits (N, K) of images float (N, C, H, W) in [-1, 1]."""
        with evaluating(self.encoder):
            return self.encoder(images)[:, -self.classes :].float()

    def check_data(self, data: DataDescription) -> None:
        """Check that the model has no class that the data lack, since its prior draws all of them."""
        super().check_data(data)
        if data.num_classes is not None and data.num_classes < self.classes:
            raise ValueError(
                f"the data have {data.num_classes} classes, and the model {self.classes}: set model.classes"
            )
