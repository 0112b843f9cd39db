"""What the models of a family share besides the game: how fakes are drawn, images made, and progress shown."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, l1_loss

from gan_lightning.adversarial import AdversarialModule, Player
from gan_lightning.batches import Batch, ImageBatch, PairedBatch, UnpairedBatch, first
from gan_lightning.generative import GenerativeModule
from gan_lightning.image_pool import ImagePool
from gan_lightning.images import to_channels
from gan_lightning.inference import LatentSampler, NormalPrior, Prior, Translator
from gan_lightning.networks.discriminator import DiscriminatorOutput

Direction = Literal["a_to_b", "b_to_a"]


class FromLatents(GenerativeModule):
    """A generator that makes images from latent vectors, and from class labels where it has any.

    The generator states its `latent_dim`, the width of z, and its `num_classes` where it takes labels: it is called as
    `generator(z, labels)` then, and otherwise, where it states none or 0, as `generator(z)`.

    Batch norm uses its running statistics whenever images are made (in previews, evaluation and prediction alike), and
    the statistics of the batch in training only.

    Args:
        generator: the network.
        prior: the distribution of latents. None = the paper's.
        base: the other arguments of the model's base.
    """

    paper_prior: ClassVar[Prior] = NormalPrior()
    """The distribution of latents where none is given."""
    clamps: ClassVar[bool] = False
    """Whether images are limited to [-1, 1], since the paper's generator may leave it."""

    def __init__(self, generator: nn.Module, prior: Prior | None = None, **base: Any) -> None:
        super().__init__(generator, **base)
        self.prior = prior or self.paper_prior
        self.latent_dim: int = self.sampler.latent_dim
        self.num_classes: int = self.sampler.num_classes

    @property
    def sampler(self) -> LatentSampler:
        """Makes images, with the averaged weights."""
        return LatentSampler(self.averaged_generator, self.prior, self.clamps)

    def latents(self, count: int) -> Tensor:
        """Latent vectors (count, latent_dim) from the prior, on this module's device."""
        return self.prior.draw(count, self.latent_dim, self.device)

    def conditions(self, labels: Tensor | None) -> list[Tensor]:
        """What the networks take besides their first argument: the labels of a conditional model, else nothing."""
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
        self._check_classes()
        super().check_batch(batch)

    def _check_classes(self) -> None:
        """The classes of the whole data set, whichever a batch happens to have.

        Raises:
            ValueError: the networks know more of them, or fewer.
        """
        data = None if self._trainer is None else getattr(self.trainer, "datamodule", None)
        classes = getattr(data, "num_classes", None)
        if not self.num_classes or classes is None or classes == self.num_classes:
            return
        fix = f"set num_classes of both networks to {classes}"
        if classes < self.num_classes:
            fix += ", or, where further classes are to have no images (yet), name all of them by the data's class_names"
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

    def draw_fakes(self, batch: ImageBatch) -> Tensor:
        """A fake for each real image, of the same class where the model knows classes."""
        return self.generator(self.latents(len(batch.images)), *self.conditions(batch.labels))

    def verdict(self, batch: ImageBatch, images: Tensor, **asked: Any) -> DiscriminatorOutput:
        """Given the labels of a conditional model."""
        return self.discriminate(images, *self.conditions(batch.labels), **asked)


class Translates(GenerativeModule):
    """A generator that turns images into others."""

    @property
    def translator(self) -> Translator:
        """Makes images, with the averaged weights."""
        return Translator(self.averaged_generator)

    def translate(self, images: Tensor, direction: str | None = None) -> Tensor:
        """Images float (N, C, H, W) in [-1, 1] to others, as a user gets them; see `Translator.translate`."""
        return self.translator.translate(images, direction)


class FromSources(Translates):
    """A generator that turns a source image into the target that it is paired with, with an adversary or without."""

    batch_type: ClassVar[type[Batch]] = PairedBatch

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


class SuperResolution(FromSources):
    """A generator that enlarges its sources, `scale` times as its network says, with an adversary or without.

    Batch norm uses its running statistics whenever images are made, so that an image depends neither on those in its
    batch nor on how it is cut into tiles.
    """

    @property
    def translator(self) -> Translator:
        """From images (N, C, H, W) to (N, C, scale · H, scale · W), limited to [-1, 1]."""
        return Translator(self.averaged_generator, clamp=True)

    def preview(self, batch: PairedBatch, count: int) -> tuple[Tensor, int]:
        """Rows of source | source enlarged by bicubic interpolation | fake | target."""
        shown = first(batch, count)
        bicubic = interpolate(shown.source, shown.target.shape[2:], mode="bicubic", antialias=True).clamp(-1, 1)
        return side_by_side(shown.source, bicubic, self.generate(shown), shown.target), 4


class PairedTranslation(FromSources, AdversarialModule):
    """A generator that turns a source image into the target that it is paired with, against a discriminator."""

    def draw_fakes(self, batch: PairedBatch) -> Tensor:
        """The translated sources."""
        return self.generator(batch.source)


