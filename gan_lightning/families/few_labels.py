"""Models that learn to classify from images of which few have labels."""

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from gan_lightning.data.batches import ImageBatch
from gan_lightning.data.description import DataDescription
from gan_lightning.inference import evaluating
from gan_lightning.training.generative import GenerativeModule

UNKNOWN = -1
"""The label of an image whose class is not known."""


class FewLabels(GenerativeModule):
    """A classifier of batches of which at least half has labels (see `labels_per_class` of a datamodule).

    Logged: `val/accuracy` (`test/accuracy`), the share of the reference images that it classifies correctly.
    """

    measured = ("accuracy",)
    classes_come_from: ClassVar[str]
    """The end of the sentence about data with more classes than the model knows: the setting to change."""

    @abstractmethod
    def classify(self, images: Tensor) -> Tensor:
        """Return the class logits (N, K) of images float (N, C, H, W) in [-1, 1]."""

    def validation_step(self, batch: ImageBatch, batch_idx: int) -> Tensor:
        """Classify the reference images, and generate the images to evaluate."""
        assert batch.labels is not None  # ensured by check_batch
        right = (self.classify(batch.images).argmax(dim=1) == batch.labels).float()
        self.measure("accuracy", right.mean(), len(right))
        return super().validation_step(batch, batch_idx)

    test_step = validation_step

    def check_batch(self, batch: Any) -> None:
        """Check that half of the images have labels, all of classes that the model knows."""
        if not isinstance(batch, ImageBatch):
            return super().check_batch(batch)
        if batch.labels is None or batch.labels.ndim != 1 or (batch.labels >= 0).sum() < len(batch.labels) // 2:
            raise ValueError(
                f"{type(self).__name__} learns from batches of which at least half has class labels, but the data "
                "serve none or fewer: set labels_per_class of the datamodule (data.init_args), such as 10"
            )
        super().check_batch(batch)
        if batch.labels.max() >= (classes := self.known_classes(batch.images[:1])):
            raise ValueError(
                f"the data serve labels up to {batch.labels.max()}, but {self.classes_come_from.format(classes)}"
            )

    def check_data(self, data: DataDescription) -> None:
        """Check that the model knows all classes of the data."""
        super().check_data(data)
        classes = self.known_classes(torch.zeros(1, *data.shapes["images"], device=self.device))
        if data.num_classes is not None and data.num_classes > classes:
            raise ValueError(f"the data have {data.num_classes} classes, but {self.classes_come_from.format(classes)}")

    def known_classes(self, images: Tensor) -> int:
        """Return the number of class logits K of images (N, C, H, W)."""
        with torch.no_grad(), evaluating(self):
            return self.classify(images).shape[1]
