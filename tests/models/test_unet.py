"""U-Net segmentation: its classes and images, valid and padded networks, scores, and all that a model does."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch, PairedBatch
from gan_lightning.losses import PixelCrossEntropy
from gan_lightning.models import UNetSegmentation
from gan_lightning.models.unet import image_of
from gan_lightning.networks import SegmentationUNet
from gan_lightning.recording import Network
from gan_lightning.training.generative import GenerativeModule
from tiny import Batches, images
from toys import equal, trainer, weights


def unet(padded: bool = True, classes: int = 2, **how: Any) -> UNetSegmentation:
    network = SegmentationUNet(1, classes, width=4, depth=1, padded=padded, dropout=0.0)
    return UNetSegmentation(network, **{"loss": PixelCrossEntropy(border_weight=0.0)} | how)


def unet_batch(count: int = 4, seed: int = 0, classes: int = 2, size: int = 20) -> PairedBatch:
    """Blobs, and their brightness in `classes` steps."""
    source = nn.functional.interpolate(images(count, 1, seed), size, mode="bilinear")
    steps = ((source + 1) / 2 * classes).floor().clamp(max=classes - 1)
    return PairedBatch(source, 2 * steps / (classes - 1) - 1)


class Fixed(Network):
    """The same logits for every image."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.classes = len(logits)
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, images: Tensor) -> Tensor:
        return self.logits[:, None, None].expand(len(images), -1, *images.shape[2:])

    whole = forward


def test_the_default_is_the_papers() -> None:
    with torch.device("meta"):
        model = UNetSegmentation()
    assert sum(p.numel() for p in model.generator.parameters()) == 31_030_658
    assert (model.loss.border_weight, model.loss.border_sigma) == (10, 5)
    settings = model.configure_optimizers().param_groups[0]
    assert (settings["momentum"], settings["lr"]) == (0.99, 1e-3)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_classes_are_levels_evenly_spaced_and_back(classes: int) -> None:
    model = unet(classes=classes)
    numbers = torch.arange(classes).view(1, 1, -1)
    made = image_of(numbers, model.num_classes)
    torch.testing.assert_close(made.flatten(), torch.linspace(-1, 1, classes))
    assert torch.equal(model.classes_of(made), numbers)


@pytest.mark.parametrize("best", [0, 1, 2])
def test_a_translation_is_the_class_of_the_largest_logit(best: int) -> None:
    logits = [0.0, 0.0, 0.0]
    logits[best] = 1.0
    made = UNetSegmentation(Fixed(logits)).translate(torch.zeros(2, 3, 5, 7))
    assert torch.equal(made, torch.full((2, 1, 5, 7), best - 1.0))


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("size", [(20, 20), (21, 33)])
def test_a_translation_has_the_size_of_its_source(padded: bool, size: tuple[int, int]) -> None:
    made = unet(padded).translate(torch.rand(2, 1, *size))
    assert made.shape == (2, 1, *size)
    assert set(made.unique().tolist()) <= {-1, 1}


@pytest.mark.parametrize("padded", [True, False])
def test_the_loss_is_cross_entropy_of_what_the_network_answers_for(padded: bool) -> None:
    model, data = unet(padded), unet_batch()
    logits = model.generator(data.source)
    middle = slice(None) if padded else slice(8, 12)
    expected = nn.functional.cross_entropy(logits, (data.target[:, 0, middle, middle] > 0).long())
    losses = model.losses(data)
    assert losses.keys() == {"cross_entropy"}
    torch.testing.assert_close(losses["cross_entropy"], expected)


@pytest.mark.parametrize("padded", [True, False])
def test_it_learns_and_logs_what_it_learnt(padded: bool) -> None:
    torch.manual_seed(0)
    model = unet(padded, optimizer=partial(Adam, lr=1e-2))
    size = 20 if padded else 36
    fitting = trainer(max_epochs=60, check_val_every_n_epoch=60)
    fitting.fit(model, Batches([unet_batch(size=size)]))
    assert fitting.callback_metrics["val/dice"] > 0.9
    assert fitting.callback_metrics["val/iou"] > 0.8
    assert fitting.callback_metrics["val/pixel_accuracy"] > 0.9
    made = model.translate(unet_batch(size=size).source)
    agree = (made == unet_batch(size=size).target).float().mean()
    assert fitting.callback_metrics["val/pixel_accuracy"] == pytest.approx(agree.item(), abs=1e-6)


