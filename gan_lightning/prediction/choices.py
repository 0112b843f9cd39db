"""The choices of a command line, such as `--to glasses+no_beard` or `--style_seed 0-3`."""

from pathlib import Path

import torch

from gan_lightning.data.files import Page, pages, pages_of, read_image, shown
from gan_lightning.inference import Choice, Translator
from gan_lightning.inference.stored import as_example
from gan_lightning.latent.names import whole_numbers

EVERY = "all"
"""Stands for each of the targets."""


def named_choices(
    translator: Translator,
    direction: str | None = None,
    to: str | None = None,
    style_seed: str | None = None,
    example: Path | None = None,
) -> dict[str, Choice]:
    """Read the choices that a user names, of which each gives one translation of every image.

    Args:
        translator: the model's translator.
        direction: one of its directions. None = the first.
        to: targets, separated by commas, or `all`. Of attributes, each may be several joined by +, and `no_` switches
            one off.
        style_seed: seeds of styles: numbers and ranges, separated by commas.
        example: an image that gives the style, or a folder of such images.

    Returns:
        The choices by their names, which are those of the targets, `style-SEED`, or those of the examples. With nothing
        chosen, "" and the default.

    Raises:
        FileNotFoundError: there is no such example.
        ValueError: the model has nothing of the kind to choose, an example is no image, or the model needs one.
    """
    if style_seed is not None and example is not None:
        raise ValueError("--style_seed and --example both choose the style: give one of them")
    network = translator.network(direction)
    for flag, value, known in (
        ("to", to, translator.targets),
        ("style_seed", style_seed, getattr(network, "style_dim", 0)),
        ("example", example, hasattr(network, "encode_style")),
    ):
        if value is not None and not known:
            others = {"to": translator.targets, "style_seed": translator.style_dim, "example": translator.takes_example}
            instead = [f"--{name}" for name, stated in others.items() if stated and name != flag]
            takes = f", which takes {' or '.join(instead)}" if instead else ", which leaves no choice"
            raise ValueError(f"--{flag} has no meaning for this model{_of(translator, direction)}{takes}: leave it out")
    if to is not None:
        chosen = {word: Choice(to=word) for word in _targets(translator, to)}
    elif style_seed is not None:
        chosen = {f"style-{seed}": Choice(style_seed=seed) for seed in whole_numbers(style_seed)}
    elif example is not None:
        examples = {name: as_example(read_image(page), network) for name, page in _examples(example).items()}
        if getattr(network, "joins_examples", False):
            examples = {example.stem: torch.cat([*examples.values()])}
        chosen = {name: Choice(example=each) for name, each in examples.items()}
    elif hasattr(network, "encode_style") and not getattr(network, "style_dim", 0):
        raise ValueError("this model takes the style from an example: name an image, or a folder of them, by --example")
    else:
        chosen = {"": Choice()}
    for choice in chosen.values():
        translator.check(choice, direction)
    return chosen


def _targets(translator: Translator, to: str) -> list[str]:
    if to in translator.targets:  # a name may hold a comma
        return [to]
    if to == EVERY:
        return [*translator.targets]
    words = [word.strip() for word in to.strip().strip("[]").split(",")]
    return [*dict.fromkeys(words)]


def _examples(place: Path) -> dict[str, Page]:
    """Return the first page of an image file, or the images of a folder, by their names."""
    if not place.exists():
        raise FileNotFoundError(f"there is no example {shown(place)}: name an image, or a folder of images")
    if not place.is_dir():
        return {place.stem: pages_of(place)[0]}
    found: dict[str, Page] = {}
    for page in pages(place):
        name = page.name(place, suffix=False)
        if name in found:
            raise ValueError(f"the examples {found[name]} and {page} have the same name: rename one of them")
        found[name] = page
    return found


def _of(translator: Translator, direction: str | None) -> str:
    return f" in the direction {direction or translator.directions[0]}" if len(translator.directions) > 1 else ""
