"""Sizes of maps of rectangles that halve."""

import pytest

from gan_lightning.layers import pyramid, sides


def test_maps_double_from_the_smallest() -> None:
    assert pyramid(32) == [(4, 4), (8, 8), (16, 16), (32, 32)]
    assert pyramid((256, 384))[0] == (4, 6)
    assert pyramid([96, 112])[0] == (6, 7)
    assert sides(5) == (5, 5)


@pytest.mark.parametrize("image_size", [(96, 100), 100, 3, (16, 2)])
def test_sizes_that_do_not_halve_are_refused(image_size: object) -> None:
    with pytest.raises(ValueError, match="cannot be halved down"):
        pyramid(image_size)  # type: ignore[arg-type]