def test_scores_are_of_one_evaluation_each_and_dice_is_of_class_1() -> None:
    """A fit works after an evaluation in inference mode, too."""
    model = UNetSegmentation(
        Fixed([0.0, 1.0]), loss=PixelCrossEntropy(border_weight=0.0), optimizer=partial(Adam, lr=0)
    )
    target = -torch.ones(2, 1, 8, 8)
    target[:, :, :, :2] = 1  # a quarter
    data, runs = Batches([PairedBatch(torch.zeros(2, 1, 8, 8), target)] * 3), trainer(max_epochs=2)
    for found in (runs.validate(model, data)[0], runs.test(model, data)[0]):
        scores = {name.partition("/")[2]: value for name, value in found.items()}
        assert scores["pixel_accuracy"] == scores["iou"] == scores["iou/1"] == 0.25
        assert scores["dice"] == scores["dice/1"] == pytest.approx(2 * 0.25 / (1 + 0.25))
        assert scores["dice/0"] == 0
    runs.fit(model, data)
    assert runs.callback_metrics["val/iou"] == 0.25


def test_a_preview_shows_source_segmentation_and_target() -> None:
    model, data = unet(), unet_batch(count=5)
    shown, columns = model.preview(data, 4)
    rows = shown.unflatten(0, (4, columns))
    assert rows.shape == (4, 3, 3, 20, 20)
    assert torch.equal(rows[:, 1, :1], model.translate(data.source)[:4])
    assert torch.equal(rows[:, 1, :1], model.render(model.generate(data))[:4])
    assert torch.equal(rows[:, 2, :1], data.target[:4])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (PairedBatch(torch.zeros(2, 3, 20, 20), torch.ones(2, 1, 20, 20)), r"cannot take .*3x20x20 and 1x20x20"),
        (PairedBatch(torch.zeros(2, 1, 20, 20), torch.ones(2, 3, 20, 20)), r"makes images of 1x20x20 .* serve 3x20x20"),
        (unet_batch(classes=3), r"other levels than the 2 evenly spaced ones"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(given: PairedBatch, match: str) -> None:
    model = unet()
    with pytest.raises(ValueError, match=match):
        trainer(max_epochs=1).fit(model, Batches([given]))
    assert model.batches_seen == 0
    with pytest.raises(TypeError, match=r"learns from .* PairedBatch"):
        trainer(max_epochs=1).fit(model, Batches([ImageBatch(torch.zeros(2, 1, 20, 20))]))


def test_an_evaluation_takes_images_that_are_no_tiles_of_a_valid_network() -> None:
    model = unet(padded=False)
    found = trainer(max_epochs=1).validate(model, Batches([unet_batch(size=21)]))[0]
    assert 0 <= found["val/dice"] <= 1


def test_a_run_resumes_bit_by_bit_and_a_checkpoint_loads_as_plain_data(tmp_path: Path) -> None:
    def fitted(epochs: int, start: Path | None = None) -> UNetSegmentation:
        torch.manual_seed(0)
        model = unet(ema_half_life=8.0)
        keep = ModelCheckpoint(tmp_path / str(epochs), filename="end", enable_version_counter=False)
        running = trainer(max_epochs=epochs, enable_checkpointing=True, callbacks=[keep])
        running.fit(model, Batches([unet_batch(seed=i) for i in range(2)]), ckpt_path=start)
        return model

    whole = fitted(4)
    fitted(2)
    resumed = fitted(4, tmp_path / "2" / "end.ckpt")
    assert equal(weights(whole), weights(resumed))
    loaded = GenerativeModule.load_from_checkpoint(tmp_path / "4" / "end.ckpt")
    assert isinstance(loaded, UNetSegmentation)
    assert torch.equal(loaded.translate(unet_batch().source), resumed.translate(unet_batch().source))
    assert not [name for name in loaded.state_dict() if name.startswith("scores")]
