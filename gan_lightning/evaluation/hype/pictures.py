"""Two folders of images as they are shown to people: equal in size and format."""

import io
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.data.files import Page, pages, read_image
from gan_lightning.data.images import to_channels

POOL = 5000  # largest number of images of a folder that a study draws from, as in the paper


class Pictures:
    """The images of a study. From a folder of more than 5,000, a subset of 5,000 is drawn by the seed, as in the paper.

    Every image is shown at `size`, the smallest height and width among the fakes. A larger image is scaled down by
    bicubic resampling until it just covers that size, and cropped to its middle. Images are 8-bit RGB, with
    transparency laid over white, as PNG files without metadata.

    NOTE: traces within the pixels stay, so give both sets the same history: if only the real images were JPEG files,
        their
    blocks are visible.

    Args:
        real: folder of real images.
        fake: folder of generated images.
        seed: seed of the subset of large folders.

    Raises:
        FileNotFoundError: a folder is not there, or holds no images.
        ValueError: both folders are the same.
    """

    def __init__(self, real: Path, fake: Path, seed: int) -> None:
        self._images = {kind: _drawn(folder, seed) for kind, folder in ((True, real), (False, fake))}
        self.real, self.fake = ([*self._images[kind]] for kind in (True, False))
        if real.samefile(fake):
            raise ValueError(f"{real} and {fake} are the same folder: nobody can distinguish its images")
        self.size = 0, 0

    def check(self) -> None:
        """Read every image, so that none fails during the study, and find `size` (height, width).

        Raises:
            ValueError: a file cannot be read, or is smaller than the fakes, so that its blur would give it away.
        """
        files = [*self._images[False].values(), *self._images[True].values()]
        with ThreadPoolExecutor() as threads:
            read = threads.map(_shape, files)
            shapes = list(tqdm(read, "checking", len(files), leave=False, unit="image", disable=None))
        fakes = shapes[: len(self.fake)]
        self.size = min(height for height, _ in fakes), min(width for _, width in fakes)
        for file, (height, width) in zip(files, shapes, strict=True):
            if height < self.size[0] or width < self.size[1]:
                raise ValueError(
                    f"{file} has {width}x{height} pixels, fewer than the {self.size[1]}x{self.size[0]} shown, so "
                    "its blur would give it away: remove it, or give smaller fakes"
                )

    def png(self, name: str, real: bool) -> bytes:
        """Return an image as the content of a PNG file.

        Raises:
            ValueError: it cannot be read any more.
        """
        picture = to_pil_image(_opaque(read_image(self._images[real][name])))
        height, width = self.size
        buffer = io.BytesIO()
        ImageOps.fit(picture, (width, height), Image.Resampling.BICUBIC).save(buffer, "PNG")
        return buffer.getvalue()


def _drawn(folder: Path, seed: int) -> dict[str, Page]:
    images = {image.name(folder): image for image in pages(folder)}
    names = sorted(random.Random(seed).sample([*images], POOL)) if len(images) > POOL else images
    return {name: images[name] for name in names}


def _shape(image: Page) -> tuple[int, int]:
    _, height, width = read_image(image).shape
    return height, width


def _opaque(image: Tensor) -> Tensor:
    """Return an image of `read_image` as uint8 RGB (3, H, W): 16 bits / 257, rounded; transparency over white."""
    if image.dtype == torch.uint16:
        image = image.double().div_(257).round_().to(torch.uint8)
    if image.shape[0] in (2, 4):
        alpha = image[-1:].double() / 255
        image = (image[:-1] * alpha + 255 * (1 - alpha)).round_().to(torch.uint8)
    return to_channels(image[None], 3)[0]
