"""Sources of images to compare: a folder, and a checkpoint's generator."""

import copy
import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.data.batches import ImageBatch
from gan_lightning.data.files import Page, open_file, pages, read_image, reason, shown
from gan_lightning.data.images import as_uint8, cover, to_channels
from gan_lightning.export import load_trained
from gan_lightning.inference import Sampler
from gan_lightning.inference.pixels import checked_pixels


class FolderImages:
    """The images of a folder and its sub-folders, in the order of `pages`.

    Iteration gives batches of uint8 images (N, C, H, W); 16-bit images are divided by 257 and rounded. Consecutive
    images with equal size and channels share a batch. All cores decode files ahead of the iteration, at most one batch.

    Args:
        folder: the folder.
        batch_size: largest number of images of a batch.
        labelled: the sub-folders of `folder` are classes, numbered in the order of their names; batches carry labels.
        size: height and width of the returned images. As in the data modules by default, the resize is bicubic and
            antialiased until both sides are covered, then the middle is kept, and transparency is laid over white.
            None = images keep their own sizes and alpha.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
        ValueError: an image is in no class, or, while iterating, an image cannot be read.
    """

    def __init__(
        self, folder: Path, batch_size: int = 64, labelled: bool = False, size: tuple[int, int] | None = None
    ) -> None:
        self.folder = folder
        self.batch_size = batch_size
        self.size = size
        self.files = pages(folder)
        self.classes: list[str] | None = self._find_classes() if labelled else None

    def _find_classes(self) -> list[str]:
        if loose := [image for image in self.files if image.file.parent == self.folder]:
            raise ValueError(
                f"{loose[0]} is in no class: put each image of {shown(self.folder)} into the sub-folder of its class"
            )
        return sorted({self._class_of(file) for file in self.files})

    def _class_of(self, image: Page) -> str:
        return image.file.relative_to(self.folder).parts[0]

    def draw(self, count: int, seed: int) -> "FolderImages":
        """Return a random subset of `count` images, chosen by `seed`, in the same order. All images are this object.

        Raises:
            ValueError: there are fewer than `count` images.
        """
        if count == len(self):
            return self
        if count > len(self):
            raise ValueError(f"{self.folder} has {len(self):,} images, from which {count:,} cannot be drawn")
        rows = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:count].sort().values
        return self.only([self.files[row] for row in rows.tolist()])

    def only(self, files: list[Page]) -> "FolderImages":
        """Return a copy that holds these images of the folder, in this order."""
        return self._changed(files=files)

    def resized(self, size: tuple[int, int]) -> "FolderImages":
        """Return a copy whose images have this height and width."""
        return self._changed(size=size)

    def _changed(self, **attributes: Any) -> "FolderImages":
        changed = copy.copy(self)
        vars(changed).update(attributes)
        vars(changed).pop("fingerprint", None)  # the cached value of the original
        return changed

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the images in this order: the files' bytes, their paths in the folder, the classes, the size."""
        whole = hashlib.sha256(f"{self.classes!r} {self.size}".encode())
        files = list(dict.fromkeys(image.file for image in self.files))  # several images may be pages of one
        with (
            ThreadPoolExecutor(os.cpu_count()) as pool,
            tqdm(total=len(files), desc=f"hashing {shown(self.folder)}", unit="file", disable=None) as bar,
        ):
            contents = {}
            for file, content in zip(files, pool.map(_hash, files), strict=True):
                contents[file] = content
                bar.update()
        for image in self.files:
            whole.update(f"{image.name(self.folder)!r} {contents[image.file]}\n".encode())
        return whole.hexdigest()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.files)

    def __iter__(self) -> Iterator[ImageBatch]:
        number = {name: index for index, name in enumerate(self.classes or [])}
        images: list[Tensor] = []
        labels: list[int] = []
        for file, image in zip(self.files, self.decoded(), strict=True):
            if images and (len(images) == self.batch_size or image.shape != images[0].shape):
                yield self._batch(images, labels)
                images, labels = [], []
            images.append(image)
            if self.classes is not None:
                labels.append(number[self._class_of(file)])
        yield self._batch(images, labels)

    def _batch(self, images: list[Tensor], labels: list[int]) -> ImageBatch:
        return ImageBatch(torch.stack(images), None if self.classes is None else torch.tensor(labels))

    def decoded(self) -> Iterator[Tensor]:
        """Yield all images in order, one by one, uint8 (C, H, W)."""
        pool = ThreadPoolExecutor(os.cpu_count())  # Pillow decodes outside of Python's lock
        files = iter(self.files)
        try:
            ahead: deque[Future[Tensor]] = deque(
                pool.submit(self._decode, file) for file in islice(files, self.batch_size)
            )
            while ahead:
                image = ahead.popleft().result()
                ahead.extend(pool.submit(self._decode, file) for file in islice(files, 1))
                yield image
        finally:  # also when the caller stops early
            pool.shutdown(cancel_futures=True)

    def _decode(self, file: Page) -> Tensor:
        image = as_uint8(read_image(file))
        return image if self.size is None else _fit(image, self.size)


