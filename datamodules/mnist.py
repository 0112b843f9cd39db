"""MNIST and the data sets in its format."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torchvision import datasets

from datamodules.base import ImageDataModule
from datamodules.storage import ImageStorage, Pixels
from datamodules.torchvision_sets import obtain, padded
from gan_lightning.ranges import NonNegativeInt, PositiveInt

EMNIST_CLASSES = {"byclass": 62, "bymerge": 47, "balanced": 47, "letters": 26, "digits": 10, "mnist": 10}


class MNIST(ImageDataModule):
    """28 x 28 grey images with class labels from 0, read from torchvision's own layout and kept in memory.

    MNIST (LeCun et al., 1998), Fashion-MNIST (Xiao et al., 2017), KMNIST (Clanuwat et al., 2018) and EMNIST (Cohen et
    al., 2017).

    Args:
        root: the folder that contains `name`/raw with the files, or where it will be made.
        name: the data set, one of the four.
        emnist_split: the part of EMNIST; the other data sets ignore it. EMNIST's images, which are stored transposed,
            are put upright, and the classes of "letters" are counted from 0.
        reference: the split for evaluation.
        download: download the files that are missing.
        image_size: height and width; 28 keeps the images unchanged, 32 adds two black pixels on each side, any other
            size resamples them.
        labels_per_class: for semi-supervised training, how many images of each class keep their label. The others
            get the label -1, and half of every training batch is labelled. None: all images keep their labels.
        label_set: number of the choice of these images, which is equal in every run.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference, flip, binarise and seed of
            `ImageDataModule`.
    """

    def __init__(
        self,
        root: Path,
        *,
        name: Literal["MNIST", "FashionMNIST", "KMNIST", "EMNIST"] = "MNIST",
        emnist_split: Literal["byclass", "bymerge", "balanced", "letters", "digits", "mnist"] = "balanced",
        reference: Literal["train", "test"] = "test",
        download: bool = True,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 32,
        labels_per_class: PositiveInt | None = None,
        label_set: NonNegativeInt = 0,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        self.root = Path(root)
        self.dataset = name
        self.emnist_split = emnist_split
        self.reference = reference
        self.download = download
        self.labels_per_class, self.label_set = labels_per_class, label_set

    @property
    def num_classes(self) -> int:
        """Number of classes: 10, or that of the EMNIST split."""
        return EMNIST_CLASSES[self.emnist_split] if self.dataset == "EMNIST" else 10

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes of FashionMNIST and KMNIST; those of the others are digits and letters."""
        return getattr(datasets, self.dataset).classes if self.dataset in ("FashionMNIST", "KMNIST") else ()

    def prepare_data(self) -> None:
        """Download the missing files; raise FileNotFoundError, with their names and place, if that fails."""
        for split in ("train", "test"):
            self._obtain(split, self.download)

    def training_storage(self) -> ImageStorage:
        """Load the training split."""
        return self._load("train")

    def reference_storage(self) -> ImageStorage:
        """Load the split that `reference` names."""
        return self._load(self.reference)

    def _load(self, split: str) -> ImageStorage:
        data = self._obtain(split, download=False)
        images, labels = data.data, data.targets
        if self.dataset == "EMNIST":
            images = images.transpose(1, 2)
            labels = labels - 1 if self.emnist_split == "letters" else labels
        return ImageStorage(Pixels(padded(images, self.image_size)), labels)

    def _obtain(self, split: str, download: bool) -> datasets.MNIST:
        folder = self.root / self.dataset / "raw"
        create = partial(getattr(datasets, self.dataset), self.root, train=split == "train")
        if self.dataset == "EMNIST":
            parts = [f"emnist-{self.emnist_split}-{part}" for part in ("train", "test")]
            create.keywords["split"] = self.emnist_split
        else:
            parts = ["train", "t10k"]
        files = ", ".join(f"{part}-{kind}-ubyte" for part in parts for kind in ("images-idx3", "labels-idx1"))
        return obtain(create, download, folder, files)
