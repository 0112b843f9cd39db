"""Models that translate images: paired and unpaired translation, super-resolution."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, l1_loss
from typing_extensions import override

from gan_lightning import private
from gan_lightning.data.batches import Batch, PairedBatch, UnpairedBatch, first, grids
from gan_lightning.data.images import to_channels
from gan_lightning.inference import Choice, StyleTranslator, Translator
from gan_lightning.regularizers import Contest
from gan_lightning.training.adversarial import AdversarialModule
from gan_lightning.training.generative import GenerativeModule
from gan_lightning.training.image_pool import ImagePool

Direction = Literal["a_to_b", "b_to_a"]
STYLES = 3  # number of drawn styles that a preview shows of a source


class Translates(GenerativeModule):
    """A generator that translates images."""

    @property
    def translator(self) -> Translator:
        """A translator with the averaged weights."""
        return Translator(self.averaged_generator)

    def translate(self, images: Tensor, direction: str | None = None, choice: Choice | None = None) -> Tensor:
        """Translate images float (N, C, H, W) in [-1, 1], as a user gets them; see `Translator.translate`."""
        return self.translator.translate(images, direction, choice)

    def sources(self, batch: Any) -> tuple[Tensor, str | None]:
        """Return the images of a batch that `generate` translates, and the direction (None = the first)."""
        return next(iter(grids(batch).values())), None

    @override
    def variations(self, batch: Any, count: int) -> Tensor | None:
        images, direction = self.sources(batch)
        translator = self.translator
        if not translator.style_dim or not getattr(translator.network(direction), "style_dim", 0):
            return None
        return torch.stack(self.in_styles(images, direction, count), dim=1)

    def in_styles(self, images: Tensor, direction: str | None, count: int) -> list[Tensor]:
        """Translate images (N, C, H, W) in the styles of the seeds 0 to count - 1: a tensor for each seed."""
        return [self.translate(images, direction, Choice(style_seed=seed)) for seed in range(count)]


class FromSources(Translates):
    """A generator that translates a source image to its paired target, with an adversary or without."""

    batch_type: ClassVar[type[Batch]] = PairedBatch

    def generate(self, batch: PairedBatch) -> Tensor:
        """Return the translated sources, as a user gets them."""
        return self.translate(batch.source)

    def reference(self, batch: PairedBatch) -> Tensor:
        """Return the true targets."""
        return batch.target

    def preview(self, batch: PairedBatch, count: int) -> tuple[Tensor, int]:
        """Return rows of source | fake | target."""
        shown = first(batch, count)
        return side_by_side(shown.source, *map(self.render, (self.generate(shown), self.reference(shown)))), 3


class SuperResolution(FromSources):
    """A generator that enlarges its sources by the `scale` of its network, with an adversary or without.

    Batch norm uses its running statistics whenever images are made. An image then depends neither on the others in its
    batch nor on the tiles that it is cut into.
    """

    @property
    def translator(self) -> Translator:
        """A translator of images (N, C, H, W) to (N, C, scale · H, scale · W), limited to [-1, 1]."""
        return Translator(self.averaged_generator, clamp=True)

    def preview(self, batch: PairedBatch, count: int) -> tuple[Tensor, int]:
        """Return rows of source | source enlarged by bicubic interpolation | fake | target."""
        shown = first(batch, count)
        bicubic = interpolate(shown.source, shown.target.shape[2:], mode="bicubic", antialias=True).clamp(-1, 1)
        return side_by_side(shown.source, bicubic, *map(self.render, (self.generate(shown), self.reference(shown)))), 4


class PairedTranslation(FromSources, AdversarialModule):
    """A generator that translates a source image to its paired target, against a discriminator."""

    def origins(self, batch: PairedBatch) -> Tensor:
        """Return the sources."""
        return batch.source

    def draw_fakes(self, batch: PairedBatch) -> Tensor:
        """Return the translated sources."""
        return self.generator(batch.source)


class StyledPairedTranslation(FromSources, AdversarialModule):
    """A generator that translates a source to many targets, by a style, learnt from pairs against discriminators.

    Its network is called with images and styles, and has `encode_style` (see `StyleTranslator`).
    """

    @property
    def translator(self) -> StyleTranslator:
        """A translator with the averaged weights, and a choice of the style."""
        return StyleTranslator(self.averaged_generator)

    def preview(self, batch: PairedBatch, count: int) -> tuple[Tensor, int]:
        """Return rows of source | fakes in drawn styles | fake in the target's style | target."""
        shown = first(batch, count)
        translator, drawn = self.translator, self.variations(shown, STYLES)
        assert drawn is not None
        alike = translator.apply(shown.source, translator.encode(shown.target))
        columns = *drawn.unbind(1), alike, self.reference(shown)
        return side_by_side(shown.source, *map(self.render, columns)), STYLES + 3


