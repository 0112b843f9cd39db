"""Base of models that learn features which are the same in two domains, by an adversary.

The generator's player is a classifier: features, and a labeller on top of them. The discriminator sees features, never
images, and distinguishes the domains. Features that fool it do not contain the domain. The labeller, which learns on
the source alone, therefore works on the target too.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy

from gan_lightning.data.batches import Batch, DomainBatch, first
from gan_lightning.data.description import DataDescription
from gan_lightning.data.images import to_channels
from gan_lightning.inference import evaluating
from gan_lightning.losses import Minimax
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.training.adversarial import AdversarialModule, Player, Terms

SOURCE, TARGET = 0, 1  # the domains, as inputs of a conditional classifier


class DomainFeatures(NamedTuple):
    """Features of both domains' images."""

    source: Tensor  # (N, F)
    target: Tensor  # (N, F)


class DomainInvariance(AdversarialModule):
    """A classifier against a discriminator of domains.

    The generator states `num_features`, `classes` and `num_domains` (0 = the domain is not an input). It has
    `features(images)` or `features(images, domains)`, and `labeller(features)`. The discriminator is called as
    `discriminator(features)` and states `num_features` too.

    Logged: `val/accuracy` on the target, whose labels have no other use, and `val/source_accuracy`, by the averaged
        weights if there are any. `loss/discriminator/domain` is the cross-entropy of the domains, log 2 = 0.69 if they
        are indistinguishable.
    """

    batch_type: ClassVar[type[Batch]] = DomainBatch

    def __init__(self, generator: nn.Module, discriminator: nn.Module, **base: Any) -> None:
        super().__init__(generator, discriminator, **base)
        if generator.num_features != discriminator.num_features:
            raise ValueError(
                f"the generator makes {generator.num_features} features of an image, but the discriminator takes "
                f"{discriminator.num_features}: set the discriminator's num_features to {generator.num_features}"
            )
        self.loss = Minimax()
        classes: int = generator.classes  # type: ignore[assignment]
        self.accuracy = MulticlassAccuracy(classes, average="micro")
        self.source_accuracy = MulticlassAccuracy(classes, average="micro")

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players; the labeller, a part of the generator, is also called and compiled by itself."""
        labeller: Any = self.generator.labeller
        return super().players() | {"generator": [self.generator, labeller]}

    @abstractmethod
    def domain_weight(self) -> float:
        """Return the present weight of the discriminator's cross-entropy in the features' loss."""

    def draw_fakes(self, batch: DomainBatch) -> DomainFeatures:
        """Return the features of both domains."""
        return DomainFeatures(*(self._features(*pair) for pair in ((batch.source, SOURCE), (batch.target, TARGET))))

    def _features(self, images: Tensor, domain: int) -> Tensor:
        conditions = self._conditions(images, domain)
        return self.generator(self.augmentation(images), *conditions, only_features=True)

    def _conditions(self, images: Tensor, domain: int) -> list[Tensor]:
        return [images.new_full((len(images),), domain, dtype=torch.int64)] if self.generator.num_domains else []

    def discriminator_loss(self, batch: DomainBatch, fake: DomainFeatures) -> Terms:
        """Distinguish the source's features from the target's: the mean cross-entropy over both."""
        return {"domain": self.adversarial_loss(*map(DiscriminatorOutput.of, self._verdicts(fake))) / 2}

    def generator_loss(self, batch: DomainBatch, fake: DomainFeatures) -> Terms:
        """Predict the source's labels; keep the discriminator from distinguishing the domains."""
        label = F.cross_entropy(self.generator.labeller(fake.source).float(), batch.source_labels)  # type: ignore[operator]
        domain = self.loss.discriminator(*self._verdicts(fake)) / 2
        return {"label": label, "domain": -self.domain_weight() * domain}

    def _verdicts(self, features: DomainFeatures) -> list[Tensor]:
        return [self.discriminator(part).float() for part in features]

    @torch.no_grad()
    def classify(self, images: Tensor, domain: int = TARGET) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] of a domain to class logits, (N, classes), by averaged weights."""
        with evaluating(self.averaged_generator), torch.autocast(self.device.type, enabled=False):
            return self.averaged_generator(images, *self._conditions(images, domain))

    def validation_step(self, batch: DomainBatch, batch_idx: int) -> None:  # type: ignore[override]
        """Measure the accuracy in both domains."""
        if batch.target_labels is None:
            raise ValueError("accuracy on the target needs its labels: validate on data whose target_labels are served")
        self.accuracy(self.classify(batch.target, TARGET), batch.target_labels)
        self.source_accuracy(self.classify(batch.source, SOURCE), batch.source_labels)
        self.log(f"{self.stage}/accuracy", self.accuracy, prog_bar=True, on_step=False, on_epoch=True)
        self.log(f"{self.stage}/source_accuracy", self.source_accuracy, on_step=False, on_epoch=True)

    test_step = validation_step  # type: ignore[assignment]

    def predict_step(self, batch: DomainBatch, batch_idx: int) -> Tensor:
        """Return the classes of the target's images, int64 (N,)."""
        return self.classify(batch.target).argmax(1)

    def generate(self, batch: DomainBatch) -> NoReturn:
        """Raise a TypeError, since the model makes no images."""
        raise TypeError(
            f"{type(self).__name__} classifies images and makes none: leave out callbacks that use generated images"
        )

    def reference(self, batch: DomainBatch) -> Tensor:
        """Return the target's images."""
        return batch.target

    def preview(self, batch: DomainBatch, count: int) -> tuple[Tensor, int]:
        """Return images of both domains: pairs of source | target, five such pairs side by side."""
        shown = first(batch, count)
        return torch.stack([to_channels(part, 3) for part in (shown.source, shown.target)], 1).flatten(0, 1), 10

    def check_data(self, data: DataDescription) -> None:
        """Check that the labeller has an output for each class of the data."""
        super().check_data(data)
        classes: Any = self.generator.classes
        if data.num_classes is not None and data.num_classes > classes:
            raise ValueError(
                f"the data have {data.num_classes} classes, and the networks of {type(self).__name__} know {classes}: "
                f"set the generator's classes to {data.num_classes}"
            )

    def check_batch(self, batch: Any) -> None:
        """Test classifier and discriminator on two images of each domain."""
        name, classes = type(self).__name__, self.generator.classes
        self.check_kind(batch)
        labels = batch.source_labels
        if labels.min() < 0 or labels.max() >= classes:
            raise ValueError(
                f"the data serve labels from {labels.min()} to {labels.max()}, but the networks know the classes 0 to "
                f"{classes - 1}: set the generator's classes to the data's number of classes"  # type: ignore[operator]
            )
        shapes = " and ".join("x".join(map(str, images.shape[1:])) for images in (batch.source, batch.target))
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False), evaluating(self):
            try:
                self.trial_step(first(batch, 2))
            except (RuntimeError, ValueError) as error:
                raise ValueError(
                    f"the networks of {name} cannot take what the data serve ({shapes}): {error}. Set the networks' "
                    "sizes and channels, and the datamodule's, to match"
                ) from error
