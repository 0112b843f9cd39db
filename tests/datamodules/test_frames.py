"""Frames by person: examples, people held out, one person, landmarks of every kind, and wrong folders."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import FramesByPerson
from gan_lightning.data.batches import FramesBatch, check_fields, map_pictures
from gan_lightning.data.images import to_float
from gan_lightning.data.landmarks import draw_landmarks, fitted_landmarks


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "cache"))


POINT = "part,x,y\nleft_eye,{x},4\nleft_eye,6,4\n"


def people(folder: Path, count: int = 4, frames: int = 5, size: tuple[int, int] = (16, 16)) -> Path:
    """Person p has frames of the grey levels 10 p + f, with landmarks beside them."""
    for person in range(count):
        for frame in range(frames):
            file = folder / f"p{person}" / f"{frame}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", size, (10 * person + frame,) * 3).save(file)
            file.with_suffix(".csv").write_text(POINT.format(x=frame))
    return folder


def data(folder: Path, **how: Any) -> FramesByPerson:
    return FramesByPerson(folder, **{"examples": 2, "image_size": 16, "batch_size": 2} | how)


def sets(module: FramesByPerson) -> list[FramesBatch]:
    """All training and all reference items, each as one batch."""
    module.prepare_data()
    module.setup("fit")
    whole = []
    for loader in (module.train_dataloader(), module.val_dataloader()):
        batches = list(loader)
        whole.append(FramesBatch(*map(torch.cat, zip(*batches, strict=True))))
    return whole


def levels(frames: torch.Tensor) -> torch.Tensor:
    """The grey level of each frame, (N,) of (N, C, H, W), or (N, K) of (N, C, K, H, W)."""
    return frames[:, 0, ..., 3, 3].int()


def test_training_draws_examples_among_the_others_of_the_person(tmp_path: Path) -> None:
    module = data(people(tmp_path / "a"), held_out=["p1"])
    train, reference = sets(module)
    target, examples = levels(train.target), levels(train.examples)
    assert sorted(target.tolist()) == [*range(5), *range(20, 25), *range(30, 35)][: len(target)] or len(target) == 14
    assert torch.equal(examples // 10, (target // 10)[:, None].expand(-1, 2))
    assert (examples != target[:, None]).all()
    assert (examples[:, 0] != examples[:, 1]).all()
    assert train.people.tolist() == [{0: 0, 2: 1, 3: 2}[level // 10] for level in target.tolist()]
    again = FramesBatch(*map(torch.cat, zip(*module.train_dataloader(), strict=True)))
    assert not torch.equal(levels(again.examples), examples)  # drawn anew in the next epoch

    # the first frames of the others are examples, the later ones are to be made
    assert levels(reference.target).tolist() == [12, 13, 14]
    assert levels(reference.examples).tolist() == [[10, 11]] * 3
    assert reference.people.tolist() == [-1] * 3
    assert (module.num_classes, module.classes) == (3, ["p0", "p2", "p3"])
    for batch in (train, reference):
        check_fields(map_pictures(batch, to_float), "test")


def test_landmark_pictures_belong_to_their_frames(tmp_path: Path) -> None:
    train, _ = sets(data(people(tmp_path / "a"), held_out=["p1"]))

    def drawn(level: int) -> np.ndarray:
        return draw_landmarks({"left_eye": np.array([[level % 10, 4], [6, 4]])}, (16, 16))

    for item in range(3):
        assert np.array_equal(train.landmarks[item].numpy(), drawn(int(levels(train.target)[item])))
        for k in range(2):
            expected = drawn(int(levels(train.examples)[item, k]))
            assert np.array_equal(train.example_landmarks[item, :, k].numpy(), expected)


def test_one_person_trains_on_the_first_frames_and_evaluates_on_the_others(tmp_path: Path) -> None:
    module = data(people(tmp_path / "a"), person="p2", examples=3, batch_size=3)
    train, reference = sets(module)
    assert sorted(levels(train.target).tolist()) == [20, 21, 22]
    assert levels(train.examples).tolist() == [[20, 21, 22]] * 3
    assert levels(reference.target).tolist() == [23, 24]
    assert levels(reference.examples).tolist() == [[20, 21, 22]] * 2
    assert module.num_classes is None


def test_people_of_another_folder_are_the_reference(tmp_path: Path) -> None:
    module = data(people(tmp_path / "a"), test=people(tmp_path / "b", count=2, frames=3))
    train, reference = sets(module)
    assert len(train.target) == 20
    assert levels(reference.target).tolist() == [2, 12]
    assert module.num_classes == 4


def test_without_a_hold_out_all_people_are_trained_on_and_evaluated_against(tmp_path: Path) -> None:
    module = data(people(tmp_path / "a", count=2), holdout=0)
    train, reference = sets(module)
    assert sorted(levels(train.target).tolist()) == [*range(5), *range(10, 15)]
    assert levels(reference.target).tolist() == [2, 3, 4, 12, 13, 14]


def test_points_are_moved_and_scaled_with_their_frames(tmp_path: Path) -> None:
    folder = people(tmp_path / "a", count=2, frames=3, size=(64, 32))
    train, _ = sets(data(folder, holdout=0.5, batch_size=1))
    frame = int(levels(train.target)[0]) % 10
    points = fitted_landmarks({"left_eye": np.array([[frame, 4], [6, 4]])}, (32, 64), (16, 16))
    assert np.array_equal(train.landmarks[0].numpy(), draw_landmarks(points, (16, 16)))


def test_pictures_in_another_folder_and_changed_files(tmp_path: Path) -> None:
    folder = people(tmp_path / "a", count=2, frames=3)
    for file in folder.rglob("*.csv"):
        file.unlink()
    for file in folder.rglob("*.png"):
        other = tmp_path / "drawn" / file.relative_to(folder)
        other.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (0, 200, 0)).save(other)
    train, _ = sets(data(folder, landmarks=tmp_path / "drawn", holdout=0.5))
    assert train.landmarks.unique().tolist() == [0, 200]
    for file in (tmp_path / "drawn").rglob("*.png"):  # the cache does not keep the older ones
        Image.new("RGB", (16, 16), (90, 200, 255)).save(file)
    train, _ = sets(data(folder, landmarks=tmp_path / "drawn", holdout=0.5))
    assert train.landmarks.unique().tolist() == [90, 200, 255]


def test_frames_and_examples_are_cropped_and_mirrored_together(tmp_path: Path) -> None:
    module = data(people(tmp_path / "a"), flip=True, load_size=20)
    module.prepare_data()
    module.setup("fit")
    batch = next(iter(module.train_dataloader()))
    module.trainer = type("Trainer", (), {"training": True})()  # type: ignore[assignment]
    cut = module.on_after_batch_transfer(batch, 0)
    assert [tuple(each.shape[1:]) for each in cut[:4]] == [(3, 16, 16)] * 2 + [(3, 2, 16, 16)] * 2
    check_fields(cut, "test")


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"examples": 5}, r"3 people of .* have 5 frames or fewer \(p0, p2, p3\)"),
        ({"person": "nobody"}, r"no person 'nobody' in .*p0, p1"),
        ({"person": "p0", "examples": 5}, "p0 has 5 frames"),
        ({"held_out": ["p9"]}, "not in .*: p9"),
        ({"held_out": ["p0", "p1", "p2", "p3"]}, "nobody to train on"),
        ({"landmarks": "nothing"}, "nothing is not a folder"),
        ({"landmarks": "."}, r"15 of 15 frames have no landmarks.*gan-lightning landmarks"),
    ],
)
def test_what_does_not_fit_is_said_before_training(tmp_path: Path, how: dict[str, Any], match: str) -> None:
    folder = people(tmp_path / "a")
    if "landmarks" in how:
        how = {"landmarks": tmp_path / how["landmarks"]}
        (tmp_path / "p0").mkdir()
    if "person" not in how and "held_out" not in how:
        how = {"held_out": ["p1"]} | how
    with pytest.raises((ValueError, FileNotFoundError), match=match):
        sets(data(folder, **how))


def test_wrong_landmarks_and_folders(tmp_path: Path) -> None:
    folder = people(tmp_path / "a")
    with pytest.raises(ValueError, match="leave test and held_out out"):
        data(folder, person="p0", test=folder)
    (folder / "p0" / "0.csv").write_text("nonsense")
    with pytest.raises(ValueError, match=r"1 of 15 images cannot be decoded.*does not hold landmarks"):
        data(folder, held_out=["p1"]).prepare_data()
    (folder / "p0" / "0.json").write_text("[]")
    with pytest.raises(ValueError, match=r"0\.png has several files of landmarks"):
        data(folder, held_out=["p1"]).prepare_data()
    Image.new("RGB", (16, 16)).save(folder / "loose.png")
    with pytest.raises(ValueError, match=r"loose\.png is in no person's folder"):
        data(folder).prepare_data()