class Unpaired(Translates, AdversarialModule):
    """Translation that is learnt from unrelated images of two domains, whose discriminators may use pools of fakes."""

    batch_type: ClassVar[type[Batch]] = UnpairedBatch

    def exchanged(self, pool: ImagePool, images: Tensor) -> Tensor:
        """Exchange fakes (N, C, H, W) with a pool, in training, for images of the same shape, new and old.

        The pool takes the fakes of all processes, in the order in which a single process would have made them. It is
        therefore the same on each process, for any number of processes.
        """
        if not self.training:
            return images
        if private.trainer_of(self) is None or self.trainer.world_size == 1:
            return pool.exchange(images)
        gathered: Any = self.all_gather(images.detach().contiguous())  # (processes, N, C, H, W)
        return pool.exchange(gathered.flatten(0, 1)).view_as(gathered)[self.global_rank]


class OneWayTranslation(Unpaired):
    """One generator that translates images of domain A to domain B, learnt without pairs; it also takes images of B."""

    def origins(self, batch: UnpairedBatch) -> Tensor:
        """Return the images of A."""
        return batch.real_a

    def generate(self, batch: UnpairedBatch) -> Tensor:
        """Return the images of A translated to B."""
        return self.translate(batch.real_a)

    def reference(self, batch: UnpairedBatch) -> Tensor:
        """Return the images of B."""
        return batch.real_b

    def preview(self, batch: UnpairedBatch, count: int) -> tuple[Tensor, int]:
        """Return rows of real A | fake B | real B | the generator's output for real B, which should be the same."""
        shown = first(batch, count)
        columns = shown.real_a, self.translate(shown.real_a), shown.real_b, self.translate(shown.real_b)
        return side_by_side(*map(self.render, columns)), 4


class Exchanged(NamedTuple):
    """The images that two generators make from a batch of two domains, (N, C, H, W) each."""

    fake_b: Tensor  # of the images of A
    fake_a: Tensor  # of the images of B


