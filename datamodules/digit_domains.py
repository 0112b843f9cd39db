"""MNIST and USPS as two domains, of which only the source has labels in training."""

from pathlib import Path
from typing import ClassVar, Literal

from datamodules.base import ImageDataModule, random_rows
from datamodules.mnist import MNIST
from datamodules.shifted_digits import DomainStorage
from datamodules.storage import ImageStorage
from datamodules.usps import USPS
from gan_lightning.data.batches import Batch, DomainBatch
from gan_lightning.ranges import NonNegativeInt, PositiveInt

DomainName = Literal["MNIST", "USPS"]


class DigitDomains(ImageDataModule):
    """Labelled digits of one set, and digits of another without labels; test digits of both with labels.

    The papers of domain adaptation train on 2,000 images of MNIST and 1,800 of USPS, or on all.

    Args:
        root: the folder that contains MNIST/raw and USPS/usps.bz2 (and usps.t.bz2), or where they will be put.
        source: the labelled set.
        target: the set without labels.
        num_source: number of training images of the source, a random choice that is equal in every run; null uses all.
        num_target: number of training images of the target, likewise; null uses all.
        download: download the files that are missing.
        image_size: height and width in both domains; 28 keeps MNIST unchanged, USPS has 16.
        batch_size: training images of each domain in a step, on all ranks together.
        eval_batch_size: test images of each domain in a batch, on all ranks together.
        num_reference: number of test images, a random choice that is equal in every run; null uses all: as many of each
            domain as the smaller has.
        seed: seed of the order of the training images.
    """

    batch_type: ClassVar[type[Batch]] = DomainBatch

    def __init__(
        self,
        root: Path,
        *,
        source: DomainName = "MNIST",
        target: DomainName = "USPS",
        num_source: PositiveInt | None = None,
        num_target: PositiveInt | None = None,
        download: bool = True,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 28,
        batch_size: PositiveInt = 64,
        eval_batch_size: PositiveInt = 256,
        num_reference: PositiveInt | None = None,
        seed: NonNegativeInt = 0,
    ):
        super().__init__(
            image_size, batch_size=batch_size, eval_batch_size=eval_batch_size, num_reference=num_reference, seed=seed
        )
        if source == target:
            raise ValueError(f"source and target are both {source}: choose MNIST for one and USPS for the other")
        sets = {"MNIST": MNIST, "USPS": USPS}
        folders = {"MNIST": Path(root), "USPS": Path(root) / "USPS"}
        self.source, self.target = (
            sets[name](folders[name], image_size=image_size, download=download) for name in (source, target)
        )
        self.num_source, self.num_target = num_source, num_target

    @property
    def num_classes(self) -> int:
        """Number of classes: 10."""
        return 10

    def prepare_data(self) -> None:
        """Download the missing files; raise FileNotFoundError, with their names and place, if that fails."""
        self.source.prepare_data()
        self.target.prepare_data()

    def training_storage(self) -> DomainStorage:
        """Load the training images of both domains, without the labels of the target."""
        source = _some(self.source.training_storage(), self.num_source, "num_source")
        target = _some(self.target.training_storage(), self.num_target, "num_target")
        return DomainStorage(source, ImageStorage(target.images))

    def reference_storage(self) -> DomainStorage:
        """Load the test images of both domains with their labels, equally many of each."""
        domains = self.source.reference_storage(), self.target.reference_storage()
        count = min(map(len, domains))
        return DomainStorage(*(_some(domain, count, "num_reference") for domain in domains))


def _some(images: ImageStorage, count: int | None, name: str) -> ImageStorage:
    """Return a random choice of labelled images, in the order in which they are stored; None = all.

    Raises:
        ValueError: there are fewer.
    """
    if count is None or count == len(images):
        return images
    if count > len(images):
        raise ValueError(f"{name}={count}, but there are {len(images)} images: make it at most {len(images)}, or null")
    return images.subset(random_rows(len(images), count))
