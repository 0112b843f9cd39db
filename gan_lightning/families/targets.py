"""Models that translate images to one of several domains, or switch their attributes."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gan_lightning import private
from gan_lightning.data.batches import Batch, DomainsBatch, ImageBatch, first
from gan_lightning.data.description import DataDescription
from gan_lightning.families.translation import Translates, side_by_side
from gan_lightning.inference import DomainTranslator
from gan_lightning.layers import one_hot
from gan_lightning.training.adversarial import AdversarialModule

Labelled = ImageBatch | DomainsBatch


class DomainTranslation(Translates, AdversarialModule):
    """One generator for several targets, called as `generator(images, code)`, learnt without pairs.

    Evaluations translate each image to the domain after its own (to the first from the last), and compare with the true
    pictures where the data have them, else with all images. Of attributes, they switch the first, on or off.
    `gan_lightning.callbacks.TargetScores` measures each target by itself.

    Args:
        generator: it states its number of domains or attributes, `num_targets`.
        discriminator: it judges images, and may classify them.
        exclusive: None = the targets are domains, by the data's labels. A list = they are attributes; its items are the
            groups of those of which an image has one at most, by the data's names: [[Black_Hair, Blond_Hair]]; [] =
            there are no such groups.
        base: the other arguments of `AdversarialModule`.
    """

    batch_type: ClassVar[type[Batch]] = ImageBatch

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        exclusive: list[list[str]] | None = None,
        **base: Any,
    ) -> None:
        super().__init__(generator, discriminator, **base)
        if not isinstance(getattr(generator, "num_targets", None), int):
            raise ValueError(
                f"{type(generator).__name__} does not state its num_targets: choose a generator that takes a target, "
                "such as StarGANGenerator"
            )
        self.num_targets: int = generator.num_targets  # type: ignore[assignment]
        self.exclusive = exclusive

    def classifier(self) -> nn.Module | None:
        """Return the network that tells the attributes of an image. None = there is none."""
        return None

    @property
    def translator(self) -> DomainTranslator:
        """A translator to each target, by the names of the data's domains or attributes, or else by numbers."""
        known = len(self.class_names) == self.num_targets
        names = self.class_names if known else tuple(map(str, range(self.num_targets)))
        if self.exclusive is None:
            return DomainTranslator(self.averaged_generator, names)
        return DomainTranslator(self.averaged_generator, names, self.exclusive if known else (), self.classifier())

    def code_of(self, batch: Labelled) -> Tensor:
        """Return the codes of a batch's images, float (N, K): one-hot domains, or attributes."""
        assert batch.labels is not None  # `check_batch` has checked it
        return one_hot(batch.labels, self.num_targets) if self.exclusive is None else batch.labels.float()

    def shuffled(self, code: Tensor) -> Tensor:
        """Return the codes in another order: in training, of all processes' images; each process gets its part."""
        if not self.training or private.trainer_of(self) is None or self.trainer.world_size == 1:
            return code[torch.randperm(len(code)).to(code.device)]
        gathered: Any = self.all_gather(code)  # (processes, N, K)
        order = torch.randperm(gathered.shape[0] * gathered.shape[1]).to(code.device)
        return gathered.flatten(0, 1)[order].view_as(gathered)[self.global_rank]

    def evaluated_code(self, batch: Labelled) -> Tensor:
        """Return the code of the next domain, or the attributes with the first one switched, float (N, K)."""
        code = self.code_of(batch)
        if self.exclusive is None:
            return code.roll(1, dims=1)
        translator = self.translator
        return translator.code_to(translator.targets[0], code)

    def generate(self, batch: Labelled) -> Tensor:
        """Translate each image to the next domain, or switch its first attribute."""
        return self.translator.apply(batch.images, self.evaluated_code(batch))

    def reference(self, batch: Labelled) -> Tensor:
        """Return the true pictures in the next domain where the batch has them, else its images."""
        truths = getattr(batch, "truths", None)
        if truths is None:
            return batch.images
        following = self.evaluated_code(batch).argmax(dim=1)
        return truths[torch.arange(len(truths), device=truths.device), :, following]

    def preview(self, batch: Labelled, count: int) -> tuple[Tensor, int]:
        """Return rows of source | to each domain, or with each attribute switched."""
        shown = first(batch, count)
        translator, code = self.translator, self.code_of(shown)
        made = [translator.apply(shown.images, translator.code_to(name, code)) for name in translator.targets]
        return side_by_side(*map(self.render, (shown.images, *made))), 1 + self.num_targets

    def check_kind(self, batch: Any) -> None:
        """Check that a batch has images with labels or attributes; it may also have true pictures."""
        plain = ImageBatch(batch.images, batch.labels) if isinstance(batch, DomainsBatch) else batch
        super().check_kind(plain)

    def check_batch(self, batch: Any) -> None:
        """Check that the labels or attributes fit the networks."""
        self.check_kind(batch)
        name, labels, are_attributes = type(self).__name__, batch.labels, self.exclusive is not None
        fix = "set num_targets of both networks to the data's number of domains or attributes"
        if labels is None:
            raise ValueError(
                f"{name} needs the domain or the attributes of each image, but the data serve none: choose "
                "datamodules.DomainsFolder, AttributesFolder, or another with labels"
            )
        if labels.is_floating_point() != are_attributes:
            learnt, served, setting = (
                ("attributes", "domains", "null") if are_attributes else ("domains", "attributes", "[]")
            )
            raise ValueError(
                f"{name} is to learn {learnt}, but the data serve {served}: set model.exclusive to {setting}"
            )
        if are_attributes and labels.shape[1] != self.num_targets:
            raise ValueError(
                f"the data serve {labels.shape[1]} attributes, and the networks of {name} have {self.num_targets} "
                f"targets: {fix}"
            )
        if not are_attributes and not 0 <= labels.min() <= labels.max() < self.num_targets:
            raise ValueError(
                f"the data serve domains from {labels.min()} to {labels.max()}, and the networks of {name} know the "
                f"domains 0 to {self.num_targets - 1}: {fix}"
            )
        super().check_batch(batch)

    def check_data(self, data: DataDescription) -> None:
        """Check that the networks have as many targets as the data have domains, and that groups name attributes."""
        super().check_data(data)
        if data.num_classes is not None and data.num_classes != self.num_targets:
            raise ValueError(
                f"the data have {data.num_classes} domains, and the networks of {type(self).__name__} have "
                f"{self.num_targets} targets: set num_targets of both networks to {data.num_classes}"
            )
        names = data.class_names or self.class_names
        if strange := [name for group in self.exclusive or () for name in group if name not in names]:
            raise ValueError(
                f"model.exclusive names {', '.join(strange)}, and the data's attributes are "
                f"{', '.join(names) or 'not named'}: name some of them"
            )
