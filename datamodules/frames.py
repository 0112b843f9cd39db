"""Folders of frames by person, with landmarks: for models that learn a person from few frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import ImageOps
from torch import Tensor

from datamodules.base import random_rows, stored_size
from datamodules.cache import decode_cached
from datamodules.decode import Channels, Decoder, Fit
from datamodules.folders import FolderModule, listed
from datamodules.storage import Pixels, Storage, digest
from gan_lightning.data.batches import FramesBatch
from gan_lightning.data.files import SUFFIXES as IMAGES
from gan_lightning.data.files import Page, composed, image_files, open_image, shown
from gan_lightning.data.landmarks import SUFFIXES as POINTS
from gan_lightning.data.landmarks import draw_landmarks, fitted_landmarks, read_landmarks
from gan_lightning.ranges import PositiveInt, ShareBelowOne


@dataclass(frozen=True)
class LandmarkDecoder(Decoder):
    """Decodes the landmark picture of a frame: drawn from a file of points, or read from a picture.

    Args:
        files: the file of landmarks of each frame.
        stamp: a name for the present content of these files, for the cache.
    """

    files: Mapping[Path, Path] = field(default_factory=dict, repr=False, compare=False)
    stamp: str = ""

    def __call__(self, image: Path | Page) -> np.ndarray:
        """Return the landmark picture of the frame in a file, uint8 (3, H, W)."""
        frame = image.file if isinstance(image, Page) else image
        landmarks = self.files[frame]
        if landmarks.suffix.lower() not in POINTS:
            return super().__call__(landmarks)
        with open_image(frame) as opened:
            width, height = ImageOps.exif_transpose(opened).size
        return draw_landmarks(
            fitted_landmarks(read_landmarks(landmarks), (height, width), self.size, self.fit), self.size
        )


class FramesStorage(Storage):
    """Frames of people, of each of which K others of the same person are the examples.

    A row of an order is the index of a frame, and those of its examples, int64 (len(self), 1 + K). A shuffled order
    draws the examples of each frame among the others of its person; an order without shuffling has the person's first
    K frames, or the first others.

    Args:
        frames: the frames.
        landmarks: their landmark pictures.
        people: number of each frame's person, int64 (N,), from 0.
        examples: K. Each person has more frames than that, or, with `all_examples`, at least as many.
        known: whether the people are those of the training, by the same numbers. False = their numbers become -1.
        targets: indices of the frames that are items, int64 (n,). None = all.
        fixed: the first K frames of a person are the examples of all its frames, themselves included, in any order.
    """

    def __init__(
        self,
        frames: Pixels,
        landmarks: Pixels,
        people: np.ndarray,
        examples: int,
        known: bool = True,
        targets: np.ndarray | None = None,
        fixed: bool = False,
    ) -> None:
        self.frames, self.landmarks, self.people, self.examples = frames, landmarks, people, examples
        self.known, self.fixed = known, fixed
        self.targets = np.arange(len(frames)) if targets is None else targets
        order = np.argsort(people, kind="stable")
        persons, starts = np.unique(people[order], return_index=True)
        self.rows_of = dict(zip(persons.tolist(), np.split(order, starts[1:]), strict=True))
        self.fingerprint = digest(
            "frames", frames.fingerprint, landmarks.fingerprint, people, self.targets, examples, known, fixed
        )

    def __len__(self) -> int:
        return len(self.targets)

    def order(self, rng: np.random.Generator | None = None) -> Tensor:
        """Return all items once, each with its examples, int64 (len(self), 1 + K)."""
        targets = self.targets if rng is None else rng.permutation(self.targets)
        rows = []
        for target in targets:
            own = self.rows_of[int(self.people[target])]
            if self.fixed:
                chosen = own[: self.examples]
            else:
                others = own[own != target]
                chosen = others[: self.examples] if rng is None else rng.choice(others, self.examples, replace=False)
            rows.append([target, *chosen])
        return torch.from_numpy(np.array(rows, dtype=np.int64).reshape(len(rows), 1 + self.examples))

    def batch(self, rows: Tensor) -> FramesBatch:
        """Return the frames and examples at rows of an order."""
        pictures = []
        for pixels in (self.frames, self.landmarks):
            taken = pixels.take(rows.flatten()).unflatten(0, tuple(rows.shape))  # (n, 1 + K, C, H, W)
            pictures.append((taken[:, 0].contiguous(), taken[:, 1:].transpose(1, 2).contiguous()))
        (target, examples), (landmarks, example_landmarks) = pictures
        numbers = self.people[rows[:, 0].numpy()] if self.known else np.full(len(rows), -1)
        return FramesBatch(target, landmarks, examples, example_landmarks, torch.from_numpy(numbers.astype(np.int64)))

    def subset(self, rows: np.ndarray) -> "FramesStorage":
        """Return only the items with these indices; their examples stay the same."""
        targets = self.targets[rows]
        return FramesStorage(self.frames, self.landmarks, self.people, self.examples, self.known, targets, self.fixed)


class FramesByPerson(FolderModule):
    """A folder of frames for each person, or for each video of a person, with their landmarks.

    `train` holds PERSON/NAME.png (any image suffix; sub-folders of a person count for it). The landmarks of a frame are
    PERSON/NAME with a suffix of `gan_lightning.data.landmarks` (.csv, .json, .npy: points), or a landmark picture
    PERSON/NAME.png in another folder. `gan-lightning landmarks` finds them by a detector.

    For meta-learning, training serves each frame with K others of the same person, drawn anew each time. The reference
    set has other people: the first K frames of each, in the order of their names, are its examples, and its other
    frames are to be made.

    For fine-tuning to one `person`, training serves the person's first K frames, with all of them as examples. The
    reference set is the person's other frames.

    Args:
        train: folder of people.
        landmarks: folder of their landmarks, with equal names. Null: they lie beside the frames, as files of points.
        test: folder of the people of the reference set. Null holds out people of `train`.
        test_landmarks: folder of their landmarks. Null: they lie beside the frames.
        holdout: share of the people that is held out, if `test` and `held_out` are null.
        held_out: names of the people that are held out, if `test` is null. Null: a random share.
        person: name of the person to fine-tune to, in `train`. Null: meta-learning on all people.
        examples: K, the number of examples of a person: 8 in the paper for meta-learning, the T frames of the
            fine-tuning.
        image_size: height and width of the frames that networks see.
        load_size: height and width of the stored frames, from which training cuts `image_size` at random; null stores
            them at `image_size`.
        fit: how frames of another shape are brought to `load_size`: "crop" covers it and keeps the middle, "stretch"
            changes the aspect ratio, "pad" fits the frame inside and adds black borders.
        channels: of the frames: 1 grey, 3 RGB, 4 RGBA. Landmark pictures have 3.
        cache_dir: where decoded images are kept; null means the environment variable GAN_LIGHTNING_CACHE or
            ~/.cache/gan_lightning.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference, flip and seed of `ImageDataModule`. A
            mirrored face has its left eye in the colour of the right one.
    """

    batch_type = FramesBatch
    train: Path
    test: Path | None

    def __init__(
        self,
        train: Path,
        *,
        landmarks: Path | None = None,
        test: Path | None = None,
        test_landmarks: Path | None = None,
        holdout: ShareBelowOne = 0.1,
        held_out: Sequence[str] | None = None,
        person: str | None = None,
        examples: PositiveInt = 8,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 256,
        load_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None,
        fit: Fit = "crop",
        channels: Channels = 3,
        cache_dir: Path | None = None,
        **kwargs: Any,
    ):
        super().__init__(image_size, holdout, cache_dir, **kwargs)
        if person is not None and (test is not None or held_out is not None):
            raise ValueError(
                f"person={person!r} trains on frames of one person and evaluates on the others of the same: leave test "
                "and held_out out"
            )
        self.train, self.test = Path(train), None if test is None else Path(test)
        self.landmarks = {self.train: _optional(landmarks)}
        if self.test is not None:
            self.landmarks[self.test] = _optional(test_landmarks)
        self.held_out, self.person, self.examples = held_out, person, examples
        self._found: dict[Path, dict[str, list[Path]]] = {}  # the frames of each folder, once they are listed
        self.decoder = Decoder(stored_size(image_size, load_size), channels, 8, fit)

    @property
    def num_classes(self) -> int | None:
        """Number of people that are trained on; None for one person."""
        return None if self.person is not None else len(self.classes)

    @property
    def classes(self) -> list[str]:
        """Names of the people that are trained on."""
        people = [*self._frames(self.train)]
        on_all = self.test is not None or (self.held_out is None and not self.holdout)
        held = set() if on_all else {*self._held(people)}
        return [name for name in people if name not in held]

    def training_storage(self) -> FramesStorage:
        """Load the people to train on, or the frames of the one person to train on."""
        if self.person is not None:
            return self._of_person(training=True)
        return self._storage(self.train, self.classes)

    def reference_storage(self) -> FramesStorage:
        """Load the people of the reference set, without those frames that are examples, or the one person's."""
        if self.person is not None:
            return self._of_person(training=False)
        folder = self.train if self.test is None else self.test
        people = [*self._frames(folder)]
        storage = self._storage(folder, people if self.test is not None else [*self._held(people)], known=False)
        targets = [rows[self.examples :] for rows in storage.rows_of.values()]
        return storage.subset(np.concatenate(targets))

    def _frames(self, folder: Path) -> dict[str, list[Path]]:
        """Return the frames of each person by name, both in order."""
        if folder not in self._found:
            self._found[folder] = _frames_by_person(folder)
        return self._found[folder]

    def _held(self, people: Sequence[str]) -> list[str]:
        """Return the people that are held out of `train`."""
        if self.held_out is None:
            if not self.holdout:
                return [*people]
            count = max(1, round(len(people) * self.holdout))
            return [people[row] for row in random_rows(len(people), min(count, len(people)))]
        chosen = [composed(name) for name in self.held_out]
        if missing := [name for name in chosen if name not in people]:
            raise ValueError(f"held_out names people who are not in {shown(self.train)}: {listed(missing)}")
        return chosen

    def _storage(self, folder: Path, people: Sequence[str], known: bool = True) -> FramesStorage:
        """Load people of a folder, numbered in the order of their names."""
        if not people:
            raise ValueError(
                f"{shown(folder)} leaves nobody to {'train on' if known else 'evaluate against'}: hold out fewer "
                "people, or more"
            )
        frames = self._frames(folder)
        if few := [name for name in people if len(frames[name]) <= self.examples]:
            raise ValueError(
                f"{len(few)} people of {shown(folder)} have {self.examples} frames or fewer ({listed(few)}), and each "
                f"needs {self.examples} examples and a frame to make: set examples lower, or add frames"
            )
        files = [file for name in people for file in frames[name]]
        numbers = np.repeat(np.arange(len(people)), [len(frames[name]) for name in people])
        return FramesStorage(*self._pixels(folder, files), numbers, self.examples, known)

    def _of_person(self, training: bool) -> FramesStorage:
        """Load the one person's first frames, or the others."""
        people = self._frames(self.train)
        if self.person not in people:
            raise ValueError(
                f"there is no person {self.person!r} in {shown(self.train)}, which has {listed([*people])}: name one"
            )
        files = people[self.person]
        if len(files) <= self.examples:
            raise ValueError(
                f"{self.person} has {len(files)} frames in {shown(self.train)}: set examples, the number to train on, "
                f"below that (it is {self.examples}), so that one is left to evaluate against"
            )
        rows = np.arange(len(files))
        storage = FramesStorage(*self._pixels(self.train, files), np.zeros_like(rows), self.examples, False, rows, True)
        return storage.subset(rows[: self.examples] if training else rows[self.examples :])

    def _pixels(self, folder: Path, files: Sequence[Path]) -> tuple[Pixels, Pixels]:
        """Decode frames and landmark pictures."""
        found = _landmark_files(folder, self.landmarks[folder], files)
        stats = [(file.relative_to(file.parents[1]).as_posix(), file.stat()) for file in found.values()]
        stamp = digest(*((name, status.st_size, status.st_mtime_ns) for name, status in stats))
        frames, size = self.decoder, self.decoder.size
        landmarks = LandmarkDecoder(size, 3, 8, frames.fit, files=found, stamp=stamp)
        return (
            decode_cached(folder, files, frames, self.cache_dir),
            decode_cached(folder, files, landmarks, self.cache_dir),
        )


