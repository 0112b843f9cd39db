"""Scores of each target: distances to the truth, accuracy, and attributes that were kept."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.callbacks import TargetScores
from gan_lightning.classifiers import Classifier
from gan_lightning.data.batches import DomainsBatch, ImageBatch, first
from gan_lightning.models import StarGAN
from gan_lightning.networks import StarGANDiscriminator
from gan_lightning.recording import Network
from models.test_cyclegan import cyclegan
from tiny import Batches, batch_for
from toys import trainer

LEVELS = torch.tensor([-0.5, 0.0, 0.5])


class Paint(Network):
    """Paints the whole image in the brightness of the code, the sum of those of its components."""

    num_targets, in_channels, multiple, minimum = 3, 1, 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.Parameter(LEVELS.clone())

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        return 0 * images + (code @ self.levels)[:, None, None, None]


def painter(names: tuple[str, ...] = ("a", "b", "c"), **how: Any) -> StarGAN:
    model = StarGAN(Paint(), StarGANDiscriminator(3, 16, 1, width=4, layers=3), **how)
    model.class_names = names
    return model


def scores(model: StarGAN, batches: list[Any], **how: Any) -> dict[str, float]:
    run = trainer(callbacks=[TargetScores(**how)])
    (found,) = run.validate(model, Batches(batches), verbose=False)
    return {name: value for name, value in found.items() if name.partition("/")[2].partition("/")[1]}


def test_distances_are_those_to_the_true_pictures() -> None:
    labels = torch.tensor([0, 1, 2, 2])
    truths = (LEVELS + torch.tensor([0.0, 0.25, -0.5])).view(1, 1, 3, 1, 1).expand(4, 1, 3, 16, 16)
    both = DomainsBatch(torch.zeros(4, 1, 16, 16), labels, truths)
    found = scores(painter(), [first(both, 2), DomainsBatch(*(field[2:] for field in both))])  # the last are all of c
    wanted = {"a": (0.0, 0.5), "b": (0.25, 0.25), "c": (0.5, 0.0)}
    assert found == pytest.approx(
        {f"val/distance/{name}": of / 2 for name, (of, _) in wanted.items()}
        | {f"val/source_distance/{name}": of / 2 for name, (_, of) in wanted.items()}
    )


def brightness(path: Path, names: tuple[str, ...], kind: Any, thresholds: list[float]) -> Path:
    """Write a classifier whose logits are the mean brightness minus a threshold."""
    classifier = Classifier(names, kind, (16, 16), channels=1)
    for parameter in classifier.parameters():
        nn.init.zeros_(parameter)
    last = [part for part in classifier.modules() if isinstance(part, nn.Linear)][-1]
    last.bias.data = torch.tensor(thresholds)
    classifier.save(path)
    return path


def test_accuracy_and_kept_attributes(tmp_path: Path) -> None:
    # this classifier sees a and not c, in every image; it does not know b
    path = brightness(tmp_path / "c.safetensors", ("a", "c", "d"), "attributes", [1.0, -1.0, 1.0])
    code = torch.tensor([[0.0, 0, 1], [0, 1, 0], [1, 1, 0], [0, 1, 1]])
    batch = ImageBatch(torch.zeros(4, 1, 16, 16), code)
    with pytest.raises(ValueError, match="the classifier knows no attribute 'b': it knows a, c, d"):
        scores(painter(exclusive=[]), [batch], classifier=path)
    path = brightness(tmp_path / "b.safetensors", ("a", "b", "c"), "attributes", [1.0, 1.0, -1.0])
    found = scores(painter(exclusive=[]), [batch, batch], classifier=path)
    assert found == pytest.approx(
        {
            "val/accuracy/a": 3 / 4,  # to be on in three of four
            "val/accuracy/b": 1 / 4,
            "val/accuracy/c": 2 / 4,  # to be off in two
            "val/kept/a": (0 + 1 + 1 + 0.5) / 4,  # b seen, c not
            "val/kept/b": (0 + 0.5 + 1 + 0) / 4,
            "val/kept/c": (0 + 0.5 + 1 + 0.5) / 4,
        }
    )


def test_the_accuracy_of_domains(tmp_path: Path) -> None:
    path = brightness(tmp_path / "c.safetensors", ("c", "b", "a"), "classes", [0.0, 1.0, 0.0])
    batch = ImageBatch(torch.zeros(3, 1, 16, 16), torch.tensor([0, 1, 2]))
    assert scores(painter(), [batch], classifier=path) == {f"val/accuracy/{n}": float(n == "b") for n in "abc"}
    with pytest.raises(ValueError, match="is one of classes, and the model's targets are attributes: train one"):
        scores(painter(exclusive=[]), [ImageBatch(batch.images, torch.zeros(3, 3))], classifier=path)


def test_nothing_to_measure_is_said(tmp_path: Path) -> None:
    batch = ImageBatch(torch.zeros(3, 1, 16, 16), torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="TargetScores has nothing to measure: give it a classifier"):
        scores(painter(), [batch])
    with pytest.raises(ValueError, match="and CycleGAN makes none: leave the callback out"):
        trainer(callbacks=[TargetScores()]).validate(cyclegan(), Batches([batch_for(cyclegan())]), verbose=False)
    with pytest.raises(FileNotFoundError, match="there is no file of a classifier"):
        scores(painter(), [batch], classifier=tmp_path / "absent")
