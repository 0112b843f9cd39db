"""Images from the latents of a trained generator."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import groupby
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from gan_lightning.data.batches import Role
from gan_lightning.data.forms import FORMS, Form
from gan_lightning.draws import ImageDraws
from gan_lightning.inference.modes import evaluating
from gan_lightning.inference.priors import NormalPrior, Prior
from gan_lightning.recording import Recorded

Space = Literal["z", "w"]
Kind = Literal["class", "text"]
"""Of the conditions that images are made of: classes are given by the data, texts are chosen by the user."""
_NOISE = 1  # the stream of a generator's own noise


class ImageName(NamedTuple):
    """The name of a picture that a model makes: image `number` of `seed`. It is the same picture in every command."""

    seed: int
    number: int = 0

    def __str__(self) -> str:
        return f"{self.seed}:{self.number}" if self.number else f"{self.seed}"


class Sampler(ABC):
    """A source of numbered images: image k of a seed does not depend on the images that are made with it."""

    network: Any
    """The network that makes the images."""
    num_classes: int = 0
    """Number of classes that images can be requested of by label. 0 = labels are refused."""
    class_names: Sequence[str] = ()
    """Names of the classes in the order of their numbers. Empty = they are not known."""
    kind: Kind = "class"
    """Kind of the numbered conditions. Of "text", each number is a sentence, its name; `with_texts` takes others."""

    def with_texts(self, sentences: Sequence[str]) -> "Sampler":
        """Return a sampler whose numbered conditions are these sentences, in their order.

        Raises:
            ValueError: the model makes images of no text, or knows no word of a sentence.
        """
        raise ValueError("this model makes images of no text: leave the text out, or name a text-to-image model")

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """The networks that an export holds, by their names in it."""
        return {"generator": self.network}

    @property
    def makes(self) -> Role:
        """The kind of its outputs, which is images unless the network states another kind by its `makes`.

        All that is said of images here holds for outputs of any kind: voxels are float (n, C, D, H, W).
        """
        return getattr(self.network, "makes", Role.IMAGE)

    @property
    def form(self) -> Form:
        """How its outputs become pictures and files."""
        return FORMS[self.makes]

    def render(self, outputs: Tensor) -> Tensor:
        """Convert outputs to pictures float (n, C, H, W) in [-1, 1]; images are pictures already. Differentiable."""
        return self.form.render(outputs)

    @abstractmethod
    def sample(
        self,
        n: int,
        labels: Tensor | None = None,
        truncation: float | None = None,
        seed: int | None = None,
        first: int = 0,
    ) -> Tensor:
        """Make images, without gradient.

        Args:
            n: number of images.
            labels: class of each image, int64 (n,), for a conditional generator. None = its classes in turn.
            truncation: see `Prior.draw`.
            seed: image k of a seed is the same for any `n`, batch size and device, up to the rounding of sums. None =
                draw from the global random state.
            first: number of the first image, if there is a seed.

        Returns:
            float32 (n, C, H, W) in [-1, 1], or outputs of the kind that it `makes`.

        Raises:
            ValueError: labels are given to a generator without classes, or lie outside its classes.
        """

    def make(self, names: Sequence[ImageName], labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Make the images of these names, without gradient: image k of seed s is that of `sample`.

        Args:
            names: of the images, in any order.
            labels: class of each image, int64 (N,). None = for a conditional generator, image k has class k modulo
                the number of classes.
            truncation: see `Prior.draw`.

        Returns:
            float32 (N, C, H, W) in [-1, 1].
        """
        images = []
        # consecutive images of a seed are made together
        for _, run in groupby(enumerate(names), lambda item: (item[1].seed, item[1].number - item[0])):
            places, (first, *others) = zip(*run, strict=True)
            part = None if labels is None else labels[list(places)]
            images.append(self.sample(1 + len(others), part, truncation, first.seed, first.number))
        return torch.cat(images)


