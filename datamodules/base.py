"""The base class of all datamodules: loaders, their position in a checkpoint, and the work on batches on the device."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import lightning as L
import numpy as np
import torch

from datamodules.augmentation import BatchDraws, augment, centre_crop
from datamodules.loader import ReferenceLoader, TrainingLoader
from datamodules.storage import ImageStorage, PartlyLabelledStorage, Pixels, Storage
from gan_lightning.data.batches import Batch, ImageBatch, batch_length, fields_of, map_pictures
from gan_lightning.data.description import DataDescription
from gan_lightning.data.images import to_float
from gan_lightning.ranges import Checked, NonNegativeInt, PositiveInt

_BINARISED = 2  # separates these random numbers from others of the same seed
SPLIT_SEED = 0  # of hold-outs and reference subsets: independent of `seed`, so that scores can be compared


def random_rows(total: int, count: int) -> np.ndarray:
    """Choose `count` of the indices below `total`, int64, ascending, and equal in every run and on every machine."""
    return np.sort(np.random.default_rng(SPLIT_SEED).choice(total, count, replace=False))


def height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return a size as (height, width); one number is the side of a square."""
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ValueError(f"an image cannot be {height} pixels high and {width} wide: give positive numbers")
    return height, width


def stored_size(image_size: int | tuple[int, int], load_size: int | tuple[int, int] | None) -> tuple[int, int]:
    """Height and width of stored images: `load_size`, from which `image_size` is cut; if None, `image_size`."""
    image = height_and_width(image_size)
    stored = image if load_size is None else height_and_width(load_size)
    if stored[0] < image[0] or stored[1] < image[1]:
        raise ValueError(f"images of image_size={image} cannot be cut from load_size={stored}: make load_size larger")
    return stored


def partly_labelled(storage: ImageStorage, per_class: int, label_set: int = 0) -> PartlyLabelledStorage:
    """Keep the labels of `per_class` images of each class, the same in every run, and label all others -1.

    Another `label_set` keeps those of other images.

    Raises:
        ValueError: a class has fewer images, or there are no class labels.
    """
    if storage.labels is None or storage.labels.ndim != 1:
        raise ValueError(f"labels_per_class={per_class}, but these images have no class labels: set it to null")
    counts = storage.labels.bincount()
    if not 1 <= per_class <= counts.min():
        raise ValueError(
            f"labels_per_class={per_class}, but class {int(counts.argmin())} has {int(counts.min())} images: make it "
            f"1 to {int(counts.min())}, or null for all labels"
        )
    rng = np.random.default_rng(SPLIT_SEED + label_set)
    hidden = torch.full_like(storage.labels, -1)
    for label in range(len(counts)):
        rows = rng.choice((storage.labels == label).nonzero().flatten().numpy(), per_class, replace=False)
        hidden[rows] = label
    return PartlyLabelledStorage(storage.images, hidden)


