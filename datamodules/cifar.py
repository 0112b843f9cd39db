"""CIFAR-10 and CIFAR-100."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torchvision import datasets

from datamodules.base import ImageDataModule
from datamodules.storage import ImageStorage, Pixels
from datamodules.torchvision_sets import obtain, resized
from gan_lightning.ranges import PositiveInt


class CIFAR(ImageDataModule):
    """CIFAR-10 and CIFAR-100 (Krizhevsky, 2009): 50,000 + 10,000 RGB images of 32 x 32 pixels with class labels.

    They are read from torchvision's own layout and kept in memory.

    Args:
        root: the folder that contains the folder cifar-10-batches-py or cifar-100-python, or where it will be made.
        name: the data set, "CIFAR10" or "CIFAR100"; the latter has its 100 fine labels.
        reference: the split for evaluation. Most published FIDs on CIFAR-10 use "train".
        download: download the files that are missing.
        image_size: height and width; 32 keeps the images unchanged, any other size resamples them.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference, flip and seed of
            `ImageDataModule`.
    """

    def __init__(
        self,
        root: Path,
        *,
        name: Literal["CIFAR10", "CIFAR100"] = "CIFAR10",
        reference: Literal["train", "test"] = "test",
        download: bool = True,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 32,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        self.root = Path(root)
        self.dataset = name
        self.reference = reference
        self.download = download
        self._classes: Sequence[str] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes: 10 or 100."""
        return 10 if self.dataset == "CIFAR10" else 100

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes, after `setup`."""
        return self._classes

    def prepare_data(self) -> None:
        """Download the missing files; raise FileNotFoundError, with their names and place, if that fails."""
        self._obtain("train", self.download)

    def training_storage(self) -> ImageStorage:
        """Load the training split."""
        return self._load("train")

    def reference_storage(self) -> ImageStorage:
        """Load the split that `reference` names."""
        return self._load(self.reference)

    def _load(self, split: str) -> ImageStorage:
        data = self._obtain(split, download=False)
        self._classes = data.classes
        images = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
        return ImageStorage(Pixels(resized(images, self.image_size)), torch.tensor(data.targets))

    def _obtain(self, split: str, download: bool) -> datasets.CIFAR10:
        source = getattr(datasets, self.dataset)
        names = [name for name, _ in source.train_list + source.test_list] + [source.meta["filename"]]
        files = f"{', '.join(names)} (the content of {source.filename})"
        create = partial(source, self.root, train=split == "train")
        return obtain(create, download, self.root / source.base_folder, files)
