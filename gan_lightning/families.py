"""What the models of a family share besides the game: how fakes are drawn, images made, and progress shown."""

from abc import abstractmethod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_lightning.adversarial import AdversarialModule
from gan_lightning.batches import Batch, ImageBatch, PairedBatch, UnpairedBatch, first
from gan_lightning.generative import GenerativeModule, evaluating
from gan_lightning.images import to_channels

Direction = Literal["a_to_b", "b_to_a"]


class FromLatents(GenerativeModule):
    """A generator that makes images from latent vectors, and from class labels where it has any.

    The generator states its `latent_dim` and its `num_classes` (0 = it takes no labels), and is called as
    `generator(z)` or `generator(z, labels)`.

    Batch norm uses its running statistics whenever images are made (in previews, evaluation and prediction alike), and
    the statistics of the batch in training only.
    """

    def __init__(self, generator: nn.Module, **base: Any) -> None:
        super().__init__(generator, **base)
        for name in ("latent_dim", "num_classes"):
            if not isinstance(getattr(generator, name, None), int):
                raise TypeError(
                    f"the generator {type(generator).__name__} does not say its {name}: give it an int attribute of "
                    "this name (num_classes = 0 for a generator without labels)"
                )
        self.latent_dim: int = generator.latent_dim  # type: ignore[assignment]
        self.num_classes: int = generator.num_classes  # type: ignore[assignment]

    def latents(self, count: int, truncation: float | None = None, generator: torch.Generator | None = None) -> Tensor:
        """`count` latent vectors (count, latent_dim) from the prior, a standard normal.

        Args:
            count: how many.
            truncation: largest magnitude of a component; larger ones are redrawn (Brock et al. 2018). None = none.
            generator: the random number generator to draw from, on this module's device. None = the global one.
        """
        z = torch.empty(count, self.latent_dim, device=self.device)
        if truncation is None:
            return z.normal_(generator=generator)
        return nn.init.trunc_normal_(z, a=-truncation, b=truncation, generator=generator)

    def conditions(self, labels: Tensor | None) -> list[Tensor]:
        """What the networks take besides their first argument: the labels of a conditional model, else nothing."""
        return [] if self.num_classes == 0 or labels is None else [labels]

    def sample(
        self, n: int, labels: Tensor | None = None, truncation: float | None = None, seed: int | None = None
    ) -> Tensor:
        """Generate images with the averaged weights.

        Args:
            n: how many.
            labels: class of each, int64 (n,), for a conditional model. None = it goes through its classes in turn.
            truncation: see `latents`.
            seed: the same seed gives the same images. None = the global random state.

        Returns:
            float32 (n, C, H, W) in [-1, 1].
        """
        if labels is not None and not self.num_classes:
            raise ValueError("this model takes no labels: its networks have num_classes: 0")
        random = None if seed is None else torch.Generator(self.device).manual_seed(seed)
        if self.num_classes and labels is None:
            labels = torch.arange(n, device=self.device) % self.num_classes
        return self.images_of(self.latents(n, truncation, random), labels)

    @torch.no_grad()
    def images_of(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_dim), and labels of a conditional model, to float32 images (N, C, H, W) in [-1, 1]."""
        with evaluating(self.averaged_generator), torch.autocast(self.device.type, enabled=False):
            return self.averaged_generator(z, *self.conditions(labels))

    def generate(self, batch: ImageBatch) -> Tensor:
        """As many images as the batch has, of its classes."""
        return self.sample(len(batch.images), batch.labels if self.num_classes else None)

    def reference(self, batch: ImageBatch) -> Tensor:
        """The batch's images."""
        return batch.images

    def preview(self, batch: ImageBatch, count: int) -> tuple[Tensor, int]:
        """`count` samples from fixed latents; a conditional model shows a class a column."""
        return self.sample(count, seed=0), self.num_classes or round(count**0.5)

    def check_batch(self, batch: Any) -> None:
        """Also: a conditional model needs labels below its number of classes."""
        if isinstance(batch, ImageBatch) and self.num_classes:
            if batch.labels is None or batch.labels.ndim != 1:
                served = "none" if batch.labels is None else f"attributes of shape {tuple(batch.labels.shape[1:])}"
                raise ValueError(
                    f"{type(self).__name__} needs a class label for each image, but the data serve {served}: choose "
                    "labelled data, or a generator with num_classes: 0"
                )
            if batch.labels.min() < 0 or batch.labels.max() >= self.num_classes:
                raise ValueError(
                    f"the data serve labels from {batch.labels.min()} to {batch.labels.max()}, but the networks know "
                    f"the classes 0 to {self.num_classes - 1}: set num_classes of both networks to the data's number "
                    "of classes"
                )
        super().check_batch(batch)


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

    def draw_fakes(self, batch: ImageBatch) -> Tensor:
        """A fake for each real image, of the same class where the model knows classes."""
        return self.generator(self.latents(len(batch.images)), *self.conditions(batch.labels))


