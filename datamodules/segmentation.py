"""Folders of images and their segmentations, with the U-Net's augmentation.

Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015, arXiv 1505.04597,
section 3.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import grid_sample

from datamodules.augmentation import BatchDraws
from datamodules.base import height_and_width
from datamodules.decode import Channels, Decoder
from datamodules.folders import PairedFolder
from datamodules.storage import PairedStorage
from gan_lightning.data.batches import Batch, PairedBatch
from gan_lightning.data.files import matched
from gan_lightning.data.images import to_float
from gan_lightning.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt, ShareBelowOne

_COARSE = 3  # displacement vectors along each side of an image


@dataclass(frozen=True)
class MaskDecoder(Decoder):
    """A decoder that resamples to the nearest pixel, since there is no class between the levels of two classes."""

    def _resample(self, image: Image.Image) -> Image.Image:
        size = self.size[1], self.size[0]
        if self.fit == "stretch":
            return image.resize(size, Image.Resampling.NEAREST)
        return ImageOps.fit(image, size, Image.Resampling.NEAREST)


def tile_positions(
    draws: BatchDraws,
    image_size: tuple[int, int],
    tile_size: tuple[int, int],
    *,
    border: int = 0,
    flip: bool = False,
    turn: bool = False,
    elastic: float = 0,
) -> Tensor:
    """Draw random tiles, and return for each of their pixels the place in the image that it comes from.
    Args:
        draws: random numbers for N tiles, each from its own image.
        image_size: height and width of the images.
        tile_size: height and width of the tiles.
        border: pixels by which a tile may reach beyond its image.
        flip: mirror each tile left to right with probability 1/2.
        turn: turn each tile by 0, 90, 180 or 270 degrees.
        elastic: standard deviation, in pixels, of the displacement vectors on a coarse grid of 3x3 over the image;
            between them, displacements are interpolated bicubically.

    Returns:
        float32 (N, h, w, 2), column and row of each pixel, on the device of the random numbers.
    """
    axes = []
    for whole, part in zip(image_size, tile_size, strict=True):
        start = draws.integers(-border, whole + border - part + 1)[:, None]
        device = start.device
        axes.append((start + (part - 1) / 2, torch.arange(part, device=device) - (part - 1) / 2))
    (middle_y, y), (middle_x, x) = axes
    offsets = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1])  # (2, h, w), from the tile's middle
    turns = torch.tensor([[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]], device=device)
    turning = turns[draws.integers(0, 4 if turn else 1)].float()
    mirrored = draws.uniform() < (0.5 if flip else 0.0)
    mirror = torch.ones(len(mirrored), 2, 1, device=device)
    mirror[:, 0, 0] = 1 - 2 * mirrored.float()
    middle = torch.stack([middle_x, middle_y], dim=1)  # (N, 2, 1)
    positions = (middle + turning @ (mirror * offsets.flatten(1))).unflatten(2, tile_size).movedim(1, 3)
    if elastic:
        vectors = elastic * draws.normal(2, _COARSE, _COARSE)
        moved = grid_sample(
            vectors, _normalised(positions, image_size), mode="bicubic", padding_mode="border", align_corners=True
        )
        positions = positions + moved.movedim(1, 3)
    return positions


def sample(images: Tensor, positions: Tensor, mode: Literal["bilinear", "nearest"]) -> Tensor:
    """Sample float images (N, C, H, W) at positions (N, h, w, 2); beyond its border, an image is mirrored."""
    where = _normalised(positions, (images.shape[2], images.shape[3]))
    return grid_sample(images, where, mode=mode, padding_mode="reflection", align_corners=True)


def _normalised(positions: Tensor, size: tuple[int, int]) -> Tensor:
    """Convert columns and rows to those of `grid_sample`: -1 is the middle of the first pixel, 1 that of the last."""
    height, width = size
    return 2 * positions / positions.new_tensor([width - 1, height - 1]) - 1


class SegmentationFolder(PairedFolder):
    """A folder of images and a folder of masks of equal names (of any suffix), whose grey levels are classes.

    Training takes random tiles of the images: deformed, mirrored, turned and with changed grey values, all of a batch
    at once on the device. Source and target of a pair are moved alike. Evaluation takes whole images. A target is a
    grey image whose levels are evenly spaced: -1 is the first class, 1 the last.

    Args:
        train: folder of the training images.
        masks: folder of the masks of the training images.
        test: folder of the reference images; null holds out some of the training images.
        test_masks: folder of the masks of the reference images, if `test` is given.
        held_out: names of the images that are the reference set and not trained on, if `test` is null: paths in `train`
            without suffix. Null: a random share.
        holdout: the random share that is held out, if `test` and `held_out` are null; with 0, all images are both
            trained on and evaluated against.
        levels: grey level, 0 to 255, of each class in the masks, in the order of the classes. [0, 255] makes black
            class 0, the background, and white class 1; [255, 0] makes white class 0 and black class 1.
        image_size: height and width to which images and masks are resampled, the masks to the nearest pixel.
        tile_size: height and width of the training tiles.
        tiles_per_image: tiles that an epoch takes from each training image; if `reference_split` is "train", each image
            is also evaluated that many times.
        border: pixels by which a tile may reach beyond its image, which is mirrored there. It is the margin of a
            network with valid convolutions, so that the network learns from all pixels; 0 for a padded network.
        fit: how images of another shape are brought to `image_size`: "crop" covers it and keeps the middle, "stretch"
            changes the aspect ratio.
        channels: of the images: 1 grey, 3 RGB, 4 RGBA.
        flip: mirror each tile left to right with probability 1/2.
        turn: turn each tile, which must be square, by 0, 90, 180 or 270 degrees.
        elastic: standard deviation, in pixels, of random displacement vectors on a coarse 3x3 grid over each image; 10
            in the paper; 0 turns deformation off.
        grey: largest change of contrast (as a factor 1 ± grey) and of brightness (in units of half the range) of a
            tile; the paper gives no number. 0 turns it off.
        bits: 16 keeps 16-bit grey images unchanged; 8 scales them.
        cache_dir: where decoded images are kept; null means the environment variable GAN_LIGHTNING_CACHE or
            ~/.cache/gan_lightning.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference and seed of `ImageDataModule`.

    NOTE: tiles are turned by right angles only, where the paper says "rotation invariance".
    """

    def __init__(
        self,
        train: Path,
        masks: Path,
        *,
        test: Path | None = None,
        test_masks: Path | None = None,
        held_out: Sequence[str] | None = None,
        holdout: ShareBelowOne = 0.2,
        levels: Sequence[NonNegativeInt] = (0, 255),
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 512,
        tile_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 256,
        tiles_per_image: PositiveInt = 1,
        border: NonNegativeInt = 0,
        fit: Literal["crop", "stretch"] = "crop",
        channels: Channels = 1,
        flip: bool = True,
        turn: bool = True,
        elastic: NonNegativeFloat = 10.0,
        grey: NonNegativeFloat = 0.2,
        bits: Literal[8, 16] = 8,
        cache_dir: Path | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            train,
            train_b=masks,
            test=test,
            test_b=test_masks,
            direction="AtoB",
            held_out=held_out,
            holdout=holdout,
            image_size=image_size,
            load_size=None,
            fit=fit,
            channels_source=channels,
            channels_target=1,
            bits=bits,
            flip=flip,
            cache_dir=cache_dir,
            **kwargs,
        )
        self.decoders[1] = MaskDecoder(self.image_size, channels=1, fit=fit)
        self.levels = list(levels)
        self.tile_size = height_and_width(tile_size)
        self.tiles_per_image = tiles_per_image
        self.border, self.turn, self.elastic, self.grey = border, turn, elastic, grey
        if (
            len(set(self.levels)) < 2
            or len(set(self.levels)) < len(self.levels)
            or not set(self.levels) <= {*range(256)}
        ):
            raise ValueError(f"levels={self.levels}: give two or more different grey levels from 0 to 255")
        if turn and self.tile_size[0] != self.tile_size[1]:
            raise ValueError(f"tiles of {self.tile_size} pixels are not square: make them so, or set turn to false")
        if any(tile > whole + 2 * border for tile, whole in zip(self.tile_size, self.image_size, strict=True)):
            raise ValueError(
                f"tiles of {self.tile_size} pixels cannot be cut from images of {self.image_size} and a border of "
                f"{border}: make tile_size smaller, or image_size or border larger"
            )

    @property
    def num_classes(self) -> int:
        """Number of classes: that of the levels."""
        return len(self.levels)

    def training_storage(self) -> PairedStorage:
        """Load the training pairs, without those that are held out; each pair comes `tiles_per_image` times."""
        pairs = super().training_storage()
        return pairs.subset(np.tile(np.arange(len(pairs)), self.tiles_per_image))

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> PairedBatch:
        """Take random tiles in training, else whole images; then make float32 in [-1, 1] of them."""
        assert isinstance(batch, PairedBatch)
        source, target = to_float(batch.source), batch.target
        if self.trainer is not None and self.trainer.training:
            draws = self.draws_for(batch)
            positions = tile_positions(
                draws,
                self.image_size,
                self.tile_size,
                border=self.border,
                flip=self.flip,
                turn=self.turn,
                elastic=self.elastic,
            )
            source = self._other_greys(sample(source, positions, "bilinear"), draws)
            target = sample(target.float(), positions, "nearest")
        classes = torch.zeros(256, device=target.device)
        classes[self.levels] = torch.linspace(-1, 1, len(self.levels), device=target.device)
        return PairedBatch(source, classes[target.long()])

    def _other_greys(self, tiles: Tensor, draws: BatchDraws) -> Tensor:
        """Change contrast and brightness of each tile at random."""
        if not self.grey:
            return tiles
        contrast, brightness = (self.grey * (2 * draws.uniform(1, 1, 1) - 1) for _ in range(2))
        return (tiles * (1 + contrast) + brightness).clamp(-1, 1)

    def _load(self, a: Path, b: Path | None) -> PairedStorage:
        pairs = super()._load(a, b)
        assert b is not None
        for file, mask in zip(matched(a, b)[1], pairs.target.values, strict=True):
            found = set(np.flatnonzero(np.bincount(mask.ravel())).tolist())
            if strange := sorted(found - {*self.levels}):
                raise ValueError(
                    f"{file} has the grey levels {', '.join(map(str, strange[:5]))}, which belong to no class: name "
                    f"all levels of the masks in levels, which are now {self.levels}, or fix the mask"
                )
        return pairs
