"""`gan-lightning landmarks FRAMES OUTPUT`: pictures of the landmarks of faces, for models that are driven by them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.data.files import image_files, read_image, shown, write_image, write_whole
from gan_lightning.data.images import as_uint8, cover, to_channels
from gan_lightning.data.landmarks import (
    SUFFIXES,
    Landmarks,
    draw_landmarks,
    fitted_landmarks,
    parts_of,
    read_landmarks,
)
from gan_lightning.inference.devices import Device, find_device
from gan_lightning.ranges import PositiveInt, checked

Finder = Callable[[Tensor], Landmarks | None]
"""Finds the landmarks of the face in an RGB image, uint8 (3, H, W), or returns None."""


@checked
def landmarks(
    frames: Path,
    output: Path,
    points: Path | None = None,
    size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None,
    beside: bool = False,
    as_points: bool = False,
    device: Device = "auto",
) -> int:
    """Draw the landmarks of faces, from files of points or found by a detector.

    Each frame FRAMES/NAME.png gives OUTPUT/NAME.png, in the same sub-folders. `translate` takes these pictures for
    models of talking heads, and `datamodules.FramesByPerson` as its `landmarks`. Files that exist are kept.

    The detector is that of the package face-alignment, which the extra `landmarks` installs: 68 points of the largest
    face. It fetches its weights when it is first used.

    Args:
        frames: Folder of images, each with one face.
        output: Folder of the pictures.
        points: Folder of files of points (.csv, .json, .npy: see `gan_lightning.data.landmarks`) under the names of the
            frames; it may be FRAMES itself. Null: a detector finds them.
        size: Height and width of the pictures, one number or [64, 48]: frames are scaled until they cover it, and their
            middle is kept. Null: those of each frame.
        beside: Write each frame and its landmarks side by side in one file, as `translate --example` takes them.
        as_points: Write OUTPUT/NAME.json with the points, in pixels of the frame, instead of pictures.
        device: Device of the detector. Auto: the GPU if there is one.

    Returns:
        The exit code: 1 if frames were skipped.

    Raises:
        ValueError: settings or folders do not fit together.
        OSError: a file or folder is missing, or cannot be written.
        ModuleNotFoundError: there is no detector.
    """
    if as_points and (beside or size is not None):
        raise ValueError("--as_points writes the points in a frame's own pixels: leave --size and --beside out")
    if output.resolve().is_relative_to(frames.resolve()):
        raise ValueError(f"the output {shown(output)} lies in {shown(frames)}: give a folder outside")
    files = image_files(frames)
    sides = None if size is None else (size, size) if isinstance(size, int) else size
    find = None if points is not None else detector(str(find_device(device)))
    made, kept, failures = 0, 0, []
    for file in tqdm(files, desc="landmarks", unit="frame", disable=None):
        name = file.relative_to(frames)
        target = (output / name).with_suffix(".json" if as_points else ".png")
        if target.exists():
            kept += 1
            continue
        try:
            frame = to_channels(as_uint8(read_image(file))[None], 3)[0]
            found = read_landmarks(_points_of(points / name)) if points is not None else _found(find, frame, file)
        except ValueError as error:
            failures.append(str(error))
            continue
        if as_points:
            text = json.dumps({part: line.round(2).tolist() for part, line in found.items()})
            write_whole(target, lambda part, text=text: part.write_text(text + "\n"))  # type: ignore[misc]
        else:
            write_image(_picture(frame, found, sides, beside), target)
        made += 1
    print(f"{made:,} landmark files written to {shown(output)}{f', {kept:,} existed already' if kept else ''}")
    for failure in failures:
        print(f"skipped: {failure}")
    return 1 if failures else 0


def _picture(frame: Tensor, found: Landmarks, sides: tuple[int, int] | None, beside: bool) -> Tensor:
    """Draw the landmarks of a frame uint8 (3, H, W), at these sides; beside the frame if wanted."""
    whole = frame.shape[1], frame.shape[2]
    if sides is not None and sides != whole:
        found = fitted_landmarks(found, whole, sides)
        frame = cover(frame, sides)
    drawn = torch.from_numpy(np.ascontiguousarray(draw_landmarks(found, frame.shape[1:])))
    return torch.cat([frame, drawn], dim=2) if beside else drawn


def _points_of(name: Path) -> Path:
    """Return the file of points with a frame's name.

    Raises:
        ValueError: there is none.
    """
    for suffix in SUFFIXES:
        if (file := name.with_suffix(suffix)).is_file():
            return file
    raise ValueError(f"{shown(name.with_suffix(''))} has no file of points: add one ({', '.join(SUFFIXES)})")


def _found(find: Finder | None, frame: Tensor, file: Path) -> Landmarks:
    found = None if find is None else find(frame)
    if found is None:
        raise ValueError(f"{shown(file)} shows no face that the detector finds")
    return found


def detector(device: str) -> Finder:
    """Load the detector of face-alignment (Bulat, Tzimiropoulos 2017, arXiv 1703.07332), which the paper uses too.

    Args:
        device: "cpu" or "cuda".

    Raises:
        ModuleNotFoundError: the package is not installed.
        ConnectionError: its weights are neither there nor to be fetched.
    """
    try:
        import face_alignment  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "landmarks are found by the package face-alignment, which is not installed: "
            'pip install "gan_lightning[landmarks]", or give files of points by --points'
        ) from error
    try:
        network: Any = face_alignment.FaceAlignment(
            face_alignment.LandmarksType.TWO_D, device=device, flip_input=False, compile=False
        )
    except OSError as error:
        raise ConnectionError(
            f"the weights of face-alignment could not be fetched ({getattr(error, 'reason', error)}): run it once "
            "where there is a network, or give files of points by --points"
        ) from error

    def find(frame: Tensor) -> Landmarks | None:
        faces = network.get_landmarks_from_image(frame.permute(1, 2, 0).numpy())
        if not faces:
            return None
        return parts_of(max((np.asarray(face)[:, :2] for face in faces), key=lambda face: np.ptp(face, axis=0).prod()))

    return find