class LatentSampler(Recorded, Sampler):
    """Makes images from latents, and from class labels for a conditional generator.

    The network always runs in evaluation mode (batch norm by its running statistics) and in float32, for any outer mode
    and precision.

    A generator with a space of styles w between latents and images has two methods (or modules): `mapping(z, *labels)`
    and `synthesis(w)`. If its layers can have different styles, it states their number as `num_styles`, and `synthesis`
    takes one style for all, (N, d), or one for each, (N, num_styles, d). Any other generator has z as its only space,
    and `map` is the identity.

    Args:
        network: the generator, called with latents (N, latent_dim) and, if its `num_classes` is above 0, labels
            int64 (N,). It states both as int attributes (`num_classes` may be absent for 0).
        prior: the distribution of latents. None = a standard normal.
        clamp: limit images to [-1, 1], for generators whose output may exceed this range.
        class_names: names of the classes in the order of their numbers. Empty = they are not known.
        encoder: maps pictures to the means and standard deviations of their latents, (2, N, latent_dim), and states
            their shape as `image_shape`, (C, H, W). None = the model has none.

    Raises:
        TypeError: the network does not state its `latent_dim`, `num_classes` or `num_styles` as an int.
    """

    def __init__(
        self,
        network: nn.Module,
        prior: Prior | None = None,
        clamp: bool = False,
        class_names: Sequence[str] = (),
        encoder: nn.Module | None = None,
    ) -> None:
        self.network = network
        self.prior = prior or NormalPrior()
        self.clamp = clamp
        self.class_names = tuple(class_names)
        self.encoder = encoder
        self.latent_dim = _stated(network, "latent_dim", None, 1)
        self.num_classes = _stated(network, "num_classes", 0, 0)
        self.num_styles = _stated(network, "num_styles", 1, 1)

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """The generator, and the encoder if there is one."""
        return dict(super().parts) | ({} if self.encoder is None else {"encoder": self.encoder})

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The latent spaces in order: z, and w if there is one."""
        styled = all(callable(getattr(self.network, part, None)) for part in ("mapping", "synthesis"))
        return ("z", "w") if styled else ("z",)

    @property
    def is_conditional(self) -> bool:
        """Whether the network takes conditions beside latents."""
        return self.num_classes > 0

    @property
    def device(self) -> torch.device:
        """The network's device."""
        tensors = (*self.network.parameters(), *self.network.buffers())
        return tensors[0].device if tensors else torch.device("cpu")

    def draw(self, count: int, truncation: float | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents z float32 (count, latent_dim) from the prior; see `Prior.draw`."""
        return self.prior.draw(count, self.latent_dim, self.device, truncation, generator)

    def latents(self, numbers: Iterable[int], seed: int, truncation: float | None = None) -> Tensor:
        """Return the latents z float32 (N, latent_dim) from which `sample` makes the images of these numbers."""
        numbers = list(numbers)
        with ImageDraws(seed, numbers):
            return self.draw(len(numbers), truncation)

    def latents_of(self, names: Iterable[ImageName], truncation: float | None = None) -> Tensor:
        """Return the latents z float32 (N, latent_dim) of images by their names."""
        names = list(names)
        with ImageDraws((), names):
            return self.draw(len(names), truncation)

    def classes_of(self, names: Iterable[ImageName]) -> Tensor | None:
        """Return the classes that images have by default, int64 (N,): image k has class k modulo the number of classes.

        None = there are no classes.
        """
        numbers = torch.tensor([name.number for name in names], device=self.device)
        return numbers % self.num_classes if self.num_classes else None

    def conditions(self, labels: Tensor | None) -> list[Tensor]:
        """Return the network's arguments beside latents: the labels of a conditional generator, else none."""
        return [] if not self.is_conditional or labels is None else [labels]

    def coded(self, labels: Tensor | None) -> Tensor | None:
        """Return numbered conditions int64 (N,) as programs without the model's names give them: classes as they are.

        Of sentences, it returns their codes, (N, ...).
        """
        return labels

    def classes(self, n: int, first: int = 0) -> Tensor | None:
        """Return the classes in turn, int64 (n,), from that of image `first` on, or None if there are no classes."""
        return torch.arange(first, first + n, device=self.device) % self.num_classes if self.num_classes else None

    def map(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents z (N, latent_dim), and labels if there are classes, to styles w; return z if there are no styles.

        Differentiable.
        """
        if "w" not in self.spaces:
            return z
        with evaluating(self.network), torch.autocast(z.device.type, enabled=False):
            return self.network.mapping(z, *self.conditions(labels))

    def each_layer(self, w: Tensor) -> Tensor:
        """Return styles (N, d) as one for each layer, (N, num_styles, d); styles (N, L, d) are returned as they are."""
        return w if w.dim() > 2 else w.unsqueeze(1).expand(-1, self.num_styles, -1)

    def synthesize(
        self,
        w: Tensor,
        labels: Tensor | None = None,
        seed: Any = None,
        first: int = 0,
        names: Sequence[ImageName] | None = None,
    ) -> Tensor:
        """Make images float32 (N, C, H, W) in [-1, 1] from the output of `map`; differentiable.

        Args:
            w: (N, ...), in the last of `spaces`: styles are those of `map` or `each_layer`.
            labels: int64 (N,), for a conditional generator without w; styles w include the class already.
            seed: seed of the generator's own noise, an int or a tuple of ints; image k of a seed always has the same
                noise. None = draw from the global random state.
            first: number of the first image, if there is a seed.
            names: the images whose noise is used, in place of seed and first; equal names have equal noise.
        """
        name = (*seed, _NOISE) if isinstance(seed, tuple) else (seed, _NOISE)
        noise: Any = nullcontext()
        if names is not None:
            noise = ImageDraws((), [(image.seed, _NOISE, image.number) for image in names])
        elif seed is not None:
            noise = ImageDraws(name, range(first, first + len(w)))
        with evaluating(self.network), torch.autocast(w.device.type, enabled=False), noise:
            styled = "w" in self.spaces
            images = self.network.synthesis(w) if styled else self.network(w, *self.conditions(labels))
        return images.clamp(-1, 1) if self.clamp else images

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Return the latents z float32 (N, latent_dim) that the encoder gives pictures float (N, C, H, W) in [-1, 1].

        Raises:
            ValueError: the model has no encoder.
        """
        if self.encoder is None:
            raise ValueError(
                f"{type(self.network).__name__} has no encoder of pictures: invert them by `gan-lightning invert`"
            )
        with evaluating(self.encoder), torch.autocast(pictures.device.type, enabled=False):
            return self.encoder(pictures)[0]

    @torch.no_grad()
    def images(self, z: Tensor, labels: Tensor | None = None, seed: Any = None, first: int = 0) -> Tensor:
        """Make images float32 (N, C, H, W) in [-1, 1] from latents z (N, latent_dim), without gradient."""
        return self.synthesize(self.map(z, labels), labels, seed, first)

    def sample(
        self,
        n: int,
        labels: Tensor | None = None,
        truncation: float | None = None,
        seed: int | None = None,
        first: int = 0,
    ) -> Tensor:
        """Make images from latents of the prior; see `Sampler.sample`."""
        if labels is not None and not self.is_conditional:
            raise ValueError("this model takes no labels, since its networks have num_classes: 0")
        labels = self.classes(n, first) if labels is None else labels
        z = self.draw(n, truncation) if seed is None else self.latents(range(first, first + n), seed, truncation)
        return self.images(z, labels, seed, first)

    def make(self, names: Sequence[ImageName], labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Make the images of these names; see `Sampler.make`."""
        labels = self.classes_of(names) if labels is None else labels.to(self.device)
        with torch.no_grad():
            return self.synthesize(self.map(self.latents_of(names, truncation), labels), labels, names=names)


def _stated(network: nn.Module, name: str, absent: int | None, least: int) -> int:
    stated = getattr(network, name, absent)
    if not isinstance(stated, int) or stated < least:
        raise TypeError(
            f"the generator {type(network).__name__} does not state its {name} (it is {stated!r}): give it an int "
            f"attribute of this name, {least} or more"
        )
    return stated
