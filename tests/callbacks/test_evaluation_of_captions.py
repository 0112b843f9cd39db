"""Metrics of captions in an evaluation: R-precision learns from the training set, once, and images vary by latents."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules import CaptionedFolder
from gan_lightning.callbacks import Evaluation
from gan_lightning.data.images import write_png
from gan_lightning.data.texts import Vocabulary
from gan_lightning.extractors.base import ModuleExtractor
from gan_lightning.metrics import RPrecision, StyleDiversity
from models.test_dcgan import dcgan
from models.test_gan_int_cls import gan_int_cls
from tiny import Batches, batch_for
from toys import trainer

LEVELS = ("black", "dark", "bright", "white")
SIDES = ("left", "right", "top")


class Coarse(nn.Module):
    """The means of the 16 squares of an image."""

    seen = 0

    def forward(self, images: Tensor) -> Tensor:
        Coarse.seen += len(images)
        return nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)


def picture(level: int, side: int, number: int) -> Tensor:
    """A square for each of the two words of a caption is bright."""
    image = torch.zeros(1, 16, 16, dtype=torch.uint8)
    for row, column in enumerate((level, side)):
        image[:, 4 * row :, 4 * column :][:, :4, :4] = 200
    return image + torch.randint(0, 9, image.shape, generator=torch.Generator().manual_seed(number)).byte()


@pytest.fixture
def data(tmp_path: Path) -> CaptionedFolder:
    records = []
    for number in range(48):
        level, side = number % 4, number // 4 % 3
        write_png(picture(level, side, number), tmp_path / "images" / f"{number:02d}.png")
        records.append({"image": f"{number:02d}.png", "caption": f"{LEVELS[level]} {SIDES[side]}"})
    (tmp_path / "captions.json").write_text(json.dumps(records))
    text = Vocabulary(16, 4)
    return CaptionedFolder(
        tmp_path / "images",
        tmp_path / "captions.json",
        text=text,
        holdout=0.25,
        image_size=16,
        channels=1,
        batch_size=4,
        cache_dir=tmp_path / "cache",
    )


def evaluation(place: Path) -> Evaluation:
    apart: Any = lambda x, y: (x - y).abs().mean(dim=(1, 2, 3))  # noqa: E731
    metrics: Any = [RPrecision, StyleDiversity(apart, sources=5, styles=4)]
    return Evaluation(extractor=ModuleExtractor(Coarse(), 16, channels=1), metrics=metrics, cache_dir=place / "cache")


def test_real_images_find_their_captions_again_and_lessons_are_read_once(data: CaptionedFolder, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = gan_int_cls()
    Coarse.seen = 0
    run = trainer(tmp_path, callbacks=[evaluation(tmp_path)])
    (values,) = run.validate(model, data, verbose=False)
    assert Coarse.seen == 12 + 36 + 12  # the reference set, the training set, and the fakes
    assert values["val/r_precision_real"] > 0.8
    assert values["val/r_precision"] < 0.5
    assert values["val/r_precision_chance"] == pytest.approx(1 / len({*data.describe().text.sentences}))
    assert 0 < values["val/style_diversity"] < values["val/style_diversity_real"]
    run.validate(model, data, verbose=False)
    assert Coarse.seen == 72  # the second fakes
    (again,) = trainer(tmp_path, callbacks=[evaluation(tmp_path)]).validate(model, data, verbose=False)
    assert Coarse.seen == 84  # features of real images are on disk
    assert again == pytest.approx(values)


def test_a_model_of_captions_is_trained_evaluated_and_knows_its_captions(data: CaptionedFolder, tmp_path: Path) -> None:
    model = gan_int_cls()
    model.text = None
    trainer(tmp_path, callbacks=[evaluation(tmp_path)], max_epochs=2).fit(model, data)
    assert model.batches_seen == 18
    assert model.sampler.class_names == data.describe().text.sentences
    assert model.sampler.with_texts(["dark left"]).sample(1, seed=0).shape == (1, 1, 16, 16)


def test_other_data_have_no_captions_to_find(tmp_path: Path) -> None:
    model = dcgan()
    callback = Evaluation(extractor=ModuleExtractor(Coarse(), 16, channels=1), metrics=[RPrecision])
    with pytest.raises(ValueError, match="these data have none"):
        trainer(tmp_path, callbacks=[callback]).validate(model, Batches([batch_for(model)]), verbose=False)
