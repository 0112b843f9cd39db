"""A folder of images with captions, which a JSON, JSON-lines or CSV file states."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from datamodules.base import SPLIT_SEED, random_rows, stored_size
from datamodules.cache import decode_cached, default_cache_dir
from datamodules.decode import Channels, Decoder, Fit
from datamodules.folders import FolderModule, listed
from datamodules.storage import CaptionedStorage, digest
from gan_lightning.data.batches import CaptionedBatch
from gan_lightning.data.captions import read_captions
from gan_lightning.data.description import DataDescription
from gan_lightning.data.files import Page, composed, pages, shown, write_whole
from gan_lightning.data.texts import TextCoder, TextDescription, Vocabulary
from gan_lightning.ranges import PositiveInt, ShareBelowOne

PROMPTS = 64
"""Number of captions that a model keeps, of which it makes images if no others are given."""


class _Found(NamedTuple):
    """The images of the folder that have captions."""

    images: list[Page]
    sentences: list[list[str]]  # of each image
    classes: list[str]  # names of the classes; empty = there are none
    labels: np.ndarray | None  # int64 (N,), the class of each image


class CaptionedFolder(FolderModule):
    """A folder of images, in sub-folders of any depth, and a file of their captions, several for an image if you like.

    See `gan_lightning.data.captions.read_captions` for the file. Images are named by their paths in the folder. In
    training, each image comes with any of its captions, and with a wrong one: of another class if there are classes.
    The reference set has the first caption of each image.

    Args:
        train: folder of the images.
        captions: the file of captions: .json, .jsonl or .csv.
        text: codes the captions: a `Vocabulary` as token ids, which a network of the model embeds; or a
            `SentenceEncoder` as embeddings, once, into the cache. Null: a Vocabulary of the captions trained on.
        image_field: the field with an image's name. Null: image, file_name, file, ...
        caption_fields: the fields with captions. Null: caption, captions, text, ...
        class_field: the field with an image's class. Null: there are no classes, and a wrong caption is any other.
        uncaptioned: images without a caption are an "error", or are left out by "skip".
        split: "image" holds out a share of the images; "class" holds out all images of a share of the classes, so that
            the captions are of kinds that were never seen (zero-shot).
        holdout: the share that is the reference set and not trained on; with 0, all images are both.
        held_out: names of the classes that are held out, with split: class. Null: a random choice.
        image_size: height and width of the images that networks see.
        load_size: height and width of the images that are stored, from which training cuts `image_size` at random;
            null stores them at `image_size`.
        fit: how images of another shape are brought to `load_size`: "crop" covers it and keeps the middle, "stretch"
            changes the aspect ratio, "pad" fits the image inside and adds black borders.
        channels: 1 grey, 3 RGB, 4 RGBA. With 1 or 3, transparent images are laid over white.
        bits: 16 keeps 16-bit images unchanged (see `Decoder`); 8 scales them.
        cache_dir: where decoded images and embeddings are kept; null means the environment variable
            GAN_LIGHTNING_CACHE or ~/.cache/gan_lightning.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference, flip and seed of
            `ImageDataModule`.
    """

    batch_type = CaptionedBatch
    train: Path
    test: None

    def __init__(
        self,
        train: Path,
        captions: Path,
        *,
        text: TextCoder | None = None,
        image_field: str | None = None,
        caption_fields: Sequence[str] | None = None,
        class_field: str | None = None,
        uncaptioned: Literal["error", "skip"] = "error",
        split: Literal["image", "class"] = "image",
        holdout: ShareBelowOne = 0.1,
        held_out: Sequence[str] | None = None,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 64,
        load_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None,
        fit: Fit = "crop",
        channels: Channels = 3,
        bits: Literal[8, 16] = 8,
        cache_dir: Path | None = None,
        **kwargs: Any,
    ):
        super().__init__(image_size, holdout, cache_dir, **kwargs)
        if split == "class" and class_field is None:
            raise ValueError("split: class holds out classes, and there are none: name the field that has them")
        if held_out is not None and split != "class":
            raise ValueError(f"held_out={list(held_out)} names classes: set split to class")
        self.train, self.test, self.captions = Path(train), None, Path(captions)
        self.text = text or Vocabulary()
        self.fields: dict[str, Any] = {
            "image_field": image_field,
            "caption_fields": caption_fields,
            "class_field": class_field,
        }
        self.uncaptioned, self.split, self.held_out = uncaptioned, split, held_out
        self.decoder = Decoder(stored_size(image_size, load_size), channels, bits, fit)

    @property
    def num_classes(self) -> int | None:
        """Number of classes; None if there are none."""
        return len(self.found.classes) or None

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        return self.found.classes

    def training_storage(self) -> CaptionedStorage:
        """Load the images to train on.

        Raises:
            ValueError: all have the same caption.
        """
        storage = self._whole.subset(self._rows[0])
        if not storage.has_wrong_captions:
            raise ValueError(
                f"all {len(storage)} images of {shown(self.captions)} that are trained on have the same caption, so "
                "that none is wrong for any: give images with others too"
            )
        return storage

    def reference_storage(self) -> CaptionedStorage:
        """Load the images that are held out."""
        return self._whole.subset(self._rows[1])

    def describe(self) -> DataDescription:
        """Describe the items of this stage, and the captions."""
        whole, rows = self._whole, self._rows[1]
        chosen = rows if len(rows) <= PROMPTS else rows[random_rows(len(rows), PROMPTS)]
        firsts = whole.first_captions(chosen.tolist())
        sentences = tuple(self.found.sentences[row][0] for row in chosen.tolist())
        return replace(super().describe(), text=TextDescription(self.coder, sentences, whole.codes[firsts]))

    @cached_property
    def found(self) -> _Found:
        """The images that have captions."""
        captions = read_captions(self.captions, **self.fields)
        images = {composed(page.name(self.train)): page for page in pages(self.train)}
        where, file = shown(self.train), shown(self.captions)
        if missing := [name for name in captions if name not in images]:
            raise FileNotFoundError(
                f"{file} has captions of {listed(missing)}, which {'is' if len(missing) == 1 else 'are'} no image in "
                f"{where} ({len(missing):,} such names): its names are relative to that folder"
            )
        alone = [name for name in images if name not in captions]
        if alone and self.uncaptioned == "error":
            raise ValueError(
                f"{len(alone):,} images of {where} have no caption in {file} ({listed(alone)}): write one for each, or "
                "set uncaptioned to skip, to leave them out"
            )
        names = [name for name in images if name in captions]
        kinds = [captions[name].label for name in names]
        classes = sorted({kind for kind in kinds if kind is not None})
        number = {kind: index for index, kind in enumerate(classes)}
        labels = np.array([number[kind] for kind in kinds if kind is not None]) if classes else None
        return _Found([images[name] for name in names], [captions[name].sentences for name in names], classes, labels)

    @cached_property
    def coder(self) -> TextCoder:
        """The coder of captions, which has learnt from those that are trained on."""
        return self.text.learn([each for row in self._rows[0].tolist() for each in self.found.sentences[row]])

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """The images to train on, and those that are held out."""
        found = self.found
        if self.split == "image" or found.labels is None:
            return self._split_rows(len(found.images))
        names = self._held_classes()
        held = np.isin(found.labels, [found.classes.index(name) for name in names])
        if not names:
            return (np.arange(len(held)),) * 2
        return np.flatnonzero(~held), np.flatnonzero(held)

    def _held_classes(self) -> list[str]:
        """Return the names of the classes that are held out."""
        classes, file = self.found.classes, shown(self.captions)
        if self.held_out is not None:
            if strange := [name for name in self.held_out if name not in classes]:
                raise ValueError(f"held_out names {listed(strange)}, which {file} has no class of: {listed(classes)}")
            names = [*self.held_out]
        else:
            count = max(round(self.holdout * len(classes)), min(1, round(self.holdout + 0.5)))
            random = np.random.default_rng(SPLIT_SEED)
            names = [classes[place] for place in sorted(random.choice(len(classes), count, replace=False))]
        if len(names) > len(classes) - 2:
            raise ValueError(
                f"{len(names)} of {len(classes)} classes of {file} are held out, which leaves less than two to train "
                "on: give more classes, or make holdout smaller"
            )
        return names

    @cached_property
    def _whole(self) -> CaptionedStorage:
        """All images with their captions."""
        found = self.found
        texts = [text for each in found.sentences for text in each]
        owners = np.repeat(np.arange(len(found.images)), [len(each) for each in found.sentences])
        different = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        numbers = np.array([different[text] for text in texts])
        codes = coded(self.coder, list(different), self.cache_dir)[torch.from_numpy(numbers)]
        images = decode_cached(self.train, found.images, self.decoder, self.cache_dir)
        labels = None if found.labels is None else torch.from_numpy(found.labels)
        return CaptionedStorage(images, owners, codes, numbers, labels)


def coded(coder: TextCoder, sentences: Sequence[str], cache_dir: Path | None = None) -> Tensor:
    """Return the codes of sentences, (N, ...). Embeddings are computed once, and kept in the cache.

    A file in the cache that cannot be read, or holds other codes, is made again.

    Raises:
        OSError: the cache cannot be written.
    """
    if coder.vocabulary:
        return coder(sentences)
    folder = default_cache_dir() if cache_dir is None else Path(cache_dir)
    path = folder / f"texts-{digest(coder.fingerprint, list(sentences))}.safetensors"
    try:
        content = load(path.read_bytes())
        codes, sum_ = content["codes"], content["digest"]
        if codes.dtype == torch.float32 and len(codes) == len(sentences) and torch.equal(sum_, _sum(codes)):
            return codes
    except (OSError, KeyError, SafetensorError, ValueError):  # absent or damaged
        pass
    codes = coder(sentences)
    write_whole(path, lambda part: save_file({"codes": codes, "digest": _sum(codes)}, part))
    return codes


def _sum(codes: Tensor) -> Tensor:
    return torch.frombuffer(bytearray(bytes.fromhex(digest(codes.numpy()))), dtype=torch.uint8)
