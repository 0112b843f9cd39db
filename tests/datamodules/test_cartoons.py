"""Cartoons with smoothed edges: where they are smoothed and by how much, the cache, the three parts of a batch."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import CartoonFolder, cartoons
from datamodules.cartoons import SmoothedEdges, smooth_edges
from datamodules.decode import Decoder
from gan_lightning.data.batches import CartoonBatch


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "cache"))


def halves(left: int, right: int, channels: int = 3, dtype=np.uint8) -> np.ndarray:
    """A picture of two levels, (channels, 40, 40), with one upright edge between columns 19 and 20."""
    image = np.full((channels, 40, 40), left, dtype)
    image[:, :, 20:] = right
    return image


def drawing(path: Path, left: int, right: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(halves(left, right).transpose(1, 2, 0)).save(path)


def binomial_like(width: int) -> np.ndarray:
    """OpenCV's Gaussian kernel of an odd width, by its published formula."""
    deviation = 0.3 * ((width - 1) * 0.5 - 1) + 0.8
    weights = np.exp(-((np.arange(width) - width // 2) ** 2) / (2 * deviation**2))
    return weights / weights.sum()


@pytest.mark.parametrize("width", [3, 5, 7])
def test_a_band_around_the_edge_is_blurred_and_nothing_else(width):
    image = halves(20, 220)
    smoothed = smooth_edges(image, width=width)
    changed = np.flatnonzero((smoothed != image).any(axis=(0, 1)))
    assert changed.min() >= 20 - 1 - width // 2
    assert changed.max() <= 20 + width // 2
    # across the edge, the levels are those of a step under the kernel, wherever the band reaches
    expected = np.convolve(np.where(np.arange(-width, 40 + width) < 20, 20.0, 220.0), binomial_like(width), "same")
    for column in changed:
        assert abs(int(smoothed[0, 20, column]) - expected[column + width]) <= 1
    assert {19, 20} <= {*changed.tolist()}  # both sides of the edge
    row = smoothed[0, 20].astype(int)
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 200  # no longer a jump


def test_only_strong_edges_are_smoothed_and_thresholds_say_which():
    faint = halves(100, 120)  # Sobel's gradient of a step of 20 is 80
    assert (smooth_edges(faint) == faint).all()
    assert (smooth_edges(faint, thresholds=(30.0, 60.0)) != faint).any()
    flat = halves(90, 90)
    assert (smooth_edges(flat, thresholds=(0.5, 1.0)) == flat).all()


def test_colours_edges_of_16_bits_and_of_alpha():
    coloured = halves(0, 0)
    coloured[1, :, 20:] = 200  # black to green
    smoothed = smooth_edges(coloured)
    assert (smoothed[1] != coloured[1]).any()
    assert (smoothed[[0, 2]] == 0).all()
    deep = smooth_edges(halves(20 * 257, 220 * 257, dtype=np.uint16))
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - smooth_edges(halves(20, 220))).max() < 1
    opaque = halves(0, 0, channels=4)
    opaque[3, :, 20:] = 255  # nothing, then black: over white, an edge
    assert (smooth_edges(opaque)[3] != opaque[3]).any()
    assert smooth_edges(halves(20, 220, channels=1)).shape == (1, 40, 40)


def test_the_decoder_smooths_at_the_size_that_is_stored(tmp_path):
    drawing(tmp_path / "a.png", 20, 220)
    decoder = SmoothedEdges((20, 20))
    assert (decoder(tmp_path / "a.png") == smooth_edges(Decoder((20, 20))(tmp_path / "a.png"))).all()
    assert repr(decoder) != repr(SmoothedEdges((20, 20), width=3))  # which is part of a cache's name


def folder(tmp_path: Path, **how) -> CartoonFolder:
    for number in range(12):
        drawing(tmp_path / "a" / f"{number}.png", 100 + number, 100 + number)
        drawing(tmp_path / "b" / f"{number}.png", 10 * number, 255)
    return CartoonFolder(tmp_path / "a", tmp_path / "b", **{"image_size": 40, "batch_size": 3, **how})


def test_batches_hold_photographs_cartoons_and_smoothed_ones_that_are_drawn_by_themselves(tmp_path):
    module = folder(tmp_path)
    module.prepare_data()
    module.setup("fit")
    batches = list(module.train_dataloader())
    assert all(isinstance(batch, CartoonBatch) for batch in batches)
    seen = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in CartoonBatch._fields}
    levels = {name: images[:, 0, 0, 0].tolist() for name, images in seen.items()}
    assert sorted(levels["real_b"]) == sorted(levels["smoothed"])
    assert levels["real_b"] != levels["smoothed"]
    assert levels["real_a"] != [100 + level // 10 for level in levels["real_b"]]
    for image, level in zip(seen["smoothed"], levels["smoothed"], strict=True):
        whole = halves(level, 255)
        assert (image.numpy() == smooth_edges(whole)).all()
        assert (image.numpy() != whole).any() == (255 - level > 50)
    held = next(iter(module.val_dataloader()))
    assert not {*held.smoothed[:, 0, 0, 0].tolist()} & {*levels["smoothed"]}
    assert {*held.smoothed[:, 0, 0, 0].tolist()} == {*held.real_b[:, 0, 0, 0].tolist()}


def test_the_cartoons_are_smoothed_once(tmp_path, monkeypatch):
    folder(tmp_path).prepare_data()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("*.npy")}
    assert len(before) == 3  # photographs, cartoons, smoothed cartoons
    monkeypatch.setattr(cartoons, "smooth_edges", lambda *_: pytest.fail("the cache should have been read"))
    CartoonFolder(tmp_path / "a", tmp_path / "b", image_size=40).prepare_data()
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("*.npy")} == before


def test_crops_are_independent_and_of_the_wanted_size(tmp_path):
    module = folder(tmp_path, image_size=32, load_size=40, flip=True)
    module.setup("validate")
    batch = module.on_after_batch_transfer(next(iter(module.val_dataloader())), 0)
    assert [field.shape[2:] for field in batch] == [(32, 32)] * 3
    assert all(field.dtype == torch.float32 and field.abs().max() <= 1 for field in batch)


def test_mistakes(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="thresholds=200, 100"):
        CartoonFolder(tmp_path, tmp_path, thresholds=(200.0, 100.0))
    with pytest.raises(ValueError, match="edge_width=4: a band along an edge has an odd width, as 5"):
        CartoonFolder(tmp_path, tmp_path, edge_width=4)
    real = importlib.import_module

    def without(name, *rest):
        if name.startswith("skimage"):
            raise ModuleNotFoundError("No module named 'skimage'", name="skimage")
        return real(name, *rest)

    monkeypatch.setattr(cartoons.importlib, "import_module", without)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "gan_lightning\[cartoon\]"'):
        CartoonFolder(tmp_path, tmp_path)
