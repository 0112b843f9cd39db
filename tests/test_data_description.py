"""All data are compared with the model before the first step, not only the first batch."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from datamodules import Digits, SegmentationFolder, ShiftedDigits
from datamodules.base import ImageDataModule
from datamodules.shifted_digits import DomainStorage
from datamodules.storage import ImageStorage, Pixels, Storage
from datamodules.super_resolution import SuperResolutionFolder
from gan_lightning.data.batches import DomainBatch, ImageBatch, PairedBatch
from gan_lightning.data.description import Described
from gan_lightning.models import CGAN, DANN, SSGAN, UNetSegmentation
from gan_lightning.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    DomainClassifier,
    LeNetClassifier,
    NoisyDiscriminator,
    SegmentationUNet,
    SoftplusGenerator,
)
from tiny import CLASSES, SIZE, SMALL
from toys import equal, trainer, weights


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "cache"))


def pictures(folder: Path, size: int, levels: list[int]) -> Path:
    """Eight grey images of random pixels of these levels."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(8):
        values = random.choice(levels, (size, size)).astype(np.uint8)
        Image.fromarray(values).save(folder / f"{number}.png")
    return folder


def masked(folder: Path, **how: Any) -> SegmentationFolder:
    images, masks = pictures(folder / "images", 24, [*range(256)]), pictures(folder / "masks", 24, [0, 255])
    return SegmentationFolder(images, masks, image_size=24, tile_size=16, elastic=0, batch_size=2, **how)


def test_a_datamodule_says_what_it_serves_at_each_stage(tmp_path: Path) -> None:
    photographs = pictures(tmp_path / "photographs", 32, [*range(256)])
    enlarged = SuperResolutionFolder(
        photographs, scale=2, image_size=32, crop_size=16, channels=1, holdout=0.25, batch_size=2
    )
    digit, label = (1, 28, 28), ()
    domains = {"source": (3, 28, 28), "source_labels": (), "target": (3, 28, 28)}
    expected: list[tuple[ImageDataModule, Any, Any]] = [
        (
            Digits(28),
            (ImageBatch, 8000, 10, {"images": digit, "labels": label}),
            (ImageBatch, 2000, 10, {"images": digit, "labels": label}),
        ),
        (ShiftedDigits(), (DomainBatch, 8000, 10, domains), (DomainBatch, 2000, 10, domains | {"target_labels": ()})),
        (
            enlarged,
            (PairedBatch, 6, None, {"source": (1, 8, 8), "target": (1, 16, 16)}),
            (PairedBatch, 2, None, {"source": (1, 16, 16), "target": (1, 32, 32)}),
        ),
        (
            masked(tmp_path),
            (PairedBatch, 6, 2, {"source": (1, 16, 16), "target": (1, 16, 16)}),
            (PairedBatch, 2, 2, {"source": (1, 24, 24), "target": (1, 24, 24)}),
        ),
    ]
    for data, training, evaluation in expected:
        assert isinstance(data, Described)
        data.setup("fit")
        before = torch.get_rng_state()
        for trains, wanted in ((True, training), (False, evaluation)):
            data.trainer = SimpleNamespace(training=trains)  # type: ignore[assignment]
            found = data.describe()
            assert (found.batch_type, found.count, found.num_classes, dict(found.shapes)) == wanted
        assert data.train_dataloader().state_dict() == {"epoch": 0, "position": 0}
        assert torch.equal(torch.get_rng_state(), before)


class Rare(ImageDataModule):
    """Data of four classes, with one image of the last class, which is never in the first batch of two."""

    num_classes = CLASSES + 1

    def __init__(self, domains: bool = False, labels_per_class: int | None = None) -> None:
        super().__init__(SIZE, batch_size=2, eval_batch_size=2)
        self.domains, self.labels_per_class = domains, labels_per_class

    def training_storage(self) -> Storage:
        labels = torch.arange(33) % CLASSES
        labels[-1] = CLASSES
        values = np.zeros((33, 3 if self.domains else 1, SIZE, SIZE), dtype=np.uint8)
        storage = ImageStorage(Pixels(values), labels)
        return DomainStorage(storage, storage) if self.domains else storage

    reference_storage = training_storage


def cgan() -> CGAN:
    conditional = {**SMALL, "num_classes": CLASSES}
    return CGAN(DCGANGenerator(6, **conditional), DCGANDiscriminator(**conditional))


def ssgan() -> SSGAN:
    head = partial(nn.Linear, out_features=CLASSES)
    return SSGAN(SoftplusGenerator(6, SIZE, hidden=(16,)), NoisyDiscriminator(SIZE, hidden=(16, 16), head=head))


def dann() -> DANN:
    sizes: dict[str, Any] = {"image_size": SIZE, "widths": (4, 6), "hidden": (8,), "classes": CLASSES}
    return DANN(LeNetClassifier(**sizes), DomainClassifier(6, (5,)))


def unet() -> UNetSegmentation:
    return UNetSegmentation(SegmentationUNet(1, 2, width=4, depth=1, padded=True, dropout=0.0))


@pytest.mark.parametrize("run", ["fit", "validate"])
@pytest.mark.parametrize(
    ("build", "data", "match"),
    [
        (cgan, lambda _: Rare(), "data have 4 classes, and the networks of CGAN know 3: set num_classes of both .* 4"),
        (ssgan, lambda _: Rare(labels_per_class=1), "have 4 classes, but the discriminator's head has 3 outputs: give"),
        (dann, lambda _: Rare(domains=True), "have 4 classes, and the networks of DANN know 3: set the generator's"),
        (
            unet,
            lambda folder: masked(folder, levels=[0, 128, 255]),
            "masks have 3 classes, and the network of UNetSegmentation knows 2: set its classes to 3, or the data's",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_classes_that_the_networks_do_not_know_are_reported_though_no_batch_has_them(
    run: str, build: Any, data: Any, match: str, tmp_path: Path
) -> None:
    model = build()
    before = weights(model)
    running = trainer(max_epochs=1, limit_train_batches=1, limit_val_batches=1)
    with pytest.raises(ValueError, match=match):
        getattr(running, run)(model, datamodule=data(tmp_path))
    assert equal(before, weights(model))
    assert model.batches_seen == 0


def test_labels_of_each_domain_are_looked_at_whole() -> None:
    class Few(Rare):
        num_classes = CLASSES

    with pytest.raises(ValueError, match=r"training set of Few has 1 labels outside 0\.\.2, the first is 3"):
        Few(domains=True).setup("fit")
