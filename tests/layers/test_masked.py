"""Masked layers: no later value leaks in, and pixel by pixel they compute what they do at once."""

import pytest
import torch

from gan_lightning.layers.masked import Field, MaskedConv2d, MaskedLinear, colours_of


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("only_row", [False, True])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_convolution_sees_all_that_comes_before_in_its_field_and_nothing_else(
    kernel: int, only_row: bool, own: bool
) -> None:
    colours, size = 3, 5
    layer = MaskedConv2d(colours, 2 * colours, kernel, colours, own, parts=2, only_row=only_row).double()
    x = torch.zeros(1, colours, size, size, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(layer, x)[0, :, :, :, 0]  # (out, H, W, in, H, W)
    for out, row, column, inside, r, c in torch.cartesian_prod(
        torch.arange(6), *[torch.arange(size)] * 2, torch.arange(3), *[torch.arange(size)] * 2
    ).tolist():
        near = abs(c - column) <= kernel // 2 and 0 <= row - r <= (0 if only_row else kernel // 2)
        earlier = (r, c, inside) < (row, column, out % 3) or (own and (r, c, inside) == (row, column, out % 3))
        assert bool(jacobian[out, row, column, inside, r, c] != 0) == (near and earlier)


@pytest.mark.parametrize("only_row", [False, True])
def test_a_field_computes_a_convolution_pixel_by_pixel(only_row: bool) -> None:
    layer = MaskedConv2d(4, 6, 5, 2, own=True, only_row=only_row).double()
    x = torch.randn(3, 4, 4, 6, dtype=torch.float64)
    whole, field = layer(x), Field(layer, 3, 4, 6)
    with torch.no_grad():
        for row in range(4):
            for column in range(6):
                torch.testing.assert_close(field(x[:, :, row, column], row, column), whole[:, :, row, column])


def test_an_even_field_has_no_middle() -> None:
    with pytest.raises(ValueError, match="odd, not 4"):
        MaskedConv2d(1, 1, 4, 1, own=True)


def test_colours_take_turns_in_each_part() -> None:
    assert colours_of(8, 3, parts=2).tolist() == [0, 1, 2, 0, 0, 1, 2, 0]


def test_a_linear_layer_sees_lower_degrees() -> None:
    before, after = torch.tensor([1, 2, 3]), torch.tensor([1, 3])
    for own, expected in ((True, [[1, 0, 0], [1, 1, 1]]), (False, [[0, 0, 0], [1, 1, 0]])):
        layer = MaskedLinear(before, after, own)
        jacobian = torch.autograd.functional.jacobian(layer, torch.zeros(1, 3))[0, :, 0]
        assert (jacobian != 0).int().tolist() == expected
