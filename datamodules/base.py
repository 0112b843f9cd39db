"""What all datamodules share: loaders, their position in a checkpoint, and what happens to a batch on the device."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import lightning as L
import numpy as np
import torch

from datamodules.augmentation import BatchDraws, augment, centre_crop
from datamodules.loader import ReferenceLoader, TrainingLoader
from datamodules.storage import ImageStorage, PartlyLabelledStorage, Storage
from gan_lightning.data.batches import Batch, ImageBatch, batch_length, fields_of, map_pictures
from gan_lightning.data.description import DataDescription
from gan_lightning.data.images import to_float
from gan_lightning.ranges import Checked, NonNegativeInt, PositiveInt

SPLIT_SEED = 0  # of hold-outs and reference subsets: they stay the same whatever `seed` is, so that scores compare


def random_rows(total: int, count: int) -> np.ndarray:
    """`count` of the indices below `total`, int64 and ascending: the same ones in every run and on every machine."""
    return np.sort(np.random.default_rng(SPLIT_SEED).choice(total, count, replace=False))


def height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """A size as (height, width): one number is the side of a square."""
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ValueError(f"an image cannot be {height} pixels high and {width} wide: give positive numbers")
    return height, width


def stored_size(image_size: int | tuple[int, int], load_size: int | tuple[int, int] | None) -> tuple[int, int]:
    """Height and width of stored images: `load_size`, from which `image_size` is cut; or, where None, `image_size`."""
    image = height_and_width(image_size)
    stored = image if load_size is None else height_and_width(load_size)
    if stored[0] < image[0] or stored[1] < image[1]:
        raise ValueError(f"images of image_size={image} cannot be cut from load_size={stored}: make load_size larger")
    return stored


def partly_labelled(storage: ImageStorage, per_class: int) -> PartlyLabelledStorage:
    """The images with the labels of `per_class` of each class, the same ones in every run, and -1 for all others.

    Raises:
        ValueError: if a class has fewer, or there are no class labels.
    """
    if storage.labels is None or storage.labels.ndim != 1:
        raise ValueError(f"labels_per_class={per_class}, but these images have no class labels: set it to null")
    counts = storage.labels.bincount()
    if not 1 <= per_class <= counts.min():
        raise ValueError(
            f"labels_per_class={per_class}, but class {int(counts.argmin())} has {int(counts.min())} images: make it "
            f"1 to {int(counts.min())}, or null for all labels"
        )
    rng = np.random.default_rng(SPLIT_SEED)
    hidden = torch.full_like(storage.labels, -1)
    for label in range(len(counts)):
        rows = rng.choice((storage.labels == label).nonzero().flatten().numpy(), per_class, replace=False)
        hidden[rows] = label
    return PartlyLabelledStorage(storage.images, hidden)


class ImageDataModule(Checked, L.LightningDataModule, ABC):
    """A training set that is shuffled and augmented, and a reference set to evaluate against, whole and as it is.

    Validation, test and prediction all run over the reference set. Batches hold integers until they are on the device;
    there they become float32 in [-1, 1] and `image_size`: in training by a random crop (and flip), else by the middle.

    Args:
        image_size: height and width of the images that networks see.
        batch_size: training images (or pairs) a step, over all ranks together; the remainder of an epoch is left out.
            A model that grows states its own, by size (`gan_lightning.data.growth`).
        eval_batch_size: reference images (or pairs) a batch, over all ranks together.
        reference_split: what generated images are compared with: "test", the images that are not trained on, or
            "train", those that are, as published scores often do; not augmented either way.
        num_reference: use only so many reference images, a random choice that is the same in every run; null uses all.
        flip: mirror each training image left to right half of the time.
        seed: names the order of the training images, and their crops and flips.

    Attributes:
        batch_type: the NamedTuple of `gan_lightning.data.batches` that the loaders yield.
        labels_per_class: for semi-supervised training, how many images of each class keep their label; the others
            train with -1, and half of every training batch is labelled (see `PartlyLabelledStorage`). The reference
            set keeps its labels. None: all do, and batches are as they come.
    """

    batch_type: ClassVar[type[Batch]] = ImageBatch
    labels_per_class: int | None = None

    @property
    def bits(self) -> int:
        """Of each channel of the stored images: 8 or 16."""
        decoder = next(iter(getattr(self, "decoders", [])), getattr(self, "decoder", None))
        return getattr(decoder, "bits", 8)

    def __init__(
        self,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt],
        *,
        batch_size: PositiveInt = 64,
        eval_batch_size: PositiveInt = 256,
        reference_split: Literal["test", "train"] = "test",
        num_reference: PositiveInt | None = None,
        flip: bool = False,
        seed: NonNegativeInt = 0,
    ):
        super().__init__()
        self.image_size = height_and_width(image_size)
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.reference_split = reference_split
        self.num_reference = num_reference
        self.flip = flip
        self.seed = seed
        self.allow_zero_length_dataloader_with_multiple_devices = True  # a tiny reference set, and many ranks
        self._training: TrainingLoader | None = None
        self._reference: Storage | None = None

    @abstractmethod
    def training_storage(self) -> Storage:
        """The training set; any error in it is raised here, before the first step."""

    @abstractmethod
    def reference_storage(self) -> Storage:
        """The whole reference set."""

    @property
    def num_classes(self) -> int | None:
        """Number of classes of the labels, or of class maps; None without them."""
        return None

    def describe(self) -> DataDescription:
        """What is served at this stage, by one item of it."""
        training = self._training is not None and self.trainer is not None and self.trainer.training
        storage = self._training.storage if training and self._training is not None else self._reference
        assert storage is not None, "call setup first"
        item = self.on_after_batch_transfer(storage.batch(storage.order()[:1]), 0)
        named = zip(fields_of(type(item)), item, strict=True)
        shapes = {name: tuple(values.shape[1:]) for name, values in named if values is not None}
        return DataDescription(type(item), len(storage), self.num_classes, shapes)

    def setup(self, stage: str) -> None:
        """Load the sets that the stage ("fit", "validate", "test" or "predict") needs.

        Raises:
            ValueError, FileNotFoundError: what is wrong with the data, where, and what to do.
        """
        if stage == "fit":
            if self.trainer is not None and self.trainer.overfit_batches:  # type: ignore[attr-defined]
                raise ValueError(
                    "overfit_batches would not repeat the same batches, for the training stream never rewinds:"
                    " give a training set of so few images instead"
                )
            training = self._checked(self.training_storage(), "training")
            if self.labels_per_class is not None and isinstance(training, ImageStorage):
                training = partly_labelled(training, self.labels_per_class)
            growth = None if self.trainer is None else getattr(self.trainer.lightning_module, "growth", None)
            self._training = TrainingLoader(training, self.batch_size, self.seed, growth=growth, **self._ranks())
        if self._reference is None:
            reference = self.training_storage() if self.reference_split == "train" else self.reference_storage()
            self._reference = self._chosen(self._checked(reference, "reference"))

    def train_dataloader(self) -> TrainingLoader:
        """The shuffled training set. The same object for the whole of a fit, so that its position is never lost."""
        assert self._training is not None, 'call setup("fit") first'
        return self._training

    def val_dataloader(self) -> ReferenceLoader:
        """The reference set."""
        assert self._reference is not None, 'call setup("validate") first'
        return ReferenceLoader(
            self._reference, self.eval_batch_size, self.image_size, split=self.reference_split, **self._ranks()
        )

    def test_dataloader(self) -> ReferenceLoader:
        """The reference set."""
        return self.val_dataloader()

    def predict_dataloader(self) -> ReferenceLoader:
        """The reference set."""
        return self.val_dataloader()

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """A random crop and flip in training, else the middle; then integers to float32 in [-1, 1]."""
        # cut as integers, which are a quarter of the bytes
        if self.trainer is not None and self.trainer.training:
            cut = augment(batch, self.image_size, self.flip, self.draws_for(batch))
        else:
            cut = centre_crop(batch, self.image_size)
        return map_pictures(cut, to_float)

    def draws_for(self, batch: Batch) -> BatchDraws:
        """The random numbers of the augmentation of a training batch, which is the last that the loader handed out."""
        loader = self.train_dataloader()
        at = loader.state_dict()
        key = self.seed, at["epoch"], at["position"]
        return BatchDraws(key, batch_length(batch), loader.rank, loader.world_size, batch[0].device)

    def state_dict(self) -> dict[str, Any]:
        """Where the training stream stands; Lightning drops the loader's own state where an epoch has just ended."""
        return {} if self._training is None else self._training.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the checkpoint's training stream stood, if this run trains."""
        if self._training is not None:
            self._training.load_state_dict(state_dict)

    def _ranks(self) -> dict[str, int]:
        trainer = self.trainer
        return {} if trainer is None else {"rank": trainer.global_rank, "world_size": trainer.world_size}

    def _chosen(self, reference: Storage) -> Storage:
        """`num_reference` items of the reference set."""
        if self.num_reference is None:
            return reference
        if not 1 <= self.num_reference <= len(reference):
            raise ValueError(
                f"num_reference={self.num_reference}, but the reference set has {len(reference)} items:"
                f" make it 1 to {len(reference)}, or null for all"
            )
        return reference.subset(random_rows(len(reference), self.num_reference))

    def _checked(self, storage: Storage, name: str) -> Storage:
        """The storage, if it has items and all its class labels are in range."""
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
                    " mend its label file, or download it anew"
                )
        return storage
