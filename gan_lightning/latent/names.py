"""Images and classes, named in words: `0-15,20`, `5:0-3`, `3,cat`."""

import re
from collections.abc import Sequence

from gan_lightning.inference import ImageName, Sampler

MOST = 1_000_000  # images that a list of names may have
_ITEM = re.compile(r"(?:(\d{1,18}):)?(\d{1,18})(?:-(\d{1,18}))?")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


def image_names(text: str, count: int = 1) -> list[ImageName]:
    """Read names of images: seeds and ranges of seeds, separated by commas.

    `7` is image 0 of seed 7, as `7:0` is; `7:12` is its image 12; `0-15` are the seeds 0 to 15, and `7:0-15` the images
    0 to 15 of seed 7.

    Args:
        text: the names.
        count: number of images of each seed that is given without a number of an image.

    Raises:
        ValueError: the text is none such, or names more than a million images.
    """
    names: list[ImageName] = []
    for word in text.strip().strip("[]").split(","):
        found = _ITEM.fullmatch(re.sub(r"\s", "", word))
        if found is None:
            raise ValueError(
                f"{word.strip()!r} names no image: give seeds such as 3, 0-15 or 0,7,12, or images of a seed such as "
                "7:0-15"
            )
        seed, low, high = found.groups()
        first, last = int(low), int(high or low)
        if last < first:
            raise ValueError(f"{word.strip()!r} is a range that ends before it begins: give {last}-{first}")
        if len(names) + (last - first + 1) * (count if seed is None else 1) > MOST:
            raise ValueError(f"{text.strip()!r} names more than {MOST:,} images: give fewer at a time")
        if seed is None:
            names += [ImageName(each, number) for each in range(first, last + 1) for number in range(count)]
        else:
            names += [ImageName(int(seed), number) for number in range(first, last + 1)]
    return names


def class_numbers(text: str, sampler: Sampler) -> list[int]:
    """Read classes, separated by commas: numbers, ranges of numbers, names where the model knows them, or `all`.

    Args:
        text: the classes.
        sampler: the model that makes images of them.

    Raises:
        ValueError: the model has no classes, or not these.
    """
    if not sampler.num_classes:
        raise ValueError("classes are given, and this model makes images without classes: leave them out")
    if text.strip() == "all":
        return list(range(sampler.num_classes))
    numbers: list[int] = []
    for word in map(str.strip, text.strip().strip("[]").split(",")):
        if word in sampler.class_names:
            numbers.append(sampler.class_names.index(word))
            continue
        found = _RANGE.fullmatch(word)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
        if not first <= last < sampler.num_classes:
            raise ValueError(f"the model has no class {word!r}: its classes are {_known(sampler)}")
        numbers += range(first, last + 1)
    return numbers


def whole_numbers(text: str) -> list[int]:
    """Read numbers and ranges of numbers, separated by commas: `0-3,7`.

    Raises:
        ValueError: the text is none such.
    """
    numbers: list[int] = []
    for word in map(str.strip, text.strip().strip("[]").split(",")):
        found = _RANGE.fullmatch(word)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
        if not first <= last < MOST:
            raise ValueError(f"{word!r} is neither a number nor a range: give numbers such as 4, 0-3 or 0,2,5")
        numbers += range(first, last + 1)
    return numbers


def class_folder(sampler: Sampler, number: int) -> str:
    """Return a name for the folder of a class: its own if a file may have it, or its number with leading zeros."""
    name = sampler.class_names[number] if sampler.class_names else ""
    if name and name.isprintable() and not name.startswith(".") and not {"/", "\\"} & {*name} and len(name) <= 80:
        return name
    return f"{number:0{len(str(sampler.num_classes - 1))}d}"


def _known(sampler: Sampler) -> str:
    names: Sequence[str] = sampler.class_names
    listed = f", or {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}" if names else ""
    return f"0 to {sampler.num_classes - 1}{listed}"
