"""Pictures of a model that makes images from noise, for several visitors at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import torch
from torch import Tensor

from gan_lightning.data.images import to_channels, write_png
from gan_lightning.demo.settings import Settings
from gan_lightning.inference import ImageName, Sampler
from gan_lightning.latent.directions import Directions, factorise
from gan_lightning.latent.interpolation import LatentPath
from gan_lightning.latent.output import tiled
from gan_lightning.latent.painting import paint
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.latent.video import write_video

LARGEST_TRUNCATION = 4.0
PAINTED = 4
"""Results of strokes from which a visitor chooses."""
_CANDIDATES = 8
FPS = 20  # frames a second of a video


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture to paint on.

    Args:
        settings: those of the picture from which it came: its class, its noise and its psi.
        point: in the latent space, (1, ...).
        picture: uint8 (C, H, W).
    """

    settings: Settings
    point: Tensor
    picture: Tensor


class Studio:
    """Makes pictures by one model. Visitors share it: it keeps nothing of theirs, and works for one at a time.

    Args:
        sampler: the model's sampler.
        directions: directions of its latent space. None = `find_directions` finds them.
        shown: number of directions that visitors get at most.
        batch_size: number of images that pass through the network at a time.

    Raises:
        ValueError: the model makes its images from no latents, or the directions are of another model.
    """

    def __init__(
        self, sampler: Sampler, directions: Directions | None = None, shown: int = 8, batch_size: int = 16
    ) -> None:
        self.space = LatentSpace(sampler, batch_size=batch_size)
        self.sampler = self.space.sampler
        self.shown = shown
        self.directions = directions
        self._moving = self.space
        if directions is not None:
            self._moving = LatentSpace(sampler, directions.space, batch_size=batch_size)
            directions.check(self._moving)
        self._lock = Lock()

    @property
    def has_styles(self) -> bool:
        """Whether psi has an effect."""
        return "w" in self.sampler.spaces

    def find_directions(self) -> list[str]:
        """Find directions by factorisation, unless they are known, and return their captions: numbers and shares.

        Raises:
            ValueError: no layer is affine in the latents.
        """
        with self._lock:
            if self.directions is None:
                self.directions = factorise(self.space, self.shown)
            shares = self.directions.shares[: self.shown].tolist()
        return [f"Direction {number}, share {100 * share:.1f} %" for number, share in enumerate(shares, 1)]

    def start(self) -> Settings:
        """Return the settings of the first picture: image 0 of seed 0."""
        return Settings(ImageName(0), 0 if self.sampler.num_classes else None)

    def checked(self, settings: Settings) -> Settings:
        """Return settings for this model, with the class of the image if none is given.

        Raises:
            ValueError: the model has no such class, no styles for psi, or not these directions.
        """
        count = self.sampler.num_classes
        label = settings.label
        if label is None and count:
            label = settings.image.number % count
        if label is not None and not 0 <= label < count:
            raise ValueError(
                f"the model has no class {label}: " + (f"choose one of 0 to {count - 1}" if count else "it has none")
            )
        if settings.psi != 1 and not self.has_styles:
            raise ValueError("psi truncates styles, and the model has none: make it 1")
        if settings.truncation is not None and settings.truncation <= 0:
            raise ValueError(f"a truncation of {settings.truncation:g} leaves nothing: make it larger than 0")
        if settings.is_moved:
            self.find_directions()
            assert self.directions is not None
            if len(settings.steps) > min(self.shown, len(self.directions)):
                raise ValueError(f"there is no direction {len(settings.steps)} on the page: show more directions")
        return replace(settings, label=label)

    def picture(self, settings: Settings) -> Tensor:
        """Make a picture, uint8 (C, H, W).

        Raises:
            ValueError: as in `checked`, or the model makes pixels that are NaN or infinite.
        """
        return self.canvas(settings).picture

    def canvas(self, settings: Settings) -> Canvas:
        """Make a picture, together with its point in the latent space. Errors as in `picture`."""
        settings = self.checked(settings)
        with self._set(settings) as labels:
            space = self._moving
            point = space.points([settings.image], labels, settings.truncation)
            for number, step in enumerate(settings.steps):
                if step and self.directions is not None:
                    point = self.directions.move(point, number, point.new_full((1,), step))
            return Canvas(settings, point, next(space.images(point, [settings.image], labels, None))[0])

    def paint(self, canvas: Canvas, strokes: Tensor) -> list[Canvas]:
        """Move a picture through the latent space until it follows strokes, as iGAN does; the best result first.

        Args:
            canvas: the picture before.
            strokes: colours where they are opaque, uint8 (4, H, W) of any size; its middle counts.

        Raises:
            ValueError: there are no strokes, or the model's pictures cannot be painted.
        """
        if strokes.shape[0] != 4 or not strokes[3].any():
            raise ValueError("there are no strokes: paint on the picture first")
        settings = canvas.settings
        with self._set(settings):
            made = paint(
                self._moving,
                canvas.point,
                strokes,
                label=settings.label,
                noise=settings.image,
                candidates=_CANDIDATES,
                keep=PAINTED,
                title=None,
            )
        return [Canvas(settings, made.points[k : k + 1], made.images[k]) for k in range(len(made))]

    def between(self, settings: Settings, other: ImageName, t: float) -> Tensor:
        """Make the picture at t, 0 to 1, on the way from the image of the settings to another, uint8 (C, H, W)."""
        with self._path(settings, other) as path:
            point = path[[0]].towards(path[[1]], torch.tensor([t]))
            return next(point.images(settings.image, None))[0]

    def strip(self, settings: Settings, other: ImageName, steps: int) -> Tensor:
        """Make the way from the image of the settings to another as a row of pictures, uint8 (C, H', W')."""
        with self._path(settings, other) as path:
            strip = path.strip(steps)
            return tiled(strip.images(settings.image, None), len(strip), steps)

    def gif(self, settings: Settings, other: ImageName, frames: int) -> bytes:
        """Make a .gif that goes from the image of the settings to another and back, in a loop."""
        with self._path(settings, other) as path, TemporaryDirectory() as folder:
            file = Path(folder, "loop.gif")
            write_video(path.loop(frames, settings.image), file, FPS)
            return file.read_bytes()

    @contextmanager
    def _set(self, settings: Settings) -> Iterator[Tensor | None]:
        """Reserve the model for one visitor, set psi, and give the class as labels."""
        with self._lock:
            self.space.psi = self._moving.psi = settings.psi
            yield None if settings.label is None else torch.tensor([settings.label], device=self.sampler.device)

    @contextmanager
    def _path(self, settings: Settings, other: ImageName) -> Iterator[LatentPath]:
        settings = self.checked(replace(settings, steps=()))
        classes: Sequence[int] | None = None if settings.label is None else [settings.label]
        with self._set(settings):
            yield LatentPath.through(self.space, [settings.image, other], classes, settings.truncation)


def png(image: Tensor) -> bytes:
    """Return an image uint8 or uint16 (C, H, W) as a PNG file; of more than four channels, the first three."""
    if image.shape[0] > 4:
        image = to_channels(image[None], 3)[0]
    with TemporaryDirectory() as folder:
        file = Path(folder, "picture.png")
        write_png(image, file)
        return file.read_bytes()
