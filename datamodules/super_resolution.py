"""Folders of photographs for super-resolution; bicubic reduction of a photograph makes the input of a network."""

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from datamodules.augmentation import augment
from datamodules.base import height_and_width, stored_size
from datamodules.cache import decode_cached
from datamodules.decode import TileDecoder
from datamodules.folders import FolderModule
from datamodules.storage import ImageStorage, Pixels
from gan_lightning.data.batches import ImageBatch, PairedBatch
from gan_lightning.data.files import pages
from gan_lightning.data.images import to_float, to_uint8
from gan_lightning.ranges import PositiveInt, ShareBelowOne


class SuperResolutionFolder(FolderModule):
    """A folder of photographs of any size, in sub-folders of any depth, and the small images made from them.

    The target is a part of a photograph at its own resolution. The source is the target reduced by antialiased bicubic
    resampling (a = -0.5, as in Pillow and MATLAB) and rounded to 8 bits, as an image file would be.

    NOTE: a source is made from exactly its target, and so contains nothing from beyond the target's border; the papers
        reduce whole photographs first and then cut.

    Args:
        train: folder of the training photographs.
        test: folder of the reference photographs; null holds out a share of `train`.
        holdout: share of `train` that is the reference set and not trained on, if `test` is null; with 0, all
            photographs are both trained on and evaluated against.
        scale: the factor from height and width of a source to those of its target.
        image_size: height and width of the tiles that are cut from photographs and evaluated on; multiples of `scale`.
        crop_size: height and width of the targets that training cuts from tiles at random; null trains on whole tiles.
        tiles: number of tiles from each photograph, on a grid that covers as much of it as possible.
        channels: 1 grey or 3 RGB. Transparent images are laid over white.
        flip: mirror each training image left to right with probability 1/2.
        rotate: turn each training image by 0, 90, 180 or 270 degrees at random; with `flip`, all eight orientations.
        cache_dir: where tiles are kept; null means the environment variable GAN_LIGHTNING_CACHE or
            ~/.cache/gan_lightning.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference and seed of `ImageDataModule`.
    """

    batch_type = PairedBatch
    train: Path
    test: Path | None

    def __init__(
        self,
        train: Path,
        *,
        test: Path | None = None,
        holdout: ShareBelowOne = 0.1,
        scale: PositiveInt = 4,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 128,
        crop_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None,
        tiles: PositiveInt = 1,
        channels: Literal[1, 3] = 3,
        flip: bool = True,
        rotate: bool = False,
        cache_dir: Path | None = None,
        **kwargs: Any,
    ):
        super().__init__(image_size, holdout, cache_dir, flip=flip, **kwargs)
        self.train = Path(train)
        self.test = None if test is None else Path(test)
        self.scale = scale
        self.crop_size = height_and_width(image_size if crop_size is None else crop_size)
        height, width = stored_size(self.crop_size, image_size)
        if scale < 1 or any(side % scale for side in (height, width, *self.crop_size)):
            raise ValueError(
                f"image_size={self.image_size} and crop_size={self.crop_size} cannot be reduced by scale={scale}: make "
                "them multiples of it"
            )
        if rotate and self.crop_size[0] != self.crop_size[1]:
            raise ValueError(f"training images of crop_size={self.crop_size} cannot be turned: make them square")
        self.rotate = rotate
        self.decoder = TileDecoder((height, width), channels, tiles=tiles)

    def training_storage(self) -> ImageStorage:
        """Load the tiles of `train`, without those of photographs that are held out."""
        photographs = self._load(self.train)
        return ImageStorage((self._split(photographs)[0] if self.test is None else photographs).tiled())

    def reference_storage(self) -> ImageStorage:
        """Load the tiles of `test`, or those of photographs that are held out of `train`."""
        held = self._split(self._load(self.train))[1] if self.test is None else self._load(self.test)
        return ImageStorage(held.tiled())

    def _load(self, folder: Path) -> Pixels:
        return decode_cached(folder, pages(folder), self.decoder, self.cache_dir)

    def on_after_batch_transfer(self, batch: ImageBatch, dataloader_idx: int) -> PairedBatch:  # type: ignore[override]
        """Cut, flip and turn at random in training; then make float32 in [-1, 1], and the source from the target."""
        if self.trainer is not None and self.trainer.training:
            draws = self.draws_for(batch)
            cut: Any = augment(batch, self.crop_size, self.flip, draws)
            batch = cut._replace(images=turned(cut.images, draws.integers(0, 4))) if self.rotate else cut
        target = to_float(batch.images)
        return PairedBatch(reduced(target, self.scale), target)


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """Turn square images (N, C, S, S), each by a number of quarter turns, int64 (N,) from 0 to 3."""
    ways = torch.stack([images.rot90(quarter, (2, 3)) for quarter in range(4)])
    return ways[turns, torch.arange(len(images), device=images.device)]


def reduced(images: Tensor, scale: int) -> Tensor:
    """Reduce float (N, C, H, W) in [-1, 1] to (N, C, H / scale, W / scale), with the 256 levels of an image file."""
    size = [side // scale for side in images.shape[2:]]
    return to_float(to_uint8(interpolate(images, size, mode="bicubic", antialias=True)))
