"""CoGAN for unsupervised domain adaptation: Coupled Generative Adversarial Networks, section 5.

Liu, Tuzel, 2016. arXiv 1606.07536.

Images of a source domain have labels, images of a target domain have none. Both discriminators share all layers but the
first, and so their features f. A classifier on f of the source is therefore one of the target too. Beside CoGAN's game
(equation 6), the discriminators minimise

    λ_c E_{x_1,y}[-log p(y | f_1(x_1))] + λ_f E_z[||f_1(G_1(z)) - f_2(G_2(z))||^2],   λ_c = 10,   λ_f = 0.01

so that f classifies the source, and has the same value for the counterparts that the generators make.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy

from gan_lightning.data.batches import Batch, DomainBatch
from gan_lightning.data.description import DataDescription
from gan_lightning.families import FromLatents
from gan_lightning.inference import evaluating
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks.cogan import CoGANDiscriminator, CoGANGenerator, CoupledGenerator
from gan_lightning.networks.discriminator import Discriminator, DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat, PositiveInt
from gan_lightning.regularizers import Contest
from gan_lightning.training.adversarial import AdversarialModule, Player, Terms

SOURCE, TARGET = 0, 1  # the domains, as classes of the generator


class CoGANAdaptation(FromLatents, AdversarialModule):
    """A classifier of a domain without labels, by coupled GANs.

    The domain is the class of a conditional generator, as in `CoGAN`. Images are evaluated in the target domain.

    Args:
        generator: G_1 and G_2. None = the authors' for digits.
        discriminator: D_1 and D_2, called with images and domains, whose `features` are f. None = the authors' for
            digits.
        loss: the adversarial loss. None = non-saturating, as in the authors' code.
        classes: number of classes of the source's labels.
        lambda_class: weight λ_c of the classifier's cross-entropy.
        lambda_features: weight λ_f of the squared distance of features, which is summed over them. 0 turns it off.
        base: the arguments of `AdversarialModule`.

    Logged: `val/accuracy` on the target, whose labels have no other use, and `val/source_accuracy` (`test/...`).

    NOTE: the weights are those of the authors' code; the paper names the two terms without weights.
    """

    batch_type: ClassVar[type[Batch]] = DomainBatch
    generator: CoupledGenerator
    discriminator: Discriminator

    def __init__(
        self,
        generator: CoupledGenerator | None = None,
        discriminator: Discriminator | None = None,
        loss: AdversarialLoss | None = None,
        classes: PositiveInt = 10,
        lambda_class: NonNegativeFloat = 10.0,
        lambda_features: NonNegativeFloat = 0.01,
        **base: Any,
    ) -> None:
        super().__init__(generator or CoGANGenerator(), discriminator=discriminator or CoGANDiscriminator(), **base)
        if self.num_classes != 2 or self.discriminator.num_classes != 2:
            raise ValueError(
                "CoGANAdaptation has two domains, source and target: set num_classes of both networks to 2, and the "
                "number of the labels' classes as model.classes"
            )
        self.class_names = ("source", "target")
        self.classifier = nn.Linear(self.discriminator.num_features, classes)
        self.accuracy, self.source_accuracy = (MulticlassAccuracy(classes, average="micro") for _ in range(2))
        self.loss = loss or NonSaturating()
        self.classes, self.lambda_class, self.lambda_features = classes, lambda_class, lambda_features

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players; the classifier learns in the discriminators' turn."""
        return super().players() | {"discriminator": [self.discriminator, self.classifier]}

    def draw_fakes(self, batch: DomainBatch) -> Tensor:
        """Return the images of both domains in turn, (2 N, C, H, W), each z once for both."""
        return self.generator(self.latents(len(batch.source)))

    def judge(self, images: Tensor, **asked: Any) -> DiscriminatorOutput:
        """Return the discriminators' logits (2 N,) and features for images (2 N, C, H, W) of both domains in turn."""
        domains = torch.arange(len(images), device=images.device) % 2
        return self.discriminate(images, domains, **{"with_features": True} | asked)

    def contests(self, batch: DomainBatch, fake: Tensor | None = None) -> Sequence[Contest]:
        """Return the one task: images of source and target in turn, (2 N, C, H, W)."""
        real = torch.stack([batch.source, batch.target], dim=1).flatten(0, 1)
        return [Contest("", real, fake, self.judge, None)]

    def discriminator_loss(self, batch: DomainBatch, fake: Tensor) -> Terms:
        """Play the game; classify the source; give counterparts equal features."""
        (contest,) = self.contests(batch, fake)
        real_output, fake_output = self.judge(contest.real), self.judge(fake)
        ((real_features,),), ((fake_features,),) = real_output.features, fake_output.features
        terms = {"adversarial": self.adversarial_loss(real_output, fake_output)}  # equation 6
        logits = self.classifier(real_features[SOURCE::2]).float()
        terms["class"] = self.lambda_class * F.cross_entropy(logits, batch.source_labels)
        if self.lambda_features:
            distance = (fake_features[SOURCE::2] - fake_features[TARGET::2]).float().square().sum(dim=1)
            terms["features"] = self.lambda_features * distance.mean()
        return terms

    @torch.no_grad()
    def classify(self, images: Tensor, domain: int = TARGET) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] of a domain to class logits, (N, classes)."""
        with evaluating(self.discriminator), torch.autocast(self.device.type, enabled=False):
            return self.classifier(self.discriminator.features(images, self._domain(domain, len(images))))

    def _domain(self, domain: int, count: int) -> Tensor:
        return torch.full((count,), domain, dtype=torch.int64, device=self.device)

    def generate(self, batch: DomainBatch) -> Tensor:
        """Make an image of the target domain for each item."""
        return self.sample(len(batch.target), self._domain(TARGET, len(batch.target)))

    def reference(self, batch: DomainBatch) -> Tensor:
        """Return the images of the target domain."""
        return batch.target

    def validation_step(self, batch: DomainBatch, batch_idx: int) -> Tensor:
        """Measure the accuracy in both domains, and make the images to evaluate."""
        if batch.target_labels is None:
            raise ValueError("accuracy on the target needs its labels: validate on data whose target_labels are served")
        for name, images, labels, domain in (
            ("accuracy", batch.target, batch.target_labels, TARGET),
            ("source_accuracy", batch.source, batch.source_labels, SOURCE),
        ):
            accuracy = getattr(self, name)
            accuracy(self.classify(images, domain), labels)
            self.log(f"{self.stage}/{name}", accuracy, prog_bar=domain == TARGET, on_step=False, on_epoch=True)
        return self.generate(batch)

    test_step = validation_step

    def preview(self, batch: DomainBatch, count: int) -> tuple[Tensor, int]:
        """Return about `count` images from fixed latents: counterparts of both domains side by side, four in a row."""
        z = self.sampler.latents(range(max(1, count // 2)), seed=0)
        domains = torch.arange(2 * len(z), device=self.device) % 2
        return self.render(self.sampler.images(z.repeat_interleave(2, 0), domains)), 8

    def check_batch(self, batch: Any) -> None:
        """Check that the classifier has an output for each label."""
        self.check_kind(batch)
        labels = batch.source_labels
        if labels.min() < 0 or labels.max() >= self.classes:
            raise ValueError(
                f"the data serve labels from {labels.min()} to {labels.max()}, but the classifier knows the classes 0 "
                f"to {self.classes - 1}: set model.classes to the data's number of classes"
            )
        AdversarialModule.check_batch(self, batch)  # not that of FromLatents, whose classes are the labels

    def check_data(self, data: DataDescription) -> None:
        """Check that the classifier has an output for each class of the data."""
        if data.num_classes is not None and data.num_classes > self.classes:
            raise ValueError(
                f"the data have {data.num_classes} classes, and the classifier of {type(self).__name__} knows "
                f"{self.classes}: set model.classes to {data.num_classes}"
            )
