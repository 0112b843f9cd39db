"""Folders of label maps and of the pictures that they belong to, with instance maps if there are any."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from datamodules.cache import decode_cached
from datamodules.decode import Channels
from datamodules.folders import PairedFolder
from datamodules.segmentation import MaskDecoder
from datamodules.storage import PairedStorage, Pixels, digest
from gan_lightning.data.description import DataDescription
from gan_lightning.data.files import Page, deep_values, matched, open_image, shallow
from gan_lightning.data.labels import LabelCodes, classes_of, read_palette
from gan_lightning.ranges import PositiveInt, ShareBelowOne

_BLACK_AND_WHITE = LabelCodes.of([0, 255])


@dataclass(frozen=True)
class LabelDecoder(MaskDecoder):
    """Decodes a label map to the class of each pixel, uint8 (1, H, W), resampled to the nearest pixel.

    Args:
        codes: the grey levels or colours of the classes.
    """

    codes: LabelCodes = _BLACK_AND_WHITE

    def __call__(self, image: Path | Page) -> np.ndarray:
        """Return the classes.

        Raises:
            Exception: as from `open_image`.
            ValueError: a pixel has no class; the message lists the labels.
        """
        classes = classes_of(_stored(image), self.codes.table)
        return np.asarray(self._resample(Image.fromarray(classes)))[None]


@dataclass(frozen=True)
class InstanceDecoder(MaskDecoder):
    """Decodes an instance map, grey with 8 or 16 bits, to the high and the low byte of its numbers, uint8 (2, H, W)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of every array: (2, H, W)."""
        return (2, *self.size)

    def __call__(self, image: Path | Page) -> np.ndarray:
        """Return the two bytes of each pixel, resampled to the nearest pixel.

        Raises:
            Exception: as from `open_image`.
            ValueError: the file has colours.
        """
        values = _stored(image)
        if values.shape[2] > 1:
            raise ValueError(
                f"it has {values.shape[2]} channels, and instance maps are grey: save the number of each pixel's "
                "instance as a grey level, with 8 or 16 bits"
            )
        numbers = np.asarray(self._resample(Image.fromarray(values[..., 0].astype(np.int32))))
        return np.stack([numbers >> 8, numbers & 255]).astype(np.uint8)


def _stored(image: Path | Page) -> np.ndarray:
    """Return the pixels in a file as they are, uint8 or uint16 (H, W, C)."""
    with open_image(image) as opened:
        values = deep_values(opened, image)
        if values is None:
            values = np.array(shallow(ImageOps.exif_transpose(opened)))
    return values.reshape(*values.shape[:2], -1)


class Stacked(Pixels):
    """The channels of several images of each item, one after the other.

    Args:
        parts: the images, as many of each kind and equally large.
    """

    def __init__(self, parts: Sequence[Pixels]) -> None:
        super().__init__(parts[0].values, digest("stacked", *(part.fingerprint for part in parts)), parts[0].rows)
        self.parts = parts

    def take(self, rows: Tensor) -> Tensor:
        """Return the images with these indices, int64 (n,), as uint8 (n, C, H, W)."""
        return torch.cat([part.take(rows) for part in self.parts], dim=1)

    def subset(self, rows: np.ndarray) -> "Stacked":
        """Return only the images with these indices, int64 (n,), in this order."""
        return Stacked([part.subset(rows) for part in self.parts])


class LabelFolder(PairedFolder):
    """A folder of label maps, and a folder of pictures of equal names (of any suffix).

    A label map is an image whose grey levels, or colours, stand for classes. Sources are label maps with one channel,
    in which class c has the grey level c; as floats they are in [-1, 1] like all images. With instance maps, sources
    have two more channels: the high and the low byte of each pixel's instance number.

    Give the labels of the classes by one of `num_classes`, `levels` and `palette`.

    Args:
        train: folder of the label maps to train on.
        images: folder of the pictures of these label maps.
        instances: folder of their instance maps: grey images, of 8 or 16 bits, in which each object has another number.
            Null: there are none.
        test: folder of the label maps of the reference set; null holds out some of the training set.
        test_images: folder of the pictures of the reference set, if `test` is given.
        test_instances: folder of its instance maps, if both `test` and `instances` are given.
        num_classes: the grey levels 0 to num_classes - 1 are the classes.
        levels: the grey level of each class, 0 to 255, in the order of the classes.
        palette: the colour of each class, such as "#804080", in the order of the classes; or a text file with one class
            a line: its colour, and after a space its name.
        void: grey levels (colours, with a palette) of pixels of no class. They are one more class, the last.
        class_names: names of the classes, without void. Null: those of the palette's file, or none.
        held_out: names of the label maps that are the reference set and not trained on, if `test` is null: paths in
            `train` without suffix. Null: a random share.
        holdout: the random share that is held out, if `test` and `held_out` are null; with 0, all pairs are both
            trained on and evaluated against.
        image_size: height and width of the label maps and pictures that networks see.
        load_size: height and width of those that are stored, from which training cuts `image_size` at random; null
            stores them at `image_size`.
        fit: how images of another shape are brought to `load_size`: "crop" covers it and keeps the middle, "stretch"
            changes the aspect ratio. Label and instance maps are resampled to the nearest pixel.
        channels: of the pictures: 1 grey, 3 RGB, 4 RGBA. With 1 or 3, transparent pictures are laid over white.
        cache_dir: where decoded images are kept; null means the environment variable GAN_LIGHTNING_CACHE or
            ~/.cache/gan_lightning.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference, flip and seed of `ImageDataModule`.
    """

    def __init__(
        self,
        train: Path,
        images: Path,
        *,
        instances: Path | None = None,
        test: Path | None = None,
        test_images: Path | None = None,
        test_instances: Path | None = None,
        num_classes: PositiveInt | None = None,
        levels: Sequence[int] | None = None,
        palette: Path | Sequence[str] | None = None,
        void: Sequence[int | str] = (),
        class_names: Sequence[str] | None = None,
        held_out: Sequence[str] | None = None,
        holdout: ShareBelowOne = 0.1,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 256,
        load_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None,
        fit: Literal["crop", "stretch"] = "crop",
        channels: Channels = 3,
        cache_dir: Path | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            train,
            train_b=images,
            test=test,
            test_b=test_images,
            held_out=held_out,
            holdout=holdout,
            image_size=image_size,
            load_size=load_size,
            fit=fit,
            channels_target=channels,
            cache_dir=cache_dir,
            **kwargs,
        )
        if (test_instances is not None) != (test is not None and instances is not None):
            raise ValueError(
                f"instances={instances}, test={test} and test_instances={test_instances} do not fit together: give "
                "instance maps for both sets, or for neither"
            )
        self.codes, self._names = _codes(num_classes, levels, palette, void)
        if class_names is not None:
            self._names = tuple(class_names)
        if self._names and len(self._names) != len(self.codes.classes):
            raise ValueError(
                f"class_names names {len(self._names)} classes, and the label maps have {len(self.codes.classes)}: "
                "name each class once, without void"
            )
        self.instances, self.test_instances = instances, test_instances
        stored = self.decoders[1].size
        self.decoders[0] = LabelDecoder(stored, channels=1, fit=fit, codes=self.codes)
        self.instance_decoder = InstanceDecoder(stored, channels=1, fit=fit)

    @property
    def num_classes(self) -> int:
        """Number of classes, with void if there is any."""
        return self.codes.num_classes

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes, the last one "void" if there is any; empty if they have none."""
        return [*self._names, *(["void"] if self.codes.void else [])] if self._names else []

    def describe(self) -> DataDescription:
        """Describe the items of this stage, by one of them, with the labels of the classes."""
        return replace(super().describe(), labels=self.codes.table)

    def _load(self, a: Path, b: Path | None) -> PairedStorage:
        pairs = super()._load(a, b)
        folder = self.instances if a == self.train[0] else self.test_instances
        if folder is None:
            return pairs
        found = decode_cached(Path(folder), matched(a, Path(folder))[1], self.instance_decoder, self.cache_dir)
        if len(found) != len(pairs):
            raise ValueError(
                f"{folder} has {len(found)} instance maps of the {len(pairs)} label maps in {a}, some of which are "
                "links to others: give each label map one picture and one instance map"
            )
        return PairedStorage(Stacked([pairs.source, found]), pairs.target)


def _codes(
    num_classes: int | None,
    levels: Sequence[int] | None,
    palette: Path | Sequence[str] | None,
    void: Sequence[int | str],
) -> tuple[LabelCodes, tuple[str, ...]]:
    """Return the codes of the classes, and their names if a palette's file has some.

    Raises:
        ValueError: there are several ways, or none, in which the classes are given.
    """
    given = [value for value in (num_classes, levels, palette) if value is not None]
    if len(given) != 1:
        raise ValueError(
            f"num_classes={num_classes}, levels={levels}, palette={palette}: give exactly one of them, which says what "
            "the label maps' grey levels or colours stand for"
        )
    if num_classes is not None:
        return LabelCodes.of(range(num_classes), void), ()
    if levels is not None:
        return LabelCodes.of(levels, void), ()
    if isinstance(palette, str | Path):
        colours, names = read_palette(Path(palette))
        return LabelCodes.of(colours, void), tuple(names)
    assert palette is not None
    return LabelCodes.of(palette, void), ()
