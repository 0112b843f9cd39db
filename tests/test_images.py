"""The image convention: every level survives the way there and back."""

import pytest
import torch

from gan_lightning.images import image_grid, to_channels, to_float, to_uint8, to_uint16


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


@pytest.mark.parametrize(
    ("channels", "as_grey", "as_rgb"),
    [
        ([10], [10], [10, 10, 10]),
        ([10, 99], [10], [10, 10, 10]),  # alpha is dropped
        ([10, 20, 30], [0.299 * 10 + 0.587 * 20 + 0.114 * 30], [10, 20, 30]),
        ([10, 20, 30, 99], [0.299 * 10 + 0.587 * 20 + 0.114 * 30], [10, 20, 30]),
        ([10, 20, 30, 40, 50], [0.299 * 10 + 0.587 * 20 + 0.114 * 30], [10, 20, 30]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_any_number_of_channels_is_shown_as_one_or_three(
    channels: list[int], as_grey: list[float], as_rgb: list[float], dtype: torch.dtype
) -> None:
    images = torch.tensor(channels).to(dtype).view(1, -1, 1, 1).expand(2, -1, 3, 4)
    for count, expected in ((1, as_grey), (3, as_rgb)):
        shown = to_channels(images, count)
        assert shown.shape == (2, count, 3, 4)
        assert shown.dtype == dtype
        wanted = [round(value) for value in expected] if dtype == torch.uint8 else expected
        assert shown[1, :, 2, 3].tolist() == pytest.approx(wanted)


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
    for i, level in enumerate(levels):
        row, column = divmod(i, columns)
        cell = grid[:, 2 + 7 * row : 7 + 7 * row, 2 + 10 * column : 10 + 10 * column]
        assert (cell == level).all()
    assert (grid[:, :2] == 0).all()
