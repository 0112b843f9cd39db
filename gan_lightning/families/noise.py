"""Models that make images from noise: making images, showing progress, checking labels."""

from abc import abstractmethod
from typing import Any

from torch import Tensor

from gan_lightning.data.batches import batch_length, class_labels
from gan_lightning.data.description import DataDescription
from gan_lightning.inference import Sampler
from gan_lightning.layers.fading import at_level
from gan_lightning.training.generative import GenerativeModule


class FromNoise(GenerativeModule):
    """A model that makes images from noise alone, and from class labels if its generator takes any."""

    num_classes: int
    """Number of classes to condition on. 0 = no labels."""

    @property
    @abstractmethod
    def sampler(self) -> Sampler:
        """A sampler with the averaged weights."""

    @property
    def names_of_classes(self) -> tuple[str, ...]:
        """The names of the generator's classes, if they are known."""
        return self.class_names if len(self.class_names) == getattr(self.generator, "num_classes", 0) else ()

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
        """Generate images float32 (n, C, H, W) in [-1, 1] with the averaged weights; see `Sampler.sample`."""
        return self.sampler.sample(n, labels, truncation, seed, first)

    def generate(self, batch: Any) -> Tensor:
        """Make as many images as the batch has, of its classes."""
        return self.sample(batch_length(batch), class_labels(batch) if self.num_classes else None)

    def reference(self, batch: Any) -> Tensor:
        """Return the batch's images; of a growing model, with the details of the size that it has reached."""
        if self.growth is None:
            return batch.images
        return at_level(batch.images, self.growth.behind(self.images_seen), self.growth.alpha(self.images_seen))

    def preview(self, batch: Any, count: int) -> tuple[Tensor, int]:
        """Return `count` samples of a fixed seed; a conditional model shows one class in each column."""
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