class GeneratedImages:
    """Images that a model generates, as batches of uint8 (N, C, H, W).

    Args:
        sampler: generates the images; a conditional sampler goes through its classes in turn.
        count: number of images.
        seed: seed of all draws. Image k of a seed is the same for any batch size, number of images and device, up to
            the rounding of sums. Global generators are not used.
        batch_size: number of images of a batch.
        truncation: see `gan_lightning.inference.Prior.draw`.

    Raises:
        ValueError: while iterating, if the model generates NaN or infinite pixels.
    """

    def __init__(
        self,
        sampler: Sampler,
        count: int,
        seed: int = 0,
        batch_size: int = 64,
        truncation: float | None = None,
    ) -> None:
        self.sampler = sampler
        self.count = count
        self.seed = seed
        self.batch_size = batch_size
        self.truncation = truncation

    def __len__(self) -> int:
        """Number of images."""
        return self.count

    def __iter__(self) -> Iterator[ImageBatch]:
        for start in range(0, self.count, self.batch_size):
            length = min(self.batch_size, self.count - start)
            images = self.sampler.sample(length, truncation=self.truncation, seed=self.seed, first=start)
            classes = self.sampler.num_classes if self.sampler.kind == "class" else 0
            labels = torch.arange(start, start + length, device=images.device) % classes if classes else None
            yield ImageBatch(checked_pixels(self.sampler.render(images)), labels)


Images = FolderImages | GeneratedImages


class Loaded(NamedTuple):
    """A sampler from a file, and the number of images that its model had seen in training."""

    sampler: Sampler
    images_seen: int


def load_sampler(path: Path, device: torch.device | str = "cpu", trusted: str | Sequence[str] = ()) -> Loaded:
    """Load the sampler of a trained model, which must make images from noise. No code from the file is run.

    Args:
        path: a checkpoint, or an exported model.
        device: the device to load to.
        trusted: further packages whose classes the file may name.

    Raises:
        ValueError: the file holds no such model, or one that translates images.
        PermissionError: the file names a class outside the trusted packages.
    """
    trained = load_trained(path, device, trusted)
    if not isinstance(trained.maker, Sampler):
        raise ValueError(
            f"{path} holds a {trained.name}, which needs images to translate: evaluate it by `gan-lightning "
            "validate`, or let `gan-lightning translate` write its images and give their folder"
        )
    return Loaded(trained.maker, trained.images_seen)


def _hash(file: Path) -> str:
    try:
        with open_file(file) as content:
            return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    except (OSError, ValueError) as error:
        raise ValueError(f"{shown(file)} cannot be read ({reason(error)}): fix or remove it") from error


def _fit(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a uint8 image (C, H, W) without alpha, resized and cropped to that height and width."""
    if image.shape[0] in (2, 4):
        image = to_channels(image[None], image.shape[0] - 1)[0]
    return cover(image, size)
