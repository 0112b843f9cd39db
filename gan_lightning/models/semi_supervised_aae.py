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
from gan_lightning.families import FromLatents
from gan_lightning.inference import CodesPrior, evaluating
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import AAEDecoder, AAEEncoder, CodeDiscriminator
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat, PositiveInt
from gan_lightning.regularizers import Contest
from gan_lightning.training.adversarial import AdversarialModule, OptimizerFactory, Player, Terms

UNKNOWN = -1  # the label of an image without a class
KINDS = ("style", "class")


class Fakes(NamedTuple):
    """The outputs of encoder and decoder for a batch."""

    styles: Tensor  # E_z(x), (N, L - K)
    logits: Tensor  # of E_y(x), (N, K)
    reconstructed: Tensor  # (N, C, H, W)


class SemiSupervisedAAE(FromLatents, AdversarialModule):
    """Semi-supervised AAE, for batches with labels for half of the images (see `labels_per_class` of a datamodule).

    Args:
        generator: the decoder G, of latents that begin with the style and end with the one-hot class. None = the
            paper's for MNIST, with a style of ten.
        encoder: E, which maps images to codes (N, latent_dim): the style, and a logit of each class. None = the
            paper's for MNIST.
        style_discriminator: D_z, which maps styles to logits. None = the paper's, of the style's length.
        class_discriminator: D_y, which maps shares of classes to logits. None = the paper's.
        loss: the adversarial loss. None = non-saturating.
        classes: number K of classes.
        lambda_adversarial: weight λ of the adversarial terms beside the reconstruction, which is a sum over an image's
            pixels in [0, 1], and beside the classes' cross-entropy.
        lambda_class: weight of the cross-entropy.
        base: the arguments of `AdversarialModule`.

    Logged: `val/accuracy` (`test/accuracy`), the share of the reference images that E classifies correctly.

    NOTE: the paper takes three steps on each batch, by SGD with rates of their own; here one Adam minimises the sum.
    NOTE: styles are uniform on [-1, 1], as InfoGAN's noise, where the paper has a normal distribution.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2e-4, betas=(0.5, 0.999))
    prior: CodesPrior

    def __init__(
        self,
        generator: nn.Module | None = None,
        encoder: nn.Module | None = None,
        style_discriminator: nn.Module | None = None,
        class_discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        classes: PositiveInt = 10,
        lambda_adversarial: NonNegativeFloat = 1.0,
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
        super().__init__(decoder, prior=CodesPrior(classes, continuous=0), discriminator=nn.ModuleDict(judges), **base)
        self.encoder = encoder or AAEEncoder(latent_dim=self.latent_dim)
        stated = {"encoder": (self.encoder, self.latent_dim)}
        stated |= {
            f"{kind}_discriminator": (judges[kind], length)
            for kind, length in zip(KINDS, (styles, classes), strict=True)
        }
        for name, (network, length) in stated.items():
            if getattr(network, "latent_dim", None) != length:
                raise ValueError(
                    f"the {name} states a latent_dim of {getattr(network, 'latent_dim', None)}, and codes with "
                    f"{styles} components of style and {classes} classes need {length}: set it"
                )
        if not isinstance(self.augmentation, nn.Identity):
            raise ValueError("the discriminators of an AAE judge codes, not images: leave the augmentation out")
        self.loss = loss or NonSaturating()
        self.classes = classes
        self.lambda_adversarial, self.lambda_class = lambda_adversarial, lambda_class

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players; the encoder belongs to the generator."""
        judges: Any = self.discriminator
        return {"discriminator": [*judges.values()], "generator": [self.generator, self.encoder]}

    def draw_fakes(self, batch: ImageBatch) -> Fakes:
        """Encode the batch's images, and decode styles with shares of classes."""
        styles, logits = self.encoder(batch.images).split([self.latent_dim - self.classes, self.classes], dim=1)
        return Fakes(styles, logits, self.generator(torch.cat([styles, logits.softmax(dim=1)], dim=1)))

    def fake_images(self, fake: Fakes) -> Tensor:
        """Return the reconstructions."""
        return fake.reconstructed

    def contests(self, batch: ImageBatch, fake: Fakes | None = None) -> Sequence[Contest]:
        """Return the task of each discriminator: to distinguish the prior's styles, or classes, from the encoder's."""
        style, one_hot, _ = self.prior.parts(self.latents(len(batch.images)))
        made = (None, None) if fake is None else (fake.styles, fake.logits.softmax(dim=1))
        found = []
        for kind, real, codes in zip(KINDS, (style, one_hot), made, strict=True):
            found.append(Contest(kind, real, codes, partial(self.judge, kind), None))
        return found

    def judge(self, kind: str, codes: Tensor, **asked: Any) -> DiscriminatorOutput:
        """Return the output of the discriminator of styles or of classes."""
        return DiscriminatorOutput.of(self.discriminator[kind](codes, **asked)).float()  # type: ignore[index]

    def adversarial_weight(self, verdict: DiscriminatorOutput) -> float:
        """Return λ in the turn of encoder and decoder, else 1."""
        return self.lambda_adversarial if self.playing == "generator" else 1.0

    def generator_loss(self, batch: ImageBatch, fake: Fakes) -> Terms:
        """Reconstruct, give codes the distribution of the prior, and classify the images that have a label."""
        difference = (fake.reconstructed.float() - batch.images) / 2  # of pixels in [0, 1]
        terms = {"reconstruction": 0.5 * difference.square().flatten(1).sum(1).mean()}
        assert batch.labels is not None  # ensured by check_batch
        crossed = F.cross_entropy(fake.logits.float(), batch.labels, ignore_index=UNKNOWN, reduction="sum")
        crossed = crossed / (len(batch.labels) / 2)  # the labelled half, so that processes' shares add up
        return terms | super().generator_loss(batch, fake) | {"class": self.lambda_class * crossed}

    @torch.no_grad()
    def classify(self, images: Tensor) -> Tensor:
        """Return the class logits (N, K) of images float (N, C, H, W) in [-1, 1]."""
        with evaluating(self.encoder):
            return self.encoder(images)[:, -self.classes :].float()

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """Return reconstructions of images (N, C, H, W) in [-1, 1], by averaged weights."""
        with evaluating(self.encoder):
            codes = self.encoder(images)
        codes = torch.cat([codes[:, : -self.classes], codes[:, -self.classes :].softmax(dim=1)], dim=1)
        return self.sampler.images(codes)

    def preview(self, batch: ImageBatch, count: int) -> tuple[Tensor, int]:
        """Return images, their reconstructions and samples, in three columns."""
        few = batch.images[:count]
        rows = torch.stack([few, self.reconstruct(few), self.sample(len(few), seed=0)], dim=1)
        return self.render(rows.flatten(0, 1)), 3

    @property
    def measured(self) -> Sequence[str]:
        """The accuracy of the classifier."""
        return ("accuracy",)

    def validation_step(self, batch: ImageBatch, batch_idx: int) -> Tensor:
        """Classify the reference images, and generate the images to evaluate."""
        assert batch.labels is not None
        right = (self.classify(batch.images).argmax(dim=1) == batch.labels).float()
        self.measure("accuracy", right.mean(), len(right))
        return super().validation_step(batch, batch_idx)

    test_step = validation_step

    def check_batch(self, batch: Any) -> None:
        """Check that some images have labels, and that the encoder knows all classes."""
        if isinstance(batch, ImageBatch):
            if batch.labels is None or batch.labels.ndim != 1 or not (batch.labels >= 0).any():
                raise ValueError(
                    "SemiSupervisedAAE learns from batches with class labels, of which some are known, and the data "
                    "serve none: set labels_per_class of the datamodule (data.init_args), such as 10"
                )
            if batch.labels.max() >= self.classes:
                raise ValueError(
                    f"the data serve labels up to {batch.labels.max()}, and the model has {self.classes} classes: set "
                    "model.classes to the data's"
                )
        super().check_batch(batch)

    def check_data(self, data: DataDescription) -> None:
        """Check that the model has a class for each of the data."""
        super().check_data(data)
        if data.num_classes is not None and data.num_classes != self.classes:
            raise ValueError(
                f"the data have {data.num_classes} classes, and the model {self.classes}: set model.classes"
            )
