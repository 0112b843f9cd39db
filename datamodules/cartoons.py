"""Folders of photographs and of cartoons, whose edges are smoothed for CartoonGAN's discriminator.

Chen, Lai, Liu, "CartoonGAN: Generative Adversarial Networks for Photo Cartoonization", 2018, section 3.2.1.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.ndimage import binary_dilation, gaussian_filter

from datamodules.cache import decode_cached
from datamodules.decode import Decoder
from datamodules.folders import UnpairedFolder
from datamodules.storage import CartoonStorage, Pixels, UnpairedStorage
from gan_lightning.data.batches import Batch, CartoonBatch
from gan_lightning.data.files import Page, pages
from gan_lightning.data.images import as_uint8, to_channels
from gan_lightning.ranges import NonNegativeFloat, PositiveInt


def find_canny() -> Callable[..., Any]:
    """Return the edge detector.

    Raises:
        ModuleNotFoundError: scikit-image is not installed.
    """
    try:
        return importlib.import_module("skimage.feature").canny
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'the edges of cartoons are found by a package: pip install "gan_lightning[cartoon]"'
        ) from error


@dataclass(frozen=True)
class SmoothedEdges(Decoder):
    """A decoder that smooths the image along its edges.

    Edges are found by Canny's detector in the grey image, without a blur before it; they are widened; and a Gaussian
    blur of the same width replaces the pixels there.

    Args:
        thresholds: of Canny's detector: the least length of Sobel's gradient, in grey levels of 0 to 255, of a pixel
            that continues an edge, and of one that begins it.
        width: side in pixels of the square by which edges are widened, and of the blur: an odd number.
    """

    thresholds: tuple[float, float] = (100.0, 200.0)
    width: int = 5

    def __call__(self, image: Path | Page) -> np.ndarray:
        """Decode the image in a file, or in a page of it, to uint8 or uint16 (C, H, W), with smoothed edges."""
        return smooth_edges(super().__call__(image), self.thresholds, self.width)


def smooth_edges(image: np.ndarray, thresholds: tuple[float, float] = (100.0, 200.0), width: int = 5) -> np.ndarray:
    """Smooth an image, uint8 or uint16 (C, H, W), along its edges; see `SmoothedEdges`."""
    grey = to_channels(as_uint8(torch.from_numpy(image.copy()))[None], 1)[0, 0].numpy()
    edges = find_canny()(grey, sigma=0, low_threshold=thresholds[0], high_threshold=thresholds[1])
    near = binary_dilation(edges, np.ones((width, width), dtype=bool))
    deviation = 0.3 * ((width - 1) / 2 - 1) + 0.8  # OpenCV's for this width
    blurred = [gaussian_filter(p.astype(np.float32), deviation, mode="mirror", radius=width // 2) for p in image]
    return np.where(near, np.rint(np.stack(blurred)), image).astype(image.dtype)


class CartoonFolder(UnpairedFolder):
    """A folder of photographs and a folder of cartoons, and the same cartoons with smoothed edges.

    Everything else is as in `UnpairedFolder`: A are the photographs, B the cartoons. Those with smoothed edges are made
    once, at `load_size`, and kept in a cache of their own. Batches take photographs, cartoons and smoothed cartoons
    independently of each other.

    Args:
        train_a: folder of the training photographs.
        train_b: folder of the training cartoons.
        thresholds: how strong an edge is; see `SmoothedEdges`.
        edge_width: width of the smoothed band in pixels of `load_size`, odd; the default is for images of 256 pixels.
        kwargs: the other arguments of `UnpairedFolder`.

    Raises:
        ModuleNotFoundError: scikit-image is not installed.
        ValueError: the thresholds are not in ascending order, or the width is even.
    """

    batch_type: ClassVar[type[Batch]] = CartoonBatch
    storage: ClassVar[type[UnpairedStorage]] = CartoonStorage

    def __init__(
        self,
        train_a: Path,
        train_b: Path,
        *,
        thresholds: tuple[NonNegativeFloat, NonNegativeFloat] = (100.0, 200.0),
        edge_width: PositiveInt = 5,
        **kwargs: Any,
    ):
        super().__init__(train_a, train_b, **kwargs)
        low, high = thresholds
        if low > high:
            raise ValueError(f"thresholds={low:g}, {high:g}: an edge begins at the second: make it the larger one")
        if edge_width % 2 == 0:
            raise ValueError(f"edge_width={edge_width}: a band along an edge has an odd width, as {edge_width + 1}")
        find_canny()
        whole = vars(self.decoders[1])
        self.smoother = SmoothedEdges(**whole, thresholds=(low, high), width=edge_width)

    def _load(self, folders: tuple[Path, Path]) -> list[Pixels]:
        cartoons = folders[1]
        smoothed = decode_cached(cartoons, pages(cartoons), self.smoother, self.cache_dir)
        return [*super()._load(folders), smoothed]
