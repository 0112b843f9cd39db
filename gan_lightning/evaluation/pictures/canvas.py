"""Shared parts of all pictures: colours, and files that are written whole or not at all."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gan_lightning.data.files import write_whole
from gan_lightning.data.images import to_channels

SUFFIXES = (".png", ".pdf", ".svg")
REAL_COLOUR, FAKE_COLOUR = "#2b6ca3", "#d9602b"  # distinct for colour-blind readers too
DPI = 150


def check_suffix(out: Path) -> None:
    """Raise ValueError unless a picture can be written to `out`. Call it before the work."""
    if out.suffix not in SUFFIXES:
        raise ValueError(f"{out} cannot be written: give the picture a name that ends in {', '.join(SUFFIXES)}")


def write_figure(figure: Figure, out: Path) -> None:
    """Write a figure in the format of `out`'s suffix, whole or not at all.

    Raises:
        ValueError: the suffix is not .png, .pdf or .svg.
    """
    check_suffix(out)
    write_whole(out, lambda path: figure.savefig(path, format=out.suffix[1:], dpi=DPI, facecolor="white"))


def show_image(axes: Axes, image: Tensor, caption: str, bold: bool = False) -> None:
    """Draw a uint8 image (C, H, W) pixel for pixel, without axes, with its caption below."""
    axes.imshow(to_channels(image[None], 3)[0].permute(1, 2, 0).cpu().numpy(), interpolation="nearest")
    axes.text(
        0.5, -0.03, caption, transform=axes.transAxes, ha="center", va="top", fontsize=8, weight=700 if bold else 400
    )
