"""Models that make images from latents: drawing fakes, making images, showing progress."""

from typing import Any, ClassVar

from torch import Tensor, nn

from gan_lightning.data.batches import ImageBatch, batch_length, class_labels
from gan_lightning.data.description import DataDescription
from gan_lightning.inference import LatentSampler, NormalPrior, Prior
from gan_lightning.layers.fading import at_level
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.training.adversarial import AdversarialModule
from gan_lightning.training.generative import GenerativeModule


class FromLatents(GenerativeModule):
    """A generator that makes images from latent vectors, and from class labels if it takes any.

    The generator states its `latent_dim`, the width of z, and its `num_classes` if it takes labels. It is called as
    `generator(z, labels)` then, and otherwise (none stated, or 0) as `generator(z)`.

    Batch norm uses its running statistics whenever images are made (in previews, evaluation and prediction), and the
    statistics of the batch only in training.

    Args:
        generator: the network.
        prior: the distribution of latents. None = the paper's.
        base: the other arguments of the model's base.
    """

    paper_prior: ClassVar[Prior] = NormalPrior()
    """The distribution of latents if none is given."""
    clamps: ClassVar[bool] = False
    """Whether images are limited to [-1, 1], since the paper's generator may exceed this range."""

    def __init__(self, generator: nn.Module, prior: Prior | None = None, **base: Any) -> None:
        super().__init__(generator, **base)
        self.prior = prior or self.paper_prior
        self.latent_dim: int = self.sampler.latent_dim
        self.num_classes: int = self.sampler.num_classes

    @property
    def sampler(self) -> LatentSampler:
        """A sampler with the averaged weights."""
        names = self.class_names if len(self.class_names) == getattr(self.generator, "num_classes", 0) else ()
        return LatentSampler(self.averaged_generator, self.prior, self.clamps, names)

    def latents(self, count: int) -> Tensor:
        """Draw latent vectors (count, latent_dim) from the prior, on this module's device."""
        return self.prior.draw(count, self.latent_dim, self.device)

    def draw_styles(self, batch: Any, count: int) -> Tensor:
        """Draw styles w (count, ...) of a generator that has some, for classes of the batch if it has classes."""
        styles: Any = self.generator.styles if hasattr(self.generator, "num_styles") else self.generator.mapping
        # of items at equal distances, so that the parts of a batch on several processes give those of the whole batch
        some = [labels[:: len(labels) // count][:count] for labels in self.conditions(class_labels(batch))]
        return styles(self.latents(count), *some)

    def conditions(self, labels: Tensor | None) -> list[Tensor]:
        """Return the networks' further arguments: the labels of a conditional model, else none."""
        return [] if self.num_classes == 0 or labels is None else [labels]

    def sample(
        self,
        n: int,
        labels: Tensor | None = None,
        truncation: float | None = None,
        seed: int | None = None,
        first: int = 0,
    ) -> Tensor:
        """Generate images float32 (n, C, H, W) in [-1, 1] with the averaged weights; see `LatentSampler.sample`."""
        return self.sampler.sample(n, labels, truncation, seed, first)

    def generate(self, batch: Any) -> Tensor:
        """Make as many images as the batch has, of its classes."""
        return self.sample(batch_length(batch), class_labels(batch) if self.num_classes else None)

    def reference(self, batch: ImageBatch) -> Tensor:
        """Return the batch's images; of a growing model, with the details of the size that it has reached."""
        if self.growth is None:
            return batch.images
        return at_level(batch.images, self.growth.behind(self.images_seen), self.growth.alpha(self.images_seen))

    def preview(self, batch: ImageBatch, count: int) -> tuple[Tensor, int]:
        """Return `count` samples from fixed latents; a conditional model shows one class in each column."""
        return self.render(self.sample(count, seed=0)), self.num_classes or round(count**0.5)

    def check_batch(self, batch: Any) -> None:
        """Check that a conditional model gets labels below its number of classes."""
        self.check_kind(batch)
        if self.num_classes:
            labels = class_labels(batch)
            if labels is None:
                given = getattr(batch, "labels", None)
                served = "none" if given is None else f"attributes of shape {tuple(given.shape[1:])}"
                raise ValueError(
                    f"{type(self).__name__} needs a class label for each image, but the data serve {served}: choose "
                    "labelled data, or a generator with num_classes: 0"
                )
            if labels.min() < 0 or labels.max() >= self.num_classes:
                raise ValueError(
                    f"the data serve labels from {labels.min()} to {labels.max()}, but the networks know the classes "
                    f"0 to {self.num_classes - 1}: set num_classes of both networks to the data's number of classes"
                )
        super().check_batch(batch)

    def check_data(self, data: DataDescription) -> None:
        """Check that a conditional model has exactly the classes of the data, since evaluation uses all its classes."""
        super().check_data(data)
        classes = data.num_classes
        if not self.num_classes or classes is None or classes == self.num_classes:
            return
        fix = f"set num_classes of both networks to {classes}"
        if classes < self.num_classes:
            fix += ", or, if further classes are to have no images (yet), name all of them by the data's class_names"
        raise ValueError(
            f"the data have {classes} classes, and the networks of {type(self).__name__} know {self.num_classes}: {fix}"
        )


class NoiseToImage(FromLatents, AdversarialModule):
    """A generator of images from latents, against a discriminator.

    The discriminator is called as `discriminator(images)` or `discriminator(images, labels)`.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, **base: Any) -> None:
        super().__init__(generator, discriminator=discriminator, **base)
        judged = getattr(discriminator, "num_classes", self.num_classes)
        if judged != self.num_classes:
            raise ValueError(
                f"the generator knows {self.num_classes} classes and the discriminator {judged}: set num_classes "
                "of both to the same (0 = no labels)"
            )

    def draw_fakes(self, batch: Any) -> Tensor:
        """Make a fake for each real image, of the same class if the model has classes."""
        return self.generator(self.latents(batch_length(batch)), *self.conditions(class_labels(batch)))

    def verdict(self, batch: Any, images: Tensor, **asked: Any) -> DiscriminatorOutput:
        """Return the discriminator's output, given the labels of a conditional model."""
        return self.discriminate(images, *self.conditions(class_labels(batch)), **asked)

    def eager_logits(self, batch: Any, images: Tensor) -> Tensor:
        """Return logits of augmented images, given the labels of a conditional model, for penalties on gradients.

        They never pass a compiled module, which is not differentiable twice.
        """
        output = self.discriminator.forward(self.augmentation(images), *self.conditions(class_labels(batch)))
        return DiscriminatorOutput.of(output).logits[0]
