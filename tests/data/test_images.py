"""The image convention: every level survives the way there and back."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from datamodules.decode import Decoder
from gan_lightning.data.images import as_uint8, image_grid, to_channels, to_float, to_uint8, to_uint16


def test_all_256_levels_come_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    floats = to_float(levels)
    assert floats.dtype == torch.float32
    assert (float(floats[0]), float(floats[-1])) == (-1, 1)
    assert torch.equal(to_uint8(floats), levels)


def test_all_65536_levels_come_back() -> None:
    levels = torch.arange(65536, dtype=torch.int32).to(torch.uint16)
    floats = to_float(levels)
    assert floats.dtype == torch.float32
    assert (float(floats[0]), float(floats[-1])) == (-1, 1)
    assert torch.equal(to_uint16(floats).int(), levels.int())


def test_values_are_rounded_to_the_nearest_level() -> None:
    for step, convert in ((127.5, to_uint8), (32767.5, to_uint16)):
        between = torch.tensor([10.4, 10.6, 199.4, 199.6], dtype=torch.float64) / step - 1
        assert convert(between.float()).int().tolist() == [10, 11, 199, 200]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_values_outside_are_clamped_and_do_not_wrap(dtype: torch.dtype) -> None:
    wild = torch.tensor([-1e4, -1.01, -1, 1, 1.01, 1e4], dtype=dtype)
    assert to_uint8(wild).tolist() == [0, 0, 0, 255, 255, 255]
    assert to_uint16(wild).int().tolist() == [0, 0, 0, 65535, 65535, 65535]


def test_conversions_leave_their_argument_alone_and_cut_the_graph() -> None:
    images = torch.tensor([0.25, -0.5], requires_grad=True)
    kept = images.detach().clone()
    assert not to_uint8(images).requires_grad
    to_uint16(images)
    assert torch.equal(images, kept)
    stored = torch.tensor([1, 2], dtype=torch.uint8)
    to_float(stored).zero_()
    assert stored.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.int16, torch.bool])
def test_a_dtype_without_a_known_range_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"images of dtype {dtype} have no known range"):
        to_float(torch.zeros(1, dtype=dtype))
    with pytest.raises(TypeError, match=f"images of dtype {dtype} have no known range"):
        as_uint8(torch.zeros(1, dtype=dtype))


@pytest.mark.parametrize("convert", [to_uint8, to_uint16, partial(image_grid, columns=1)])
def test_stored_images_are_not_converted_a_second_time(convert: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(TypeError, match=r"images of dtype torch\.uint8 are no floats in \[-1, 1\]"):
        convert(torch.zeros(1, 1, 2, 2, dtype=torch.uint8))


def test_16_bits_become_8_by_rounded_division_by_257() -> None:
    levels = torch.arange(65536, dtype=torch.int32).to(torch.uint16)
    reduced = as_uint8(levels)
    assert reduced.dtype == torch.uint8
    assert (reduced.numpy() == np.rint(np.arange(65536) / 257)).all()
    assert torch.equal(as_uint8(reduced), reduced)


@pytest.mark.parametrize(
    ("channels", "as_grey", "as_rgb"),
    [
        ([10], [10], [10, 10, 10]),
        ([10, 255], [10], [10, 10, 10]),
        ([10, 0], [255], [255, 255, 255]),
        ([10, 51], [206], [206, 206, 206]),  # a fifth of 10, the rest of white
        ([10, 20, 30], [0.299 * 10 + 0.587 * 20 + 0.114 * 30], [10, 20, 30]),
        ([10, 20, 30, 255], [0.299 * 10 + 0.587 * 20 + 0.114 * 30], [10, 20, 30]),
        ([10, 20, 30, 51], [0.299 * 206 + 0.587 * 208 + 0.114 * 210], [206, 208, 210]),
        ([10, 20, 30, 40, 50], [0.299 * 10 + 0.587 * 20 + 0.114 * 30], [10, 20, 30]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32, torch.float64])
def test_any_number_of_channels_is_shown_as_one_or_three(
    channels: list[int], as_grey: list[float], as_rgb: list[float], dtype: torch.dtype
) -> None:
    pixel = torch.tensor(channels, dtype=torch.float64).view(1, -1, 1, 1).expand(2, -1, 3, 4)
    scale = 257 if dtype == torch.uint16 else 1
    images = (pixel / 127.5 - 1 if dtype.is_floating_point else pixel * scale).to(dtype)
    for count, expected in ((1, as_grey), (3, as_rgb)):
        shown = to_channels(images, count)
        assert shown.shape == (2, count, 3, 4)
        assert shown.dtype == dtype
        values = shown[1, :, 2, 3].double()
        if dtype.is_floating_point:
            assert ((values + 1) * 127.5).tolist() == pytest.approx(expected, abs=1e-4)
        else:
            assert values.tolist() == [round(value * scale) for value in expected]


@pytest.mark.parametrize("channels", [1, 3])
def test_laid_over_white_before_or_after_rounding_is_the_same_but_for_a_level(channels: int) -> None:
    images = torch.randn(2, 4, 50, 50)  # beyond [-1, 1] too
    before, after = to_uint8(to_channels(images, channels)), to_channels(to_uint8(images), channels)
    assert (before.int() - after.int()).abs().max() <= 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_alpha_is_rounded_to_the_nearest_level(dtype: torch.dtype) -> None:
    white = torch.iinfo(dtype).max
    colour, alpha = np.random.default_rng(0).integers(0, white, (2, 100_000), endpoint=True)
    images = torch.from_numpy(np.stack([colour, alpha])).to(dtype).view(1, 2, 1, -1)
    nearest = (2 * (colour * alpha + white * (white - alpha)) + white) // (2 * white)  # in integers: no rounding error
    assert (to_channels(images, 1).numpy().ravel() == nearest).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white_as_the_datamodules_lay_files(tmp_path: Path, mode: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, (64, 64, len(mode)), np.uint8)
    Image.fromarray(values, mode).save(tmp_path / "image.png")
    images = torch.from_numpy(values).permute(2, 0, 1)[None]
    for channels in (1, 3):
        decoded = Decoder((64, 64), channels=channels)(tmp_path / "image.png")
        difference = to_channels(images, channels)[0].int() - torch.from_numpy(decoded.copy()).int()
        assert difference.abs().max() <= 1


@pytest.mark.parametrize("levels", [range(0, 256), [0, 255]])
def test_grey_as_colour_as_grey_is_what_it_was(levels: list[int]) -> None:
    grey = torch.tensor(list(levels), dtype=torch.uint8).view(1, 1, 1, -1)
    assert torch.equal(to_channels(to_channels(grey, 3), 1), grey)


def test_other_numbers_of_channels_are_not_for_showing() -> None:
    with pytest.raises(ValueError, match="shown with 1 or 3 channels, not 4"):
        to_channels(torch.zeros(1, 3, 2, 2), 4)


@pytest.mark.parametrize(
    ("count", "columns", "channels", "height", "width"),
    [(12, 4, 3, 3 * 7 + 2, 4 * 10 + 2), (5, 3, 1, 2 * 7 + 2, 3 * 10 + 2), (2, 8, 4, 7 + 2, 2 * 10 + 2)],
)
def test_a_grid_is_one_picture_row_after_row(count: int, columns: int, channels: int, height: int, width: int) -> None:
    images = torch.linspace(-1, 1, count).view(-1, 1, 1, 1).expand(-1, channels, 5, 8)
    grid = image_grid(images, columns)
    assert grid.dtype == torch.uint8
    assert grid.shape == (3, height, width)
    levels = to_uint8(torch.linspace(-1, 1, count)).tolist()
    if channels == 4:  # alpha is what the colour is: what is dark is clear
        levels = [round(255 - level / 255 * (255 - level)) for level in levels]
    for i, level in enumerate(levels):
        row, column = divmod(i, columns)
        cell = grid[:, 2 + 7 * row : 7 + 7 * row, 2 + 10 * column : 10 + 10 * column]
        assert (cell == level).all()
    assert (grid[:, :2] == 0).all()
