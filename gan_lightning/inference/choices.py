"""Translators with a choice: of a domain, of attributes, or of a style."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_lightning.inference.translation import Choice, Policy, Translator

OFF = "no_"
"""Stands before the name of an attribute that is switched off."""
WITH = "+"
"""Joins the attributes that are switched together."""


class StyleTranslator(Translator):
    """Translates images in a style, by networks called as `network(images, style)`, in all directions or in some.

    A network states the number of components of its styles (`style_dim`; absent or 0 = it has none that can be drawn).
    It has `encode_style(examples)`, from images float (N, C, H, W) in [-1, 1] to styles float (N, style_dim), if an
    example can give the style; `example_channels` then states C (absent = `in_channels`), and `example_size` the height
    and width of an example (absent = any that it takes of its images). A network with `encode_style` and without
    `style_dim` gets the code of an example alone, of any shape (N, ...). A network whose `joins_examples` is true takes
    all images of a folder as examples of one style: their codes' mean.

    Without a choice, each image has a style of its own, drawn from N(0, I) with the global random state; stored images
    and folders draw it by the seed of an image's name. For a network that needs an example, an image is its own.
    """

    @property
    def style_dim(self) -> int:
        """Number of components of a style, the largest of all directions."""
        return max(_style_dim(network) for network in self.networks.values())

    @property
    def takes_example(self) -> bool:
        """Whether an example image can give the style, in a direction at least."""
        return any(hasattr(network, "encode_style") for network in self.networks.values())

    def needs_example(self, direction: str | None = None) -> bool:
        """Return whether the network of a direction takes its style from an example, and from nothing else."""
        network = self.network(direction)
        return hasattr(network, "encode_style") and not _style_dim(network)

    def code_of(self, images: Tensor, choice: Choice | None = None, direction: str | None = None) -> Tensor | None:
        """Return the style of each image, drawn from N(0, I) or encoded from the example."""
        self.check(choice, direction)
        given, network, count = choice or Choice(), self.network(direction), len(images)
        if given.example is not None or self.needs_example(direction):
            if given.example is None:
                return self.encode(images, direction)
            code = self.encode(given.example.to(images.device), direction).mean(dim=0, keepdim=True)
            return code.expand(count, *code.shape[1:])
        if not (components := _style_dim(network)):
            return None
        if given.style_seed is None:
            return torch.randn(count, components).to(images.device)
        random = torch.Generator().manual_seed(given.style_seed)
        return torch.randn(components, generator=random).expand(count, components).to(images.device)

    @torch.no_grad()
    def encode(self, examples: Tensor, direction: str | None = None) -> Tensor:
        """Encode examples float (N, C, H, W) in [-1, 1] to styles (N, ...), without gradient."""
        network: Any = self.network(direction)
        with self.running(network, examples.device):
            return network.encode_style(examples)

    def sample_code(self, images: Tensor, direction: str | None, generator: torch.Generator) -> Tensor | None:
        """Draw a style for each image from N(0, I); where only examples give one, encode the images."""
        if self.needs_example(direction):
            return self.encode(images, direction)
        components = _style_dim(self.network(direction))
        return torch.randn(len(images), components, generator=generator) if components else None

    def _known(self, direction: str | None) -> tuple[str, ...]:
        network = self.network(direction)
        return (
            *(("style_seed",) if _style_dim(network) else ()),
            *(("example",) if hasattr(network, "encode_style") else ()),
        )


class DomainTranslator(Translator):
    """Translates images to one of several domains, or switches their attributes, by `network(images, code)`.

    The code is float (N, K) in {0, 1}: the one-hot of a domain, or the wanted attributes. Without a choice, images
    become of the first target.

    Args:
        networks: see `Translator`; called with the code.
        targets: names of the K domains or attributes.
        exclusive: groups of attributes of which an image has one at most, such as colours of hair. None = all targets
            are domains: an image is of exactly one.
        classifier: maps images (N, C, h, w) in [-1, 1] to logits (N, K) of the targets, as a tensor or as an output
            with `class_logits`; it states the size of its images, `image_shape` (C, h, w). Attributes that a choice
            does not name stay as it sees them in the source. Domains need none.
        policy: see `Translator`.
        clamp: see `Translator`.

    Raises:
        ValueError: targets are named twice or not at all, a group has others, or attributes have no classifier.
    """

    def __init__(
        self,
        networks: nn.Module | Mapping[str, nn.Module],
        targets: Sequence[str],
        exclusive: Sequence[Sequence[str]] | None = None,
        classifier: nn.Module | None = None,
        policy: Policy | None = None,
        clamp: bool = False,
    ) -> None:
        super().__init__(networks, policy, clamp)
        self.targets = tuple(targets)
        self.are_domains = exclusive is None
        self.exclusive = [self.targets] if exclusive is None else [tuple(group) for group in exclusive]
        self.classifier = classifier
        grouped = [name for group in self.exclusive for name in group]
        if not targets or len({*targets}) < len(targets) or len({*grouped}) < len(grouped):
            raise ValueError(f"targets {[*targets]} in the groups {self.exclusive}: name each once, and one at least")
        if strange := [name for name in grouped if name not in self.targets]:
            raise ValueError(f"the exclusive groups name {strange}, and the targets are {', '.join(targets)}")
        if not self.are_domains and classifier is None:
            raise ValueError("attributes need a classifier, which tells those of a source: give one")

    @property
    def options(self) -> tuple[str, ...]:
        """The targets; of attributes also their absence, `no_NAME`."""
        off = () if self.are_domains else tuple(OFF + name for name in self.targets)
        return tuple(dict.fromkeys((*self.targets, *off)))

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The networks, and the classifier if there is one."""
        return dict(self.networks) | ({} if self.classifier is None else {"classifier": self.classifier})

    def switches(self, to: str) -> dict[str, bool]:
        """Read a choice: the name of a target, or attributes that are switched on, or off by `no_`: `hat+no_beard`.

        Returns:
            Whether each target that is named, or that a named one excludes, is switched on or off.

        Raises:
            ValueError: it names an unknown target, or contradicts itself.
        """
        found: dict[str, bool] = {}
        for word in [to] if to in self.targets else to.split(WITH):
            name, on = (word, True) if word in self.targets else (word.removeprefix(OFF), False)
            if name not in self.targets or (not on and (self.are_domains or not word.startswith(OFF))):
                kinds = "domains" if self.are_domains else "attributes"
                how = "" if self.are_domains else f", which {OFF}NAME switches off, and {WITH} joins"
                raise ValueError(f"this model has no target {word!r}: its {kinds} are {', '.join(self.targets)}{how}")
            if name in found:
                raise ValueError(f"{to!r} switches {name} twice: name it once")
            found[name] = on
        for group in self.exclusive:
            wanted = [name for name in group if found.get(name)]
            if len(wanted) > 1:
                raise ValueError(f"{to!r} asks for {' and '.join(wanted)}, of which an image has only one: name one")
            found |= {name: False for name in group if wanted and name not in wanted}
        return found

    def switched(self, attributes: Tensor, to: str) -> Tensor:
        """Return attributes, float (N, K) in {0, 1}, after the switches of a choice."""
        code = attributes.clone()
        for name, on in self.switches(to).items():
            code[:, self.targets.index(name)] = float(on)
        return code

    def code_to(self, target: str, code: Tensor) -> Tensor:
        """Return the codes of images with these codes, float (N, K), after a translation to a target.

        They are the one-hot of a domain; or the attributes with this one switched, on or off, and with those that it
        then excludes off.
        """
        place = self.targets.index(target)
        if self.are_domains:
            return self.switched(code, target)
        changed = code.clone()
        changed[:, place] = 1 - code[:, place]
        for group in self.exclusive:
            if target in group:
                others = [self.targets.index(name) for name in group if name != target]
                changed[:, others] *= 1 - changed[:, place, None]
        return changed

    def code_of(self, images: Tensor, choice: Choice | None = None, direction: str | None = None) -> Tensor | None:
        """Return the one-hot of the domain, or the attributes of each image after the switches, float (N, K)."""
        self.check(choice, direction)
        to = self.targets[0] if choice is None or choice.to is None else choice.to
        unknown = not self.switches(to).keys() >= {*self.targets}
        seen = self.seen_in(images) if unknown else torch.zeros(len(images), len(self.targets), device=images.device)
        return self.switched(seen, to)

    @torch.no_grad()
    def seen_in(self, images: Tensor) -> Tensor:
        """Return the attributes that the classifier sees in images float (N, C, H, W), as float (N, K) in {0, 1}."""
        classifier: Any = self.classifier
        with self.running(classifier, images.device):
            answer = classifier(_covering(images, classifier.image_shape[1:]))
        return (getattr(answer, "class_logits", answer) > 0).float()

    def sample_code(self, images: Tensor, direction: str | None, generator: torch.Generator) -> Tensor | None:
        """Draw a domain or attributes for each image."""
        if self.are_domains:
            drawn = torch.randint(len(self.targets), (len(images),), generator=generator)
            return nn.functional.one_hot(drawn, len(self.targets)).float()
        return torch.randint(2, (len(images), len(self.targets)), generator=generator).float()

    def check(self, choice: Choice | None, direction: str | None = None) -> None:
        """Check that a choice names targets."""
        super().check(choice, direction)
        if choice is not None and choice.to is not None:
            self.switches(choice.to)

    def _known(self, direction: str | None) -> tuple[str, ...]:
        return ("to",)


def _style_dim(network: nn.Module) -> int:
    stated: int = getattr(network, "style_dim", 0)
    return stated


def _covering(images: Tensor, size: Sequence[int]) -> Tensor:
    """Scale images (N, C, H, W) until they cover a height and width, and keep the middle."""
    height, width = size
    if images.shape[2:] == (height, width):
        return images
    ratio = max(height / images.shape[2], width / images.shape[3])
    sides = [max(side, round(ratio * length)) for side, length in zip(size, images.shape[2:], strict=True)]
    scaled = interpolate(images, sides, mode="bicubic", antialias=True).clamp(-1, 1)
    top, left = (sides[0] - height) // 2, (sides[1] - width) // 2
    return scaled[:, :, top : top + height, left : left + width]
