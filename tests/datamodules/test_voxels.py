"""Folders and files of shapes: formats, sizes, labels, choices, hold-out, pictures, turns, and wrong data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import DepictedVoxels, VoxelFolder
from datamodules.voxels import fitted, turned
from gan_lightning.data.batches import DepictedBatch, VoxelBatch
from gan_lightning.data.images import write_png

RNG = np.random.default_rng(0)
SHAPES = RNG.random((12, 8, 8, 8)) < 0.3
NAMES = ["Oak chair", "Armchair", "Round table", "chair, blue"]
META = [{"name": NAMES[i % 4], "category": "seats" if i % 4 != 2 else "tables"} for i in range(12)]


@pytest.fixture
def one_file(tmp_path: Path) -> Path:
    folder = tmp_path / "furniture"
    folder.mkdir()
    bits, icons = np.packbits(SHAPES, axis=-1), RNG.integers(0, 256, (12, 10, 10, 4), dtype=np.uint8)
    np.savez(folder / "all.npz", vox=bits, shape=np.array(SHAPES.shape), icons=icons)
    (folder / "meta.json").write_text(json.dumps(META))
    return folder


def module(train: Path, kind: type[VoxelFolder] = VoxelFolder, **how: Any) -> VoxelFolder:
    how = {"size": 8, "batch_size": 2, "cache_dir": train.parent / "cache", **how}
    made = kind(train, **how)
    made.prepare_data()
    made.setup("fit")
    return made


def shapes_of(batch: VoxelBatch) -> np.ndarray:
    return batch.voxels[:, 0].numpy() > 0


def rows_of(loader: Any, data: VoxelFolder) -> list[int]:
    """The numbers, among SHAPES, of the shapes that a loader serves."""
    found = np.concatenate([shapes_of(data.on_after_batch_transfer(batch, 0)) for batch in loader])
    return [int(np.flatnonzero((shape == SHAPES).all((1, 2, 3)))[0]) for shape in found]


def test_one_file_of_packed_bits_is_split_and_served(one_file: Path) -> None:
    data = module(one_file, holdout=0.25, labels="category")
    trained, held = (rows_of(loader, data) for loader in (data.train_dataloader(), data.val_dataloader()))
    assert (len(held), len({*trained})) == (3, 8)  # the last of nine does not fill a batch
    assert not {*trained} & {*held}
    batch = data.on_after_batch_transfer(next(iter(data.val_dataloader())), 0)
    assert batch.voxels.shape == (3, 1, 8, 8, 8)
    assert set(batch.voxels.unique().tolist()) == {-1.0, 1.0}
    assert (data.classes, data.num_classes) == (["seats", "tables"], 2)
    assert batch.labels.tolist() == [int(META[row]["category"] == "tables") for row in held]
    again = module(one_file, holdout=0.25, labels="category")
    assert rows_of(again.val_dataloader(), again) == held  # from the cache, the same
    description = data.describe()
    assert description.shapes["voxels"] == (1, 8, 8, 8)


def test_only_shapes_with_a_word_are_kept(one_file: Path) -> None:
    data = module(one_file, holdout=0, where={"name": ["CHAIR"]}, eval_batch_size=20)
    assert rows_of(data.val_dataloader(), data) == [i for i in range(12) if i % 4 in (0, 3)]
    with pytest.raises(ValueError, match=r"no shape of .* fits where"):
        module(one_file, where={"name": ["piano"]})
    with pytest.raises(ValueError, match=r"entry 0 of .*meta.json has no 'colour'"):
        module(one_file, where={"colour": ["red"]})


def test_a_folder_of_classes(tmp_path: Path) -> None:
    folder = tmp_path / "shapes"
    for number, shape in enumerate(SHAPES):
        place = folder / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"{number:02}.npy", shape)
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.npy").write_bytes(b"")
    data = module(folder, labels="folder", holdout=0, eval_batch_size=20)
    (batch,) = data.val_dataloader()
    assert data.classes == ["a", "b"]
    assert batch.labels.tolist() == [0] * 6 + [1] * 6
    assert rows_of(data.val_dataloader(), data) == [*range(0, 12, 2), *range(1, 12, 2)]
    np.save(folder / "loose.npy", SHAPES[0])
    with pytest.raises(ValueError, match=r"loose.npy is in no class"):
        module(folder, labels="folder")


def test_a_test_set_of_its_own(one_file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "test.npy", ~SHAPES[:2])
    data = module(one_file, test=tmp_path / "test.npy")
    (batch,) = data.val_dataloader()
    assert np.array_equal(shapes_of(data.on_after_batch_transfer(batch, 0)), ~SHAPES[:2])
    with pytest.raises(ValueError, match=r"all.npz is in both"):
        module(one_file, test=one_file / "all.npz")


def test_sizes_axes_and_insides() -> None:
    shape = np.zeros((4, 8, 6), bool)
    shape[3, 7, 0] = True
    small = fitted(shape, 4)
    assert small.shape == (4, 4, 4)
    assert small.sum() == 1
    assert small[2, 3, 0]  # halved as a whole, and laid into the middle of x and z
    large = fitted(shape, 10)
    assert large.sum() == 1
    assert large[3 + 3, 1 + 7, 2 + 0]


def test_the_upright_axis_becomes_y_and_surfaces_are_filled(tmp_path: Path) -> None:
    shape = np.zeros((6, 6, 6), bool)
    shape[1:5, 1:5, 1:5] = True
    shape[2:4, 2:4, 2:4] = False
    shape[0, 3, 5] = True
    np.save(tmp_path / "a.npy", np.stack([shape] * 4))
    for up, place in (("x", (3, 0, 5)), ("y", (0, 3, 5)), ("z", (0, 5, 3))):
        data = module(tmp_path / "a.npy", size=6, up=up, holdout=0)
        batch = data.on_after_batch_transfer(next(iter(data.val_dataloader())), 0)
        found = shapes_of(batch)[0]
        found[1:5, 1:5, 1:5] = False
        assert np.argwhere(found).tolist() == [list(place)]
    solid = module(tmp_path / "a.npy", size=6, solid=True, holdout=0)
    assert shapes_of(next(iter(solid.val_dataloader())))[0].sum() == 64 + 1  # stored as 0 and 255


def test_turns_go_around_the_upright_axis_and_mirrors_along_x() -> None:
    values = torch.arange(27).view(1, 1, 3, 3, 3).repeat(8, 1, 1, 1, 1)
    turns, mirrored = torch.tensor([0, 1, 2, 3] * 2), torch.tensor([0] * 4 + [1] * 4)
    found = turned(values, turns, mirrored)
    assert len({tuple(each.flatten().tolist()) for each in found}) == 8
    for y in range(3):
        level = values[0, 0, :, y].sort().values.flatten().sort().values
        assert all(torch.equal(each[0, :, y].flatten().sort().values, level) for each in found)
    assert torch.equal(found[4], values[4].flip(1))
    assert torch.equal(turned(turned(values, turns, 0 * turns), (4 - turns) % 4, 0 * turns), values)


def test_training_shapes_are_turned_by_their_place_in_the_stream(one_file: Path) -> None:
    class Training:
        training, overfit_batches, lightning_module, global_rank, world_size = True, 0, None, 0, 1

    data = module(one_file, turn=True, mirror=True, holdout=0)
    data.trainer = Training()  # type: ignore[assignment]
    loader = data.train_dataloader()
    stored = next(iter(loader))
    first, again = (data.on_after_batch_transfer(stored, 0).voxels for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first > 0, stored.voxels > 0)
    assert (first > 0).sum() == (stored.voxels > 0).sum()


def test_pictures_beside_their_shapes(one_file: Path, tmp_path: Path) -> None:
    data = module(
        one_file, DepictedVoxels, picture_key="icons", image_size=10, channels=4, holdout=0, eval_batch_size=20
    )
    (batch,) = data.val_dataloader()
    assert isinstance(batch, DepictedBatch)
    icons = np.load(one_file / "all.npz")["icons"]
    assert np.array_equal(batch.images.permute(0, 2, 3, 1).numpy(), icons)
    assert np.array_equal(batch.voxels[:, 0].numpy() > 0, SHAPES)
    made = data.on_after_batch_transfer(batch, 0)
    assert made.images.shape == (12, 4, 10, 10)
    assert made.images.min() >= -1

    folder = tmp_path / "single"
    folder.mkdir()
    for number, shape in enumerate(SHAPES):
        np.save(folder / f"{number:02}.npy", shape)
        write_png(torch.full((1, 9, 9), 10 * number, dtype=torch.uint8), tmp_path / "pictures" / f"{number:02}.png")
    data = module(
        folder, DepictedVoxels, pictures=tmp_path / "pictures", image_size=9, channels=1, holdout=0, eval_batch_size=20
    )
    (batch,) = data.val_dataloader()
    assert batch.images[:, 0, 0, 0].tolist() == [10 * number for number in range(12)]
    (tmp_path / "pictures" / "03.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 12 shapes have no picture in .* \(03\)"):
        module(folder, DepictedVoxels, pictures=tmp_path / "pictures", cache_dir=tmp_path / "other")


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"turn": True}, "turn is not for shapes with pictures"),
        ({"picture_key": "nothing"}, "no array 'nothing' of pictures"),
        ({"picture_key": "shape"}, r"shape in .* pictures are uint8 \(N, H, W, C\)"),
    ],
)
def test_pictures_that_do_not_fit_are_a_sentence(one_file: Path, how: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        module(one_file, DepictedVoxels, **{"image_size": 10, **how})


def test_wrong_places_and_lists_are_a_sentence(one_file: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no .*nowhere: name a folder of shapes"):
        module(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"there is no shape in .* \.binvox, \.npy, \.npz"):
        module(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"mirror: true mirrors shapes"):
        VoxelFolder(one_file, flip=True)
    (one_file / "meta.json").write_text(json.dumps(META[:3]))
    with pytest.raises(ValueError, match=r"has 3 entries for 12 shapes"):
        module(one_file, labels="category")
    (one_file / "meta.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"is not JSON"):
        module(one_file, labels="category")
    (one_file / "meta.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no .*meta.json, from which labels and `where` come"):
        module(one_file, labels="category")
    np.save(tmp_path / "bad.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"Python objects"):
        module(tmp_path / "bad.npy")


def test_one_bad_file_of_a_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "shapes"
    folder.mkdir()
    for number in range(6):
        np.save(folder / f"{number}.npy", SHAPES[number])
    (folder / "3.npy").write_bytes((folder / "3.npy").read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"1 of 6 images cannot be decoded, fix or remove them: .*3.npy .*is cut off"):
        module(folder)