class OneWayTranslation(Translates, AdversarialModule):
    """One generator that turns images of domain A into domain B, with no pairs to learn from; it takes B as well."""

    batch_type: ClassVar[type[Batch]] = UnpairedBatch

    def generate(self, batch: UnpairedBatch) -> Tensor:
        """The images of A as images of B."""
        return self.translate(batch.real_a)

    def reference(self, batch: UnpairedBatch) -> Tensor:
        """The images of B."""
        return batch.real_b

    def preview(self, batch: UnpairedBatch, count: int) -> tuple[Tensor, int]:
        """Rows of real A | fake B | real B | what becomes of that B, which should stay as it is."""
        real_a, real_b = first(batch, count)
        return side_by_side(real_a, self.translate(real_a), real_b, self.translate(real_b)), 4


class UnpairedTranslation(Translates, AdversarialModule):
    """Two generators that turn images of domain A into domain B and back, with no pairs to learn from.

    Args:
        generator: both of them, by the direction in which they go: "a_to_b" and "b_to_a".
        discriminator: those of both domains, "a" and "b".
        evaluated: the direction that is measured (FID, ...) and that `generate` goes.
        base: the other arguments of `AdversarialModule`.

    Logged in evaluations, besides: the cycle errors `val/cycle_a` and `val/cycle_b`, mean absolute differences of the
    images of a domain to the same translated there and back, as a share of the range: 0 to 1.
    """

    batch_type: ClassVar[type[Batch]] = UnpairedBatch
    generator: nn.ModuleDict
    discriminator: nn.ModuleDict

    def __init__(
        self, generator: nn.ModuleDict, discriminator: nn.ModuleDict, evaluated: Direction = "a_to_b", **base: Any
    ) -> None:
        super().__init__(generator, discriminator, **base)
        self.evaluated: Direction = evaluated
        self.pools: dict[str, ImagePool] = {}  # of earlier fakes, for a model whose discriminators learn from them
        self._cycle_errors: list[Tensor] = []  # sums of both, and how many images, of each batch of this evaluation

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """The networks one by one: each is called, and compiled, by itself."""
        return {"discriminator": [*self.discriminator.values()], "generator": [*self.generator.values()]}

    @property
    def translator(self) -> Translator:
        """In both directions, "a_to_b" and "b_to_a"."""
        return Translator(self.averaged_generator)

    def generate(self, batch: UnpairedBatch) -> Tensor:
        """The images of one domain as images of the other, in the direction that is evaluated."""
        return self.translate(batch.real_a if self.evaluated == "a_to_b" else batch.real_b, self.evaluated)

    def reference(self, batch: UnpairedBatch) -> Tensor:
        """The images of the domain that the evaluated direction leads to."""
        return batch.real_b if self.evaluated == "a_to_b" else batch.real_a

    def exchanged(self, pool: ImagePool, images: Tensor) -> Tensor:
        """Fakes (N, C, H, W) given to a pool in training, for as many of the same shape, new and old.

        The pool takes in the fakes of all processes, in the order that one process alone would have made them in. So it
        is the same on each, whatever their number.
        """
        if not self.training:
            return images
        if self._trainer is None or self.trainer.world_size == 1:
            return pool.exchange(images)
        gathered: Any = self.all_gather(images.detach().contiguous())  # (processes, N, C, H, W)
        return pool.exchange(gathered.flatten(0, 1)).view_as(gathered)[self.global_rank]

    def resume_state(self) -> dict[str, Any]:
        """The pools beside the rest."""
        return super().resume_state() | {"pools": {name: pool.state() for name, pool in self.pools.items()}}

    def load_resume_state(self, state: dict[str, Any]) -> None:
        """Take back a `resume_state`."""
        super().load_resume_state(state)
        for name, pool in self.pools.items():
            pool.load_state(state["pools"][name])

    def validation_step(self, batch: UnpairedBatch, batch_idx: int) -> Tensor:
        """The images that are evaluated; all are also translated there and back."""
        fake_b, fake_a = self.translate(batch.real_a, "a_to_b"), self.translate(batch.real_b, "b_to_a")
        rec_a, rec_b = self.translate(fake_b, "b_to_a"), self.translate(fake_a, "a_to_b")
        errors = [l1_loss(rec_a, batch.real_a) / 2, l1_loss(rec_b, batch.real_b) / 2, rec_a.new_ones(())]
        self._cycle_errors.append(len(rec_a) * torch.stack(errors))
        return fake_b if self.evaluated == "a_to_b" else fake_a

    def on_validation_epoch_end(self) -> None:
        """Log the cycle errors; a process that had no batch takes part."""
        super().on_validation_epoch_end()
        total = torch.stack([torch.zeros(3, device=self.device), *self._cycle_errors]).sum(dim=0)
        self._cycle_errors.clear()
        cycle_a, cycle_b, count = self.trainer.strategy.reduce(total, reduce_op="sum")
        stage = "test" if self.trainer.testing else "val"
        self.log_dict({f"{stage}/cycle_a": cycle_a / count, f"{stage}/cycle_b": cycle_b / count}, sync_dist=True)

    test_step = validation_step
    on_test_epoch_end = on_validation_epoch_end

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