class FromSources(GenerativeModule):
    """A generator that turns a source image into the target that it is paired with, with an adversary or without."""

    batch_type: ClassVar[type[Batch]] = PairedBatch

    @abstractmethod
    def translate(self, images: Tensor) -> Tensor:
        """Source images float (N, C_source, H, W) in [-1, 1] to targets float (N, C_target, H', W') in [-1, 1]."""

    def generate(self, batch: PairedBatch) -> Tensor:
        """The translated sources, as a user gets them."""
        return self.translate(batch.source)

    def reference(self, batch: PairedBatch) -> Tensor:
        """The true targets."""
        return batch.target

    def preview(self, batch: PairedBatch, count: int) -> tuple[Tensor, int]:
        """Rows of source | fake | target, three such rows' worth side by side."""
        shown = first(batch, count)
        return side_by_side(shown.source, self.generate(shown), shown.target), 3


class PairedTranslation(FromSources, AdversarialModule):
    """A generator that turns a source image into the target that it is paired with, against a discriminator."""

    def draw_fakes(self, batch: PairedBatch) -> Tensor:
        """The translated sources."""
        return self.generator(batch.source)


class UnpairedTranslation(AdversarialModule):
    """Two generators that turn images of domain A into domain B and back, with no pairs to learn from."""

    batch_type: ClassVar[type[Batch]] = UnpairedBatch

    @abstractmethod
    def translate(self, images: Tensor, direction: Direction = "a_to_b") -> Tensor:
        """Images float (N, C, H, W) in [-1, 1] of one domain to the other; `direction` is "a_to_b" or "b_to_a"."""

    def generate(self, batch: UnpairedBatch) -> Tensor:
        """The images of A as images of B: the direction that is evaluated."""
        return self.translate(batch.real_a, "a_to_b")

    def reference(self, batch: UnpairedBatch) -> Tensor:
        """The images of B."""
        return batch.real_b

    def preview(self, batch: UnpairedBatch, count: int) -> tuple[Tensor, int]:
        """Rows of real A | fake B | reconstructed A | real B | fake A | reconstructed B."""
        shown = first(batch, count)
        fake_b, fake_a = self.translate(shown.real_a, "a_to_b"), self.translate(shown.real_b, "b_to_a")
        rec_a, rec_b = self.translate(fake_b, "b_to_a"), self.translate(fake_a, "a_to_b")
        return side_by_side(shown.real_a, fake_b, rec_a, shown.real_b, fake_a, rec_b), 6


def side_by_side(*columns: Tensor) -> Tensor:
    """Columns of N images each as one batch in reading order, all in RGB, whatever their channels.

    Smaller images are enlarged to the size of the last column, each pixel to a square.
    """
    size = columns[-1].shape[2:]
    columns = tuple(c if c.shape[2:] == size else interpolate(c, size, mode="nearest") for c in columns)
    return torch.stack([to_channels(column, 3) for column in columns], dim=1).flatten(0, 1)
