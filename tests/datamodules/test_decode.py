from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.decode import Decoder
from gan_lightning.data.files import write_image


def saved(path: Path, values: np.ndarray, mode: str | None = None, **options) -> Path:
    image = Image.fromarray(values)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def noise(*shape: int, dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def test_grey_and_rgb_are_read_unchanged_at_their_own_size(tmp_path):
    grey, rgb = noise(5, 7), noise(5, 7, 3)
    decoded = Decoder((5, 7), channels=1)(saved(tmp_path / "grey.png", grey))
    assert decoded.dtype == np.uint8
    assert (decoded == grey[None]).all()
    assert (Decoder((5, 7))(tmp_path / "grey.png") == grey).all()
    assert (Decoder((5, 7))(saved(tmp_path / "rgb.png", rgb)) == rgb.transpose(2, 0, 1)).all()


def test_16_bit_grey_comes_back_exactly_or_divided_by_257(tmp_path):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for suffix in (".png", ".tif", ".pgm"):
        file = saved(tmp_path / f"deep{suffix}", values)
        kept = Decoder((256, 256), channels=1, bits=16)(file)
        assert kept.dtype == np.uint16
        assert (kept[0] == values).all()
        scaled = Decoder((256, 256), channels=1)(file)
        assert scaled.dtype == np.uint8
        assert (scaled[0] == np.rint(values / 257)).all()
    rgba = Decoder((256, 256), channels=4, bits=16)(file)
    assert (rgba[:3] == values).all()
    assert (rgba[3] == 65535).all()


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bit_colour_comes_back_exactly_or_divided_by_257(tmp_path, channels):
    values = noise(channels, 30, 40, dtype=np.uint16)
    write_image(torch.from_numpy(values), tmp_path / "deep.png")
    colours, alpha = (values[:-1], values[-1:]) if channels in (2, 4) else (values, np.full_like(values[:1], 65535))
    whole = np.concatenate([np.broadcast_to(colours, (3, 30, 40)), alpha])
    assert (Decoder((30, 40), channels=4, bits=16)(tmp_path / "deep.png") == whole).all()
    assert (Decoder((30, 40), channels=4)(tmp_path / "deep.png") == np.rint(whole / 257)).all()
    over_white = 65535 - whole[3:] / 65535 * (65535.0 - whole[:3])
    assert abs(Decoder((30, 40), bits=16)(tmp_path / "deep.png") - over_white).max() <= 0.51


def test_colours_that_cannot_be_seen_have_no_part_in_16_bit_neighbours(tmp_path):
    values = np.zeros((4, 8, 8), np.uint16)
    values[0], values[1, :, ::2], values[3, :, 1::2] = 40000, 65535, 65535  # green is there where nothing is seen
    write_image(torch.from_numpy(values), tmp_path / "deep.png")
    small = Decoder((4, 4), channels=4, bits=16)(tmp_path / "deep.png")
    assert abs(small[0].astype(int) - 40000).max() <= 1
    assert small[1].max() == 0


def test_8_bit_as_16_bit_keeps_black_and_white(tmp_path):
    file = saved(tmp_path / "grey.png", np.array([[0, 128, 255]], np.uint8))
    assert Decoder((1, 3), channels=1, bits=16)(file).flatten().tolist() == [0, 128 * 257, 65535]


def test_resampled_16_bit_does_not_wrap_around_at_edges(tmp_path):
    values = np.zeros((16, 16), np.uint16)
    values[:, 8:] = 65535
    decoded = Decoder((64, 64), channels=1, bits=16)(saved(tmp_path / "edge.png", values))[0]
    assert (decoded[:, :24] < 20000).all()
    assert (decoded[:, 40:] > 45000).all()


def test_transparency_lies_over_white_or_is_kept(tmp_path):
    values = np.zeros((1, 3, 4), np.uint8)
    values[0, :, 3] = [255, 128, 0]
    values[0, :, 0] = 200
    file = saved(tmp_path / "alpha.png", values)
    assert (Decoder((1, 3), channels=4)(file) == values.transpose(2, 0, 1)).all()
    red, green, _ = Decoder((1, 3))(file)[:, 0]
    assert red.tolist() == pytest.approx([200, 227, 255], abs=1)
    assert green.tolist() == pytest.approx([0, 127, 255], abs=1)
    assert Decoder((1, 3), channels=1)(file)[0, 0, 2] == 255
    opaque = Decoder((1, 3), channels=4)(saved(tmp_path / "rgb.png", values[..., :3]))
    assert (opaque[3] == 255).all()


def test_all_modes_become_the_channels_asked_for(tmp_path):
    values = noise(6, 6, 3)
    for mode, suffix in [("1", "png"), ("L", "png"), ("LA", "png"), ("P", "png"), ("RGBA", "png"), ("CMYK", "jpg")]:
        file = saved(tmp_path / f"{mode}.{suffix}", values, mode)
        for channels in (1, 3, 4):
            assert Decoder((4, 4), channels=channels)(file).shape == (channels, 4, 4)
    grey_alpha = Image.new("LA", (2, 2), (0, 0))
    grey_alpha.save(tmp_path / "clear.png")
    assert (Decoder((2, 2), channels=1)(tmp_path / "clear.png") == 255).all()
    palette = Image.new("P", (2, 2), 0)
    palette.save(tmp_path / "palette.png", transparency=0)
    assert (Decoder((2, 2))(tmp_path / "palette.png") == 255).all()


def test_a_float_image_is_refused(tmp_path):
    Image.new("F", (4, 4)).save(tmp_path / "float.tif")
    with pytest.raises(ValueError, match="no known range"):
        Decoder((4, 4))(tmp_path / "float.tif")


def test_32_bit_pixels_are_refused(tmp_path):
    saved(tmp_path / "deep.tif", np.full((4, 4), 70000, np.int32))
    with pytest.raises(ValueError, match="more than 16 bits"):
        Decoder((4, 4))(tmp_path / "deep.tif")


def test_the_orientation_that_a_camera_noted_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    values = noise(4, 6, 3)
    file = saved(tmp_path / "turned.png", values, exif=exif)
    assert (Decoder((6, 4))(file) == np.rot90(values, -1).transpose(2, 0, 1)).all()


def columns(height: int, width: int) -> np.ndarray:
    """An image whose brightness is its column."""
    return np.broadcast_to(np.arange(width, dtype=np.uint8), (height, width)).copy()


def test_crop_covers_and_keeps_the_middle(tmp_path):
    file = saved(tmp_path / "wide.png", columns(10, 40))
    assert Decoder((10, 10), channels=1)(file)[0, 0].tolist() == list(range(15, 25))
    file = saved(tmp_path / "high.png", columns(10, 40).T.copy())
    assert Decoder((10, 10), channels=1)(file)[0, :, 0].tolist() == list(range(15, 25))


@pytest.mark.parametrize("shape", [(1, 1), (1, 999), (997, 3), (37, 41), (333, 1000)])
@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
def test_any_aspect_ratio_becomes_the_size_asked_for(tmp_path, shape, fit):
    file = saved(tmp_path / "image.png", np.full(shape, 100, np.uint8))
    for size in [(32, 32), (17, 31), (7, 300)]:
        decoded = Decoder(size, channels=1, fit=fit)(file)
        assert decoded.shape == (1, *size)
        assert (decoded == 100).all() if fit != "pad" else (decoded == 100).any()


def test_stretch_keeps_all_and_pad_keeps_all_between_black(tmp_path):
    file = saved(tmp_path / "wide.png", columns(20, 40) + 100)
    stretched = Decoder((20, 20), channels=1, fit="stretch")(file)
    assert stretched.min() <= 101
    assert stretched.max() >= 138
    padded = Decoder((20, 20), channels=1, fit="pad")(file)[0]
    assert (padded[:5] == 0).all()
    assert (padded[15:] == 0).all()
    assert (padded[5:15] >= 100).all()


def test_shrinking_is_antialiased(tmp_path):
    board = np.indices((64, 64)).sum(0) % 2 * 255
    decoded = Decoder((8, 8), channels=1)(saved(tmp_path / "board.png", board.astype(np.uint8)))
    assert np.abs(decoded.astype(int) - 127).max() <= 4


def test_halves_do_not_bleed_into_each_other(tmp_path):
    values = np.zeros((32, 65), np.uint8)
    values[:, 33:] = 255
    file = saved(tmp_path / "pair.png", values)
    assert (Decoder((8, 8), channels=1, region="left")(file) == 0).all()
    assert (Decoder((8, 8), channels=1, region="right")(file) == 255).all()


def test_a_centred_square_is_cut_and_must_fit(tmp_path):
    file = saved(tmp_path / "wide.png", columns(20, 40))
    assert Decoder((10, 10), channels=1, region=10)(file)[0, 0].tolist() == list(range(15, 25))
    with pytest.raises(ValueError, match="40x20 pixels, too few"):
        Decoder((10, 10), region=21)(file)
    with pytest.raises(ValueError, match="1x1 pixels, too few"):
        Decoder((10, 10), region="left")(saved(tmp_path / "dot.png", columns(1, 1)))
