"""Changes of gradients on their way back."""

import pytest
import torch

from gan_lightning.layers.gradients import scale_gradient


@pytest.mark.parametrize("factor", [-1.0, 0.0, 2.5, 1e6])
def test_a_scaled_gradient_changes_nothing_on_the_way_there_and_nothing_for_other_uses(factor: float) -> None:
    x = torch.randn(3, requires_grad=True)
    y = x * 2
    scaled = scale_gradient(y, factor)
    assert torch.equal(scaled, y)
    (scaled.sum() + 3 * y.sum()).backward()
    torch.testing.assert_close(x.grad, torch.full((3,), 2 * (factor + 3)))


def test_where_there_is_no_gradient_nothing_is_scaled() -> None:
    x = torch.randn(3)
    assert torch.equal(scale_gradient(x, 5.0), x)
