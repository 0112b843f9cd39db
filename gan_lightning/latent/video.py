"""Looping videos, by Pillow (.gif) and by FFmpeg (.mp4)."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.data.files import shown, write_whole
from gan_lightning.data.images import to_channels

VIDEOS = (".mp4", ".gif")
SMALLEST = 256
"""Pixels of a video's shorter side at least: smaller images are repeated pixel for pixel."""


def check_video(out: Path, fps: float) -> None:
    """Check that a video can be written, before the work.

    Raises:
        ValueError: the name ends in neither .mp4 nor .gif, or a .gif has more than 50 frames a second, which players
            do not show.
        ModuleNotFoundError: .mp4 needs a package that is not there.
    """
    if out.suffix.lower() not in VIDEOS:
        raise ValueError(f"{shown(out)} cannot be written: name a video that ends in {' or '.join(VIDEOS)}")
    if out.suffix.lower() == ".gif" and fps > 50:
        raise ValueError(f"a .gif has 50 frames a second at most, not {fps:g}: make fps smaller, or write an .mp4")
    if out.suffix.lower() == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401, PLC0415
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "an .mp4 needs the package imageio-ffmpeg: pip install 'gan_lightning[video]', or write a .gif"
            ) from error


def write_video(frames: Iterable[Tensor], out: Path, fps: float) -> None:
    """Write a video, whole or not at all. A .gif repeats for ever; players repeat an .mp4 if they are told to.

    Args:
        frames: uint8 (C, H, W), all of one size; one at a time is kept in memory.
        out: the file, .mp4 or .gif.
        fps: frames a second. In a .gif they are shown for whole hundredths of a second, which vary so that the video
            has its length.

    Raises:
        ValueError, ModuleNotFoundError: as in `check_video`.
    """
    check_video(out, fps)
    pictures = map(_enlarged, frames)
    first = next(pictures)
    every = chain([first], pictures)
    if out.suffix.lower() == ".gif":
        write_whole(out, lambda part: _write_gif(every, part, fps))
    else:
        write_whole(out, lambda part: _write_mp4(every, part, fps))


def _enlarged(frame: Tensor) -> np.ndarray:
    """Return a frame, uint8 (H, W) or (H, W, 3), of sides that are even, as a video's are."""
    pixels = to_channels(frame[None], 1 if frame.shape[0] < 3 else 3)
    factor = max(1, -(-SMALLEST // min(pixels.shape[2:])))
    pixels = pixels.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    pixels = F.pad(pixels.float(), (0, pixels.shape[3] % 2, 0, pixels.shape[2] % 2), mode="replicate").to(pixels.dtype)
    return pixels[0].permute(1, 2, 0).squeeze(2).contiguous().cpu().numpy()


def _write_gif(frames: Iterator[np.ndarray], part: Path, fps: float) -> None:
    def timed() -> Iterator[Image.Image]:
        for number, pixels in enumerate(frames):
            image = Image.fromarray(pixels)
            hundredths = round(100 * (number + 1) / fps) - round(100 * number / fps)
            image.info["duration"] = 10 * hundredths  # ms
            yield image

    images = timed()
    next(images).save(part, format="GIF", save_all=True, append_images=images, loop=0)


def _write_mp4(frames: Iterator[np.ndarray], part: Path, fps: float) -> None:
    from imageio_ffmpeg import write_frames  # noqa: PLC0415

    first = next(frames)
    size = (first.shape[1], first.shape[0])
    colours = "gray" if first.ndim == 2 else "rgb24"
    writer = write_frames(str(part), size, colours, fps=fps, quality=8, macro_block_size=2, output_params=["-f", "mp4"])
    writer.send(None)
    try:
        for pixels in chain([first], frames):
            writer.send(pixels.tobytes())
    finally:
        writer.close()