def _frames_by_person(folder: Path) -> dict[str, list[Path]]:
    """Return the frames of each person by name, both in order.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
        ValueError: a frame is in no person's folder.
    """
    people: dict[str, list[Path]] = {}
    for file in image_files(folder):
        name, *inside = file.relative_to(folder).parts
        if not inside:
            raise ValueError(
                f"{shown(file)} is in no person's folder: {shown(folder)} must have a folder of frames for each person"
            )
        people.setdefault(composed(name), []).append(file)
    return dict(sorted(people.items()))


def _landmark_files(folder: Path, landmarks: Path | None, frames: Sequence[Path]) -> dict[Path, Path]:
    """Return the file of landmarks of each frame.

    Raises:
        FileNotFoundError: there is no such folder of landmarks.
        ValueError: frames have no landmarks, or several.
    """
    if landmarks is not None and not landmarks.is_dir():
        raise FileNotFoundError(f"{shown(landmarks)} is not a folder: name one with the landmarks of {shown(folder)}")
    there = folder if landmarks is None else landmarks
    beside: dict[tuple[Path, str], list[Path]] = {}
    suffixes = {*POINTS} if landmarks is None else {*POINTS} | IMAGES
    for parent in {there / frame.parent.relative_to(folder) for frame in frames}:
        for file in sorted(parent.iterdir()) if parent.is_dir() else ():
            if file.suffix.lower() in suffixes:
                beside.setdefault((parent, composed(file.stem)), []).append(file)
    found, missing = {}, []
    for frame in frames:
        candidates = beside.get((there / frame.parent.relative_to(folder), composed(frame.stem)), [])
        if len(candidates) > 1:
            raise ValueError(
                f"{shown(frame)} has several files of landmarks ({listed([*map(str, candidates)])}): keep one"
            )
        if candidates:
            found[frame] = candidates[0]
        else:
            missing.append(str(frame))
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(frames)} frames have no landmarks in {shown(there)} ({listed(missing)}): put a "
            f"file of the same name there, with points ({', '.join(POINTS)}), or let `gan-lightning landmarks` find "
            "them by a detector, and name its folder by landmarks"
        )
    return found


def _optional(path: Path | None) -> Path | None:
    return None if path is None else Path(path)
