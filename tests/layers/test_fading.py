import pytest
import torch
from torch.nn import functional

from gan_lightning.layers.fading import at_level, enlarged, shrunk


@pytest.mark.parametrize("alpha", [0, 0.25, 1])
def test_real_images_fade_between_half_their_size_enlarged_and_their_size(alpha: float) -> None:
    images = torch.rand(2, 1, 16, 24)
    whole = functional.interpolate(functional.avg_pool2d(images, 2), scale_factor=2.0)
    half = functional.interpolate(functional.avg_pool2d(images, 4), scale_factor=4.0)
    torch.testing.assert_close(at_level(images, 1, alpha), alpha * whole + (1 - alpha) * half)


def test_the_ends_of_a_fade_are_those_of_its_levels_to_the_bit() -> None:
    images = torch.randn(2, 3, 16, 16)
    for behind in (0, 1):
        assert torch.equal(at_level(images, behind, 0.0), at_level(images, behind + 1, 1.0))
        assert torch.equal(at_level(images, behind, 1 - 1e-12), at_level(images, behind, 1.0))
    assert at_level(images, 0, 1.0) is images


def test_shrinking_undoes_enlarging_to_the_bit() -> None:
    images = torch.randn(2, 3, 4, 6)
    assert torch.equal(shrunk(enlarged(images, 8), 3), images)
