"""The settings that name one picture of a model, and their file."""

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from gan_lightning.data.files import shown
from gan_lightning.inference import ImageName
from gan_lightning.latent.names import image_names

KIND = "gan_lightning picture"
_LARGEST = 100_000  # bytes of a file


@dataclass(frozen=True)
class Settings:
    """One picture of a model that makes images from noise.

    Args:
        image: its name.
        label: its class. None = the model has no classes.
        truncation: largest magnitude of a latent's component, see `gan_lightning.inference.Prior.draw`. None = no
            limit.
        psi: truncation of styles, see `gan_lightning.latent.LatentSpace`. 1 = none.
        steps: standard deviations along each direction by which the picture is moved; missing ones are 0.
    """

    image: ImageName
    label: int | None = None
    truncation: float | None = None
    psi: float = 1.0
    steps: tuple[float, ...] = ()

    @property
    def is_moved(self) -> bool:
        """Whether the picture is moved along any direction."""
        return any(self.steps)

    def as_json(self) -> str:
        """Return the text that `load` reads."""
        moved = {str(number): step for number, step in enumerate(self.steps, 1) if step}
        content = {
            "kind": KIND,
            "image": str(self.image),
            "class": self.label,
            "truncation": self.truncation,
            "psi": self.psi,
            "directions": moved,
        }
        return json.dumps(content, indent=2) + "\n"

    def command(self, model: str, directions: Path | None = None) -> str:
        """Return the command that makes this picture again.

        Args:
            model: the model, as the command line names it.
            directions: the file of the directions. None = they are found by factorisation.
        """
        if self.is_moved:
            found = [] if directions is None else ["--directions", str(directions)]
            return shlex.join(["gan-lightning", "demo", model, "--settings", f"{self.file_stem}.json", *found])
        words = ["gan-lightning", "sample", model, "pictures", "--seeds", str(self.image)]
        words += [] if self.label is None else ["--classes", str(self.label)]
        words += [] if self.truncation is None else ["--truncation", f"{self.truncation:g}"]
        words += [] if self.psi == 1 else ["--psi", f"{self.psi:g}"]
        return shlex.join(words)

    @property
    def file_stem(self) -> str:
        """Name of the picture's files, without suffix."""
        label = "" if self.label is None else f"-class-{self.label}"
        return f"image-{self.image.seed}-{self.image.number}{label}"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that the page saved.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds anything else.
        """
        if not path.is_file():
            raise FileNotFoundError(f"there is no file of settings {shown(path)}")
        try:
            if path.stat().st_size > _LARGEST:
                raise ValueError(f"it has more than {_LARGEST:,} bytes")
            return cls._of(json.loads(path.read_bytes()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{shown(path)} holds no settings of a picture ({error}): give a file that `gan-lightning demo` saved"
            ) from error

    @classmethod
    def _of(cls, content: Mapping[str, Any]) -> Self:
        if content["kind"] != KIND:
            raise ValueError("it does not say so")
        moved = {int(number): _number("directions", step) for number, step in content["directions"].items()}
        if not all(1 <= number <= 1000 for number in moved):
            raise ValueError("directions are numbered from 1")
        label = content["class"]
        if label is not None and (not isinstance(label, int) or isinstance(label, bool)):
            raise ValueError(f"class {label!r} is no number")
        truncation = None if content["truncation"] is None else _number("truncation", content["truncation"])
        steps = tuple(moved.get(number, 0.0) for number in range(1, max(moved, default=0) + 1))
        return cls(one_image(content["image"]), label, truncation, _number("psi", content["psi"]), steps)


def one_image(text: str) -> ImageName:
    """Read the name of one image: `7`, or `7:12`.

    Raises:
        ValueError: the text is no name, or names several.
    """
    names = image_names(str(text))
    if len(names) > 1:
        raise ValueError(f"{text.strip()!r} names {len(names):,} images: give one, such as 7 or 7:12")
    return names[0]


def _number(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{name} {value!r} is no finite number")
    return float(value)
