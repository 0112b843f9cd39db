"""A linear classifier on D's features, at the end of an evaluation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import VoxelFolder
from gan_lightning.callbacks import LinearProbe
from gan_lightning.metrics.linear_probe import linear_svm_accuracy
from models.test_gan import gan
from models.test_threed_gan import SIZE, threed_gan
from tiny import data_for
from toys import trainer


def shapes(folder: Path, **how: Any) -> VoxelFolder:
    """Shapes of two classes that differ by their halves."""
    rng = np.random.default_rng(0)
    for number in range(24):
        shape = rng.random((SIZE,) * 3) < 0.05
        shape[:, SIZE // 2 * (number % 2) :][:, : SIZE // 2] |= rng.random((SIZE, SIZE // 2, SIZE)) < 0.5
        place = folder / "shapes" / ("low", "high")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"{number}.npy", shape)
    return VoxelFolder(folder / "shapes", size=SIZE, batch_size=4, holdout=0.5, cache_dir=folder / "cache", **how)


def test_classes_that_features_tell_apart_are_told_apart(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    torch.manual_seed(0)
    data = shapes(tmp_path, labels="folder")
    run = trainer(tmp_path, callbacks=[LinearProbe()])
    (values,) = run.validate(threed_gan(), data, verbose=False)
    assert values["val/linear_svm_accuracy"] == 1
    assert 0.5 <= values["val/linear_svm_chance"] < 0.8
    (values,) = run.test(threed_gan(), data, verbose=False)
    assert values["test/linear_svm_accuracy"] == 1


def test_it_is_refused_without_classes_or_features(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match=r"VoxelFolder serves no classes: label them"):
        trainer(tmp_path, callbacks=[LinearProbe()]).validate(threed_gan(), shapes(tmp_path))
    model = gan()
    with pytest.raises((TypeError, ValueError), match=r"LinearProbe"):
        trainer(tmp_path, callbacks=[LinearProbe()]).validate(model, data_for(model))


def test_accuracy_by_hand() -> None:
    pytest.importorskip("sklearn")
    features = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]])
    labels = torch.tensor([0, 0, 1, 1])
    assert (
        linear_svm_accuracy(
            features, labels, torch.tensor([[-3.0], [3.0], [4.0], [5.0]]), torch.tensor([0, 1, 1, 0]), 10.0
        )
        == 0.75
    )
    with pytest.raises(ValueError, match=r"all features are of one class"):
        linear_svm_accuracy(features, 0 * labels, features, labels)
