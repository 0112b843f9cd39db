from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import SegmentationFolder
from datamodules.augmentation import BatchDraws
from datamodules.segmentation import MaskDecoder, sample, tile_positions
from gan_lightning.data.batches import PairedBatch

SIZE = 24


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Ten images, and masks that are black where the image is dark."""
    random = np.random.default_rng(0)
    for number in range(10):
        coarse = random.integers(0, 256, (6, 6)).astype(np.uint8)
        image = np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        for name, values in (("images", image), ("masks", np.where(image < 128, 0, 255).astype(np.uint8))):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(values).save(tmp_path / name / f"{number}.png")
    return tmp_path / "images", tmp_path / "masks"


def module_of(folders: tuple[Path, Path], **how) -> SegmentationFolder:
    settings = {"image_size": SIZE, "tile_size": 16, "batch_size": 4, "eval_batch_size": 4} | how
    module = SegmentationFolder(*folders, **settings)
    module.prepare_data()
    module.setup("fit")
    return module


def on_the_device(module: SegmentationFolder, batch, training: bool) -> PairedBatch:
    module.trainer = SimpleNamespace(training=training)
    return module.on_after_batch_transfer(batch, 0)


def test_evaluation_is_on_whole_images_that_are_held_out(folders):
    module = module_of(folders)
    assert (len(module.train_dataloader()), len(module.val_dataloader())) == (2, 1)
    stored = next(iter(module.val_dataloader()))
    source, target = on_the_device(module, stored, training=False)
    assert source.shape == target.shape == (2, 1, SIZE, SIZE)
    torch.testing.assert_close(source, stored.source / 127.5 - 1)
    assert torch.equal(target, torch.where(stored.target == 0, -1.0, 1.0))


def test_images_are_held_out_by_name(folders):
    module = module_of(folders, held_out=["3", "7", "9"], batch_size=7)
    held = next(iter(module.val_dataloader())).source
    expected = [np.asarray(Image.open(folders[0] / f"{name}.png")) for name in (3, 7, 9)]
    assert (held[:, 0].numpy() == np.stack(expected)).all()
    (rest,) = module.train_dataloader()
    assert not any(torch.equal(a, b) for a in rest.source for b in held)
    with pytest.raises(ValueError, match=r"not in .*images: 10, 3\.png"):
        module_of(folders, held_out=["3.png", "10"])
    with pytest.raises(ValueError, match="held_out names 10 of the 10"):
        module_of(folders, held_out=[str(number) for number in range(10)])


def test_an_epoch_takes_the_given_number_of_tiles_of_each_image(folders):
    assert len(module_of(folders, tiles_per_image=5).train_dataloader()) == 8 * 5 // 4


def test_the_levels_say_which_class_is_which(folders):
    stored = next(iter(module_of(folders).val_dataloader()))
    target = on_the_device(module_of(folders, levels=[255, 0]), stored, training=False).target
    assert torch.equal(target, torch.where(stored.target == 0, 1.0, -1.0))
    target = on_the_device(module_of(folders, levels=[255, 100, 0]), stored, training=False).target
    assert torch.equal(target, torch.where(stored.target == 0, 1.0, -1.0))
    with pytest.raises(ValueError, match=r"0\.png has the grey levels 255, .* levels.* now \[0, 1\]"):
        module_of(folders, levels=[0, 1])
    for levels in ([0], [0, 0], [0, 256]):
        with pytest.raises(ValueError, match="two or more different grey levels"):
            module_of(folders, levels=levels)


def test_masks_of_another_size_keep_their_levels(folders):
    module = module_of(folders, image_size=40, tile_size=40)
    target = next(iter(module.val_dataloader())).target
    assert target.unique().tolist() == [0, 255]
    decoder = MaskDecoder((8, 8), channels=1)
    wide = np.zeros((16, 32), np.uint8)
    wide[:, 12:] = 7
    Image.fromarray(wide).save(folders[1].parent / "wide.png")
    assert decoder(folders[1].parent / "wide.png")[0, 0].tolist() == [0] * 2 + [7] * 6  # the middle 16 columns
    stretch = MaskDecoder((8, 8), channels=1, fit="stretch")
    assert stretch(folders[1].parent / "wide.png")[0, 0].tolist() == [0] * 3 + [7] * 5


@pytest.mark.parametrize("elastic", [0.0, 2.0])
def test_a_mask_moves_with_its_image(folders, elastic):
    module = module_of(folders, elastic=elastic, grey=0.0, batch_size=8)
    (stored,) = module.train_dataloader()
    source, target = on_the_device(module, stored, training=True)
    assert source.shape == target.shape == (8, 1, 16, 16)
    assert target.unique().tolist() == [-1, 1]
    agree = ((source > 128 / 127.5 - 1 - 1e-4) == (target > 0)).float().mean()
    assert agree == 1 if elastic == 0 else agree > 0.9
    assert torch.equal(on_the_device(module, stored, training=True).source, source)
    next(iter(module.train_dataloader()))  # another batch, another augmentation
    assert not torch.equal(on_the_device(module, stored, training=True).source, source)


def coordinates(count: int, height: int, width: int) -> torch.Tensor:
    """Images whose pixels hold their column and row: (count, 2, H, W)."""
    grid = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack(grid[::-1]).float().expand(count, -1, -1, -1)


def test_tiles_are_windows_in_all_eight_attitudes():
    positions = tile_positions(BatchDraws((0, 0, 0), 600), (7, 6), (4, 4), flip=True, turn=True)
    tiles = sample(coordinates(600, 7, 6), positions, "nearest")
    torch.testing.assert_close(tiles.movedim(1, 3), positions)
    x, y = tiles.unbind(1)
    assert {(int(a), int(b)) for a, b in zip(x.amin((1, 2)), y.amin((1, 2)), strict=True)} == {
        (left, top) for left in range(3) for top in range(4)
    }
    steps = torch.stack(
        [x[:, 0, 1] - x[:, 0, 0], y[:, 0, 1] - y[:, 0, 0], x[:, 1, 0] - x[:, 0, 0], y[:, 1, 0] - y[:, 0, 0]]
    )
    assert len(steps.round().T.unique(dim=0)) == 8
    for attitude, number in (({"flip": True}, 2), ({"turn": True}, 4), ({}, 1)):
        x, y = tile_positions(BatchDraws((0, 0, 0), 200), (6, 6), (4, 4), **attitude).movedim(3, 0)
        assert len(torch.stack([x[:, 0, 1] - x[:, 0, 0], y[:, 0, 1] - y[:, 0, 0]], 1).round().unique(dim=0)) == min(
            number, 4
        )


def test_deformation_is_smooth_and_of_the_stated_strength():
    moved = tile_positions(BatchDraws((0, 0, 0), 3000), (33, 33), (33, 33), elastic=10.0)
    shift = moved - tile_positions(BatchDraws((0, 0, 0), 1), (33, 33), (33, 33))
    for y in (0, 16, 32):  # at the coarse grid's points
        for x in (0, 16, 32):
            assert shift[:, y, x].std().item() == pytest.approx(10, rel=0.05)
            assert shift[:, y, x].mean().item() == pytest.approx(0, abs=0.8)
    assert shift[:, 0, 0].mul(shift[:, 0, 16]).mean().abs() < 5  # drawn each for itself
    assert shift.diff(dim=1).abs().max() < 8
    assert not torch.equal(shift[..., 0], shift[..., 1])


def test_a_tile_beyond_the_border_is_mirrored():
    image = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 5, 5)
    positions = tile_positions(BatchDraws((0, 0, 0), 1), (5, 5), (9, 9), border=2)
    assert sample(image, positions, "bilinear")[0, 0, 0].tolist() == pytest.approx([2, 1, 0, 1, 2, 3, 4, 3, 2])


def test_grey_values_change_in_the_image_only_and_stay_in_range(folders):
    module = module_of(folders, elastic=0.0, flip=False, turn=False, tile_size=SIZE, grey=0.4, batch_size=8)
    (stored,) = module.train_dataloader()
    source, target = on_the_device(module, stored, training=True)
    plain = stored.source / 127.5 - 1
    assert torch.equal(target, torch.where(stored.target == 0, -1.0, 1.0))
    inside = source.abs() < 1
    for changed, was, kept in zip(source, plain, inside, strict=True):
        slope, offset = np.polyfit(was[kept].numpy(), changed[kept].numpy(), 1)
        assert abs(slope - 1) < 0.4
        assert abs(offset) < 0.4
    assert (source - plain).abs().max() > 0.05
    assert source.abs().max() <= 1


def test_tiles_that_cannot_be(folders):
    with pytest.raises(
        ValueError, match=r"\(28, 28\) pixels cannot be cut from images of \(24, 24\) and a border of 1"
    ):
        module_of(folders, tile_size=28, border=1)
    module_of(folders, tile_size=28, border=2)
    with pytest.raises(ValueError, match="not square"):
        module_of(folders, tile_size=(16, 8))
    module_of(folders, tile_size=(16, 8), turn=False)


def test_real_membranes(real_data):
    membranes = real_data / "membranes"
    module = module_of((membranes / "images", membranes / "labels"), levels=[255, 0], image_size=512, tile_size=192)
    target = on_the_device(module, next(iter(module.val_dataloader())), training=False).target
    assert target.shape == (4, 1, 512, 512)
    assert 0.15 < (target > 0).float().mean() < 0.3  # membrane
