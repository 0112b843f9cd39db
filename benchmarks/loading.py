"""Loading speed: our datamodules against torchvision's datasets with transforms in a DataLoader.

python -m benchmarks.loading --root data --json loading.json

Each yields shuffled batches as networks need them: float32 in [-1, 1], with labels.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter

import lightning as L
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets
from torchvision.transforms import CenterCrop, Compose, Normalize, Pad, RandomHorizontalFlip, Resize, ToTensor

import datamodules
from benchmarks.rounds import compare, parser, quieten_lightning
from datamodules.base import ImageDataModule

FOLDER_SIZE = 64  # pixels: height and width of the images of --folder


def rate(stream: Callable[[], Iterator[Tensor]], batches: int) -> float:
    """Measure batches per second from the second one on; before the first, workers start and an order is drawn."""
    images = stream()
    next(images)
    start = perf_counter()
    for _ in islice(images, batches):
        pass
    return batches / (perf_counter() - start)


def ours(data: ImageDataModule) -> Iterator[Tensor]:
    """Yield images from the loader and the hook that the trainer calls on each batch, one epoch after the other."""
    while True:
        for batch in data.train_dataloader():
            yield data.on_after_batch_transfer(batch, 0)[0]


def torchvisions(dataset: Dataset, batch_size: int, workers: int) -> Iterator[Tensor]:
    """Yield images from a DataLoader, one epoch after the other."""
    loader = DataLoader(
        dataset, batch_size, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )
    while True:
        for images, _ in loader:
            yield images


def training(data: ImageDataModule) -> ImageDataModule:
    """Return the datamodule as it is in a fit: set up, with a trainer that trains."""
    data.trainer = L.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)
    data.trainer.training = True
    data.prepare_data()
    data.setup("fit")
    return data


def main(args: list[str] | None = None) -> None:
    quieten_lightning()
    options = parser(__doc__, batches=200)
    options.add_argument(
        "--folder",
        type=Path,
        help="also measure this folder of images, whose sub-folders are classes, with random flips",
    )
    arguments = options.parse_args(args)
    batch_size = arguments.batch_size
    to_range = [ToTensor(), Normalize(0.5, 0.5)]

    def measure(data: ImageDataModule, dataset: Dataset) -> None:
        streams: dict[str, Callable[[], Iterator[Tensor]]] = {
            "torchvision, 0 workers": partial(torchvisions, dataset, batch_size, 0),
            "torchvision, 2 workers": partial(torchvisions, dataset, batch_size, 2),
            f"datamodules.{type(data).__name__}": partial(ours, training(data)),
        }
        compare({name: partial(rate, stream, arguments.batches) for name, stream in streams.items()}, arguments)

    measure(
        datamodules.MNIST(arguments.root, image_size=32, batch_size=batch_size),
        datasets.MNIST(arguments.root, transform=Compose([Pad(2), *to_range])),
    )
    if arguments.folder:
        measure(
            datamodules.ImageFolder(
                arguments.folder, labelled=True, image_size=FOLDER_SIZE, flip=True, batch_size=batch_size
            ),
            datasets.ImageFolder(
                arguments.folder,
                transform=Compose([Resize(FOLDER_SIZE), CenterCrop(FOLDER_SIZE), RandomHorizontalFlip(), *to_range]),
            ),
        )


if __name__ == "__main__":
    main()