def white_or_black(images: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Return uint8 images as black and white: a value is white if its brightness exceeds a number from 0 to 1."""
    if images.dtype != torch.uint8:
        raise ValueError(f"images of 8 bits are made black and white, and these are {images.dtype}: set binarise: null")
    return (uniform * 255 < images).to(torch.uint8) * 255


def binarised(storage: Storage, key: int) -> ImageStorage:
    """Return a set whose images are black and white, drawn once; equal in every run and on every machine.

    Raises:
        ValueError: it is no set of single images of 8 bits.
    """
    if not isinstance(storage, ImageStorage) or storage.images.values.dtype != np.uint8:
        raise ValueError("binarise makes single images of 8 bits black and white, and these data are others: null")
    images, rng = storage.images, np.random.default_rng((SPLIT_SEED, _BINARISED, key))
    values = np.empty((len(images), *images.values.shape[1:]), np.uint8)
    for rows in np.array_split(np.arange(len(images)), max(1, len(images) // 4096)):
        grey = images.take(torch.from_numpy(rows))
        values[rows] = white_or_black(grey, torch.from_numpy(rng.random(grey.shape, dtype=np.float32))).numpy()
    return ImageStorage(Pixels(values), storage.labels)


class ImageDataModule(Checked, L.LightningDataModule, ABC):
    """A training set that is shuffled and augmented, and a reference set for evaluation, which is neither.

    Validation, test and prediction all use the reference set. Batches hold integers until they are on the device. There
    they become float32 in [-1, 1] and of `image_size`: by a random crop (and flip) in training, else by a centre crop.

    Args:
        image_size: height and width of the images that networks see.
        batch_size: training images (or pairs) in a step, on all ranks together; the remainder of an epoch is left out.
            A model that grows has batch sizes of its own (`gan_lightning.data.growth`). Null: the model's
            `advised_batch_size`, for those that have one.
        eval_batch_size: reference images (or pairs) in a batch, on all ranks together.
        reference_split: the images that generated ones are compared with: "test" are images that are not trained on;
            "train" are the training images, as for many published scores. Neither is augmented.
        num_reference: number of reference images, a random choice that is equal in every run; null uses all.
        flip: mirror each training image left to right with probability 1/2.
        binarise: make images black and white, each value white with its brightness as the probability: "fixed" = drawn
            once for each image; "drawn" = drawn anew for each batch of training, and once for the reference set. Null:
            leave images as they are. For data that are kept in memory.
        seed: seed of the order of the training images, and of their crops, flips and draws.

    Attributes:
        batch_type: the NamedTuple of `gan_lightning.data.batches` that the loaders yield.
        labels_per_class: for semi-supervised training, how many images of each class keep their label. The others
            get the label -1, and half of every training batch is labelled (see `PartlyLabelledStorage`). The reference
            set keeps its labels. None: all images keep their labels.
        label_set: number of the choice of these images, which is equal in every run.
    """

    batch_type: ClassVar[type[Batch]] = ImageBatch
    labels_per_class: int | None = None
    label_set: int = 0

    @property
    def bits(self) -> int:
        """Bits of each channel of the stored images: 8 or 16."""
        decoder = next(iter(getattr(self, "decoders", [])), getattr(self, "decoder", None))
        return getattr(decoder, "bits", 8)

    def __init__(
        self,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt],
        *,
        batch_size: PositiveInt | None = 64,
        eval_batch_size: PositiveInt = 256,
        reference_split: Literal["test", "train"] = "test",
        num_reference: PositiveInt | None = None,
        flip: bool = False,
        binarise: Literal["fixed", "drawn"] | None = None,
        seed: NonNegativeInt = 0,
    ):
        super().__init__()
        self.binarise = binarise
        self.image_size = height_and_width(image_size)
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.reference_split = reference_split
        self.num_reference = num_reference
        self.flip = flip
        self.seed = seed
        self.allow_zero_length_dataloader_with_multiple_devices = True  # for a tiny reference set on many ranks
        self._training: TrainingLoader | None = None
        self._reference: Storage | None = None

    @abstractmethod
    def training_storage(self) -> Storage:
        """Load the training set; any error in it is raised here, before the first step."""

    @abstractmethod
    def reference_storage(self) -> Storage:
        """Load the whole reference set."""

    @property
    def num_classes(self) -> int | None:
        """Number of classes of the labels, or of class maps; None if there are none."""
        return None

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes in the order of their numbers; empty if they have none."""
        return ()

    @property
    def attribute_names(self) -> Sequence[str]:
        """Names of the attributes in their order; empty if they have none."""
        return ()

    @property
    def values_protocol(self) -> str:
        """How the values of reference images come about, beside numbers that depend on it."""
        return {
            "fixed": "black and white, drawn once for each image",
            "drawn": "black and white, drawn anew in training and once for the reference set",
            None: f"values of {self.bits} bits",
        }[self.binarise]

    def describe(self) -> DataDescription:
        """Describe the items of this stage, by one of them."""
        training = self._training is not None and self.trainer is not None and self.trainer.training
        storage = self._training.storage if training and self._training is not None else self._reference
        assert storage is not None, "call setup first"
        item = self.on_after_batch_transfer(storage.batch(storage.order()[:1]), 0)
        named = zip(fields_of(type(item)), item, strict=True)
        shapes = {name: tuple(values.shape[1:]) for name, values in named if values is not None}
        names = tuple(self.attribute_names) if self.num_classes is None else tuple(self.classes)
        return DataDescription(type(item), len(storage), self.num_classes, shapes, names)

    def setup(self, stage: str) -> None:
        """Load the sets that the stage ("fit", "validate", "test" or "predict") needs.

        Raises:
            ValueError, FileNotFoundError: the data are wrong; the message says what, where, and what to do.
        """
        if stage == "fit":
            if self.trainer is not None and self.trainer.overfit_batches:  # type: ignore[attr-defined]
                raise ValueError(
                    "overfit_batches would not repeat the same batches, because the training stream never restarts:"
                    " give a training set of that many images instead"
                )
            training = self._checked(self.training_storage(), "training")
            if self.binarise == "fixed":
                training = binarised(training, key=0)
            if self.labels_per_class is not None and isinstance(training, ImageStorage):
                training = partly_labelled(training, self.labels_per_class, self.label_set)
            growth = None if self.trainer is None else getattr(self.trainer.lightning_module, "growth", None)
            self._training = TrainingLoader(training, self._batch_size(), self.seed, growth=growth, **self._ranks())
        if self._reference is None:
            of_training = self.reference_split == "train"
            reference = self._checked(self.training_storage() if of_training else self.reference_storage(), "reference")
            if self.binarise is not None:
                reference = binarised(reference, key=0 if of_training else 1)
            self._reference = self._chosen(reference)

    def train_dataloader(self) -> TrainingLoader:
        """Return the loader of the shuffled training set, one object for the whole fit, which keeps its position."""
        assert self._training is not None, 'call setup("fit") first'
        return self._training

    def val_dataloader(self) -> ReferenceLoader:
        """Return a loader of the reference set."""
        assert self._reference is not None, 'call setup("validate") first'
        return ReferenceLoader(
            self._reference, self.eval_batch_size, self.image_size, split=self.reference_split, **self._ranks()
        )

    def lesson_dataloader(self) -> ReferenceLoader:
        """Return a loader of the training set in its stored order, not augmented, for metrics that learn from it."""
        storage = self.training_storage() if self._training is None else self._training.storage
        return ReferenceLoader(storage, self.eval_batch_size, self.image_size, split="train", **self._ranks())

    def test_dataloader(self) -> ReferenceLoader:
        """Return a loader of the reference set."""
        return self.val_dataloader()

    def predict_dataloader(self) -> ReferenceLoader:
        """Return a loader of the reference set."""
        return self.val_dataloader()

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Cut at random and flip in training, else cut out the middle; then make float32 in [-1, 1] of integers."""
        # cut as integers, which are a quarter of the bytes
        if self.trainer is not None and self.trainer.training:
            draws = self.draws_for(batch)
            cut = augment(batch, self.image_size, self.flip, draws)
            if self.binarise == "drawn":
                cut = map_pictures(cut, lambda images: white_or_black(images, draws.uniform(*images.shape[1:])))
        else:
            cut = centre_crop(batch, self.image_size)
        return map_pictures(cut, to_float)

    def draws_for(self, batch: Batch) -> BatchDraws:
        """Return the random numbers that augment a training batch, the last one that the loader returned."""
        loader = self.train_dataloader()
        at = loader.state_dict()
        key = self.seed, at["epoch"], at["position"]
        return BatchDraws(key, batch_length(batch), loader.rank, loader.world_size, batch[0].device)

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the training stream; Lightning drops the loader's own state at the end of an epoch."""
        return {} if self._training is None else self._training.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the training stream where that of the checkpoint was, if this run trains."""
        if self._training is not None:
            self._training.load_state_dict(state_dict)

    def _batch_size(self) -> int:
        """Return the batch size: that of the model if none is given.

        Raises:
            ValueError: none is given, and the model advises none.
        """
        if self.batch_size is not None:
            return self.batch_size
        model = None if self.trainer is None else self.trainer.lightning_module
        advised = getattr(model, "advised_batch_size", None)
        if advised is None:
            name = "there is no model" if model is None else f"{type(model).__name__} has no advice"
            raise ValueError(f"data.batch_size is null, which leaves it to the model, and {name}: give a number")
        return advised(*self.image_size, self._ranks()["world_size"])

    def _ranks(self) -> dict[str, int]:
        trainer = self.trainer
        return {} if trainer is None else {"rank": trainer.global_rank, "world_size": trainer.world_size}

    def _chosen(self, reference: Storage) -> Storage:
        """Return `num_reference` items of the reference set."""
        if self.num_reference is None:
            return reference
        if not 1 <= self.num_reference <= len(reference):
            raise ValueError(
                f"num_reference={self.num_reference}, but the reference set has {len(reference)} items:"
                f" make it 1 to {len(reference)}, or null for all"
            )
        return reference.subset(random_rows(len(reference), self.num_reference))

    def _checked(self, storage: Storage, name: str) -> Storage:
        """Return the storage, if it has items and all its class labels are in range."""
        if not len(storage):
            raise ValueError(f"the {name} set of {type(self).__name__} has no items: give it some")
        if (classes := self.num_classes) is None:
            return storage
        for labels in storage.class_labels().values():
            wrong = ((labels < 0) | (labels >= classes)).nonzero().flatten()
            if len(wrong):
                first = int(wrong[0])
                raise ValueError(
                    f"the {name} set of {type(self).__name__} has {len(wrong)} labels outside"
                    f" 0..{classes - 1}, the first is {int(labels[first])} of image {first}:"
                    " fix its label file, or download it again"
                )
        return storage