class UnpairedTranslation(Unpaired):
    """Two generators that translate images of domain A to domain B and back, learnt without pairs.

    Args:
        generator: both generators, by their directions "a_to_b" and "b_to_a".
        discriminator: the discriminators of both domains, "a" and "b".
        evaluated: the direction of evaluations (FID, ...) and of `generate`.
        base: the other arguments of `AdversarialModule`.

    Evaluations also log the cycle errors `val/cycle_a` and `val/cycle_b`: the mean absolute difference between the
    images of a domain and the same images translated there and back, as a share of the range: 0 to 1.
    """

    generator: nn.ModuleDict
    discriminator: nn.ModuleDict
    measured: tuple[str, ...] = ("cycle_a", "cycle_b")

    def __init__(
        self, generator: nn.ModuleDict, discriminator: nn.ModuleDict, evaluated: Direction = "a_to_b", **base: Any
    ) -> None:
        super().__init__(generator, discriminator, **base)
        self.evaluated: Direction = evaluated
        self.pools: dict[str, ImagePool] = {}  # pools of earlier fakes, if the discriminators use them

    @property
    def translator(self) -> Translator:
        """A translator in both directions, "a_to_b" and "b_to_a"."""
        return Translator(self.averaged_generator)

    def there(self, batch: UnpairedBatch, direction: Direction) -> Tensor:
        """Translate the images of one domain to the other, as a user gets them."""
        return self.translate(batch.real_a if direction == "a_to_b" else batch.real_b, direction)

    def generate(self, batch: UnpairedBatch) -> Tensor:
        """Translate the images of one domain to the other, in the evaluated direction."""
        return self.there(batch, self.evaluated)

    def reference(self, batch: UnpairedBatch) -> Tensor:
        """Return the images of the domain that the evaluated direction leads to."""
        return batch.real_b if self.evaluated == "a_to_b" else batch.real_a

    @override
    def sources(self, batch: UnpairedBatch) -> tuple[Tensor, str | None]:
        return batch.real_a if self.evaluated == "a_to_b" else batch.real_b, self.evaluated

    def contests(self, batch: UnpairedBatch, fake: Any = None) -> Sequence[Contest]:
        """Return the tasks of both discriminators; fakes have the fields `fake_a` and `fake_b`."""
        real = {"a": batch.real_a, "b": batch.real_b}
        return [
            Contest(
                domain,
                real[domain],
                None if fake is None else getattr(fake, f"fake_{domain}"),
                partial(self.discriminate, by=self.discriminator[domain]),
                real[other],
            )
            for domain, other in (("a", "b"), ("b", "a"))
        ]

    def cycles(self, batch: UnpairedBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return images of A translated to B and those of B to A, and both translated back, without random draws."""
        fake_b, fake_a = self.there(batch, "a_to_b"), self.there(batch, "b_to_a")
        return fake_b, fake_a, self.translate(fake_b, "b_to_a"), self.translate(fake_a, "a_to_b")

    def validation_step(self, batch: UnpairedBatch, batch_idx: int) -> Tensor:
        """Return the images to evaluate; translate all images there and back for the cycle errors."""
        fake_b, fake_a, rec_a, rec_b = self.cycles(batch)
        self.measure_cycles(batch, rec_a, rec_b)
        return fake_b if self.evaluated == "a_to_b" else fake_a

    def measure_cycles(self, batch: UnpairedBatch, rec_a: Tensor, rec_b: Tensor) -> None:
        """Add the cycle errors of a batch, given its reconstructions, to those of this evaluation."""
        self.measure("cycle_a", l1_loss(rec_a, batch.real_a) / 2, len(rec_a))
        self.measure("cycle_b", l1_loss(rec_b, batch.real_b) / 2, len(rec_b))

    test_step = validation_step

    def preview(self, batch: UnpairedBatch, count: int) -> tuple[Tensor, int]:
        """Return rows of real A | fake B | reconstructed A | real B | fake A | reconstructed B."""
        shown = first(batch, count)
        fake_b, fake_a, rec_a, rec_b = self.cycles(shown)
        columns = shown.real_a, fake_b, rec_a, shown.real_b, fake_a, rec_b
        return side_by_side(*map(self.render, columns)), 6


class StyledUnpairedTranslation(UnpairedTranslation):
    """Two generators that translate images between domains, each to many by a style, learnt without pairs.

    Their networks are called with images and styles, and have `encode_style` (see `StyleTranslator`). For the cycle
    errors, each image is translated in the style of the other domain's image beside it, and back in its own.
    """

    @property
    def translator(self) -> StyleTranslator:
        """A translator in both directions, "a_to_b" and "b_to_a", with a choice of the style."""
        return StyleTranslator(self.averaged_generator)

    @override
    def cycles(self, batch: UnpairedBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        translator = self.translator
        style_a, style_b = translator.encode(batch.real_a, "b_to_a"), translator.encode(batch.real_b, "a_to_b")
        fake_b = translator.apply(batch.real_a, style_b, "a_to_b")
        fake_a = translator.apply(batch.real_b, style_a, "b_to_a")
        rec_a, rec_b = translator.apply(fake_b, style_a, "b_to_a"), translator.apply(fake_a, style_b, "a_to_b")
        return fake_b, fake_a, rec_a, rec_b

    def validation_step(self, batch: UnpairedBatch, batch_idx: int) -> Tensor:
        """Return the images to evaluate, in drawn styles; translate all images there and back for the cycle errors."""
        super().validation_step(batch, batch_idx)
        return self.generate(batch)

    test_step = validation_step

    def preview(self, batch: UnpairedBatch, count: int) -> tuple[Tensor, int]:
        """Return rows of real A | fakes B in drawn styles | fake B in this B's style | real B | and so on to A."""
        real_a, real_b = first(batch, count)
        fake_b, fake_a, _, _ = self.cycles(UnpairedBatch(real_a, real_b))
        columns: list[Tensor] = []
        for source, alike, direction in ((real_a, fake_b, "a_to_b"), (real_b, fake_a, "b_to_a")):
            columns += [source, *self.in_styles(source, direction, STYLES), alike]
        return side_by_side(*map(self.render, columns)), len(columns)


def check_parts(model: str, networks: Iterable[nn.Module], *names: str) -> None:
    """Raise TypeError unless networks have all of these attributes, which a model named `model` uses."""
    for network in networks:
        if missing := [name for name in names if not hasattr(network, name)]:
            raise TypeError(
                f"{model} uses {', '.join(names)} of its generators, and {type(network).__name__} has no "
                f"{' and no '.join(missing)}: leave the generators to the default, or choose {model}Generator"
            )


def side_by_side(*columns: Tensor) -> Tensor:
    """Join columns of N images each to one batch in reading order, in RGB, from any number of channels.

    Smaller images are enlarged to the size of the last column, each pixel to a square.
    """
    size = columns[-1].shape[2:]
    columns = tuple(c if c.shape[2:] == size else interpolate(c, size, mode="nearest") for c in columns)
    return torch.stack([to_channels(column, 3) for column in columns], dim=1).flatten(0, 1)
