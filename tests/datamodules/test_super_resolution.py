"""Photographs of any size as tiles, and the sources that are made from them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import SuperResolutionFolder
from datamodules.super_resolution import reduced, turned
from gan_lightning.data.batches import PairedBatch
from gan_lightning.data.images import to_float, to_uint8


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "cache"))


class Training:
    """The part of a trainer that a datamodule needs."""

    lightning_module = None
    training, global_rank, world_size, overfit_batches = True, 0, 1, 0


def photograph(path: Path, width: int, height: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return values


def reference(module) -> PairedBatch:
    module.setup("validate")
    return module.on_after_batch_transfer(next(iter(module.val_dataloader())), 0)


@pytest.mark.parametrize(("width", "height", "columns"), [(60, 20, 4), (20, 60, 1), (24, 20, 2), (16, 16, 2)])
def test_tiles_lie_on_a_grid_at_the_photographs_own_resolution(tmp_path, width, height, columns):
    values = photograph(tmp_path / "images" / "a.png", width, height)
    module = SuperResolutionFolder(tmp_path / "images", holdout=0, scale=2, image_size=16, tiles=4)
    target = to_uint8(reference(module).target).permute(0, 2, 3, 1).numpy()
    rows = 4 // columns
    tops = [(height - 16) // 2] if rows == 1 else [(height - 16) * i // (rows - 1) for i in range(rows)]
    lefts = [(width - 16) // 2] if columns == 1 else [(width - 16) * i // (columns - 1) for i in range(columns)]
    expected = [values[top : top + 16, left : left + 16] for top in tops for left in lefts]
    assert np.array_equal(target, np.stack(expected))


def test_a_source_is_its_target_reduced_as_an_image_file_is(tmp_path):
    smooth = Image.fromarray(np.random.default_rng(0).integers(60, 200, (8, 8, 3), np.uint8)).resize((32, 32))
    (tmp_path / "images").mkdir()
    smooth.save(tmp_path / "images" / "a.png")
    batch = reference(SuperResolutionFolder(tmp_path / "images", holdout=0, image_size=32))
    assert (batch.source.shape, batch.target.shape) == ((1, 3, 8, 8), (1, 3, 32, 32))
    pillow = torch.from_numpy(np.asarray(smooth.resize((8, 8), Image.Resampling.BICUBIC)).copy()).permute(2, 0, 1)
    assert (to_uint8(batch.source)[0].int() - pillow.int()).abs().max() <= 1
    assert torch.equal(batch.source, to_float(to_uint8(batch.source)))  # 256 levels


def test_training_cuts_flips_and_turns_but_pairs_stay_aligned(tmp_path):
    photograph(tmp_path / "images" / "a.png", 24, 24)
    module = SuperResolutionFolder(
        tmp_path / "images", holdout=0, image_size=24, crop_size=8, rotate=True, batch_size=1, eval_batch_size=1
    )
    whole = to_uint8(reference(module).target)[0]
    ways = [way for turns in range(4) for way in (whole.rot90(turns, (1, 2)), whole.rot90(turns, (1, 2)).flip(2))]
    module.trainer = Training()
    module.setup("fit")
    seen = set()
    torch.manual_seed(0)
    for _ in range(60):
        batch = module.on_after_batch_transfer(next(iter(module.train_dataloader())), 0)
        assert (batch.source.shape, batch.target.shape) == ((1, 3, 2, 2), (1, 3, 8, 8))
        assert torch.equal(batch.source, reduced(batch.target, 4))
        target = to_uint8(batch.target)[0]
        seen |= {
            way
            for way, image in enumerate(ways)
            if any(torch.equal(image[:, i : i + 8, j : j + 8], target) for i in range(17) for j in range(17))
        }
    assert seen == set(range(8))


def test_turns_are_each_images_own():
    images = torch.arange(18, dtype=torch.uint8).view(1, 2, 3, 3).expand(64, -1, -1, -1)
    quarters = torch.arange(64) % 4
    turns = [torch.equal(image, images[0].rot90(k, (1, 2))) for image in turned(images, quarters) for k in range(4)]
    assert sum(turns) == 64
    assert all(any(turns[k::4]) for k in range(4))


def test_a_photograph_and_its_tiles_are_held_out_together(tmp_path):
    for number in range(10):
        Image.new("L", (20, 20), number * 20).save(tmp_path / f"{number}.png")
    module = SuperResolutionFolder(tmp_path, holdout=0.2, scale=2, image_size=8, tiles=4, channels=1, batch_size=1)
    train, held = module.training_storage(), module.reference_storage()
    assert (len(train), len(held)) == (32, 8)
    levels = [set(s.batch(torch.arange(len(s))).images.flatten().tolist()) for s in (train, held)]
    assert not levels[0] & levels[1]
    assert len(levels[1]) == 2
    part = held.subset(np.array([1, 5]))
    assert torch.equal(part.batch(torch.tensor([1])).images, held.batch(torch.tensor([5])).images)
    assert len({train.fingerprint, held.fingerprint, part.fingerprint}) == 3


def test_a_test_folder_is_the_reference(tmp_path):
    photograph(tmp_path / "train" / "a.png", 16, 16)
    expected = photograph(tmp_path / "test" / "b.png", 16, 16, seed=1)
    module = SuperResolutionFolder(tmp_path / "train", test=tmp_path / "test", scale=2, image_size=16)
    assert np.array_equal(to_uint8(reference(module).target)[0].permute(1, 2, 0).numpy(), expected)
    assert len(module.training_storage()) == 1


def test_a_photograph_smaller_than_a_tile_is_named(tmp_path):
    photograph(tmp_path / "small.png", 30, 20)
    with pytest.raises(ValueError, match=r"small\.png \(it has 30x20 pixels, fewer than a tile of 32x32\)"):
        SuperResolutionFolder(tmp_path, image_size=32).prepare_data()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"image_size": 30}, "cannot be reduced by scale=4: make them multiples"),
        ({"image_size": 32, "crop_size": 18}, "cannot be reduced by scale=4"),
        ({"image_size": 32, "crop_size": 64}, "cannot be cut"),
        ({"image_size": (32, 64), "rotate": True}, "cannot be turned: make them square"),
        ({"tiles": 0}, "tiles=0"),
        ({"scale": 0}, "scale=0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        SuperResolutionFolder("images", **settings)
