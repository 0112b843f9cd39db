"""Points of a latent space in a file: images that were inverted."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

import torch
from torch import Tensor

from gan_lightning.data.files import shown
from gan_lightning.inference import ImageName, Space
from gan_lightning.inference.identity import fingerprint
from gan_lightning.latent.inversion import Inversion
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.latent.stored import read_tensors, readable, sound, write_tensors

_KIND, _COMMAND = "latents", "invert"


@dataclass(frozen=True)
class SavedPoints:
    """Points of a latent space of one model, with all that its images depend on.

    Args:
        points: float32 (N, ...).
        labels: class of each image, int64 (N,). None = the model has no classes.
        noise: the image whose noise each has, of a generator with noise of its own.
        names: of the images that they were found for.
        scores: by name, float32 (N,) each: psnr in decibels, ssim, perceptual (NaN = not measured).
        space: "z" or "w".
        model: fingerprint of the generator, see `gan_lightning.inference.identity`.
        about: how they were found, as text by name; saved and read as it is.
    """

    points: Tensor
    labels: Tensor | None
    noise: list[ImageName]
    names: list[str]
    scores: dict[str, Tensor]
    space: Space
    model: str
    about: dict[str, str]

    @classmethod
    def of(cls, space: LatentSpace, found: Inversion, names: list[str], about: dict[str, str]) -> Self:
        """Return the points that `invert` found for images of these names."""
        scores = {"psnr": found.psnr, "ssim": found.ssim, "perceptual": found.perceptual}
        model = fingerprint(space.sampler.network)
        return cls(found.points, found.labels, found.noise, names, scores, space.name, model, about)

    def __len__(self) -> int:
        """Number of points."""
        return len(self.points)

    def check(self, space: LatentSpace) -> None:
        """Check that the points are of that space.

        Raises:
            ValueError: they are of another space, or of other weights.
        """
        if self.model != fingerprint(space.sampler.network):
            raise ValueError(
                "the latents were found for a model of other weights: invert the images by this one, by `gan-lightning "
                "invert`"
            )
        if self.space != space.name:
            raise ValueError(f"the latents are of the space {self.space}, not {space.name}: choose that space")
        classes = space.sampler.num_classes
        known = self.labels is None if not classes else self.labels is not None and bool((self.labels < classes).all())
        if self.points.shape[1:] != space.point_shape or not known:
            raise ValueError(
                "the latents are not of the shape or the classes of this model's: invert the images by `gan-lightning "
                "invert`"
            )

    def save(self, path: Path) -> None:
        """Write them as a safetensors file, whole or not at all."""
        tensors = {"points": self.points, **{f"score.{name}": values for name, values in self.scores.items()}}
        if self.labels is not None:
            tensors["labels"] = self.labels
        tensors["noise"] = torch.tensor([[*name] for name in self.noise], dtype=torch.int64).view(-1, 2)
        facts = {"space": self.space, "model": self.model, "about": json.dumps(self.about)}
        write_tensors(path, _KIND, tensors, facts | {"names": json.dumps(self.names)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds anything else.
        """
        tensors, facts = read_tensors(path, _KIND, _COMMAND)
        with readable(path, _KIND, _COMMAND):
            points, noise, labels = tensors.pop("points"), tensors.pop("noise"), tensors.pop("labels", None)
            scores = {name.removeprefix("score."): values for name, values in tensors.items()}
            names, about = json.loads(facts["names"]), json.loads(facts["about"])
            model = facts["model"]
            count = len(points)
        counted = [noise.dtype == torch.int64 and noise.shape == (count, 2) and bool((noise >= 0).all())]
        counted += [values.dtype == torch.float32 and values.shape == (count,) for values in scores.values()]
        if labels is not None:
            counted.append(labels.dtype == torch.int64 and labels.shape == (count,) and bool((labels >= 0).all()))
        described = isinstance(names, list) and len(names) == count and isinstance(about, dict)
        whole = count > 0 and points.ndim > 1 and sound(points) and facts.get("space") in ("z", "w")
        if not (all(counted) and described and whole):
            raise ValueError(f"{shown(path)} holds latents that are damaged: write the file again")
        return cls(
            points,
            labels,
            [ImageName(seed, number) for seed, number in noise.tolist()],
            [str(name) for name in names],
            scores,
            cast(Space, facts["space"]),
            model,
            {str(key): str(about[key]) for key in about},
        )
