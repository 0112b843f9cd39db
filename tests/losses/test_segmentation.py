import math

import pytest
import torch
from torch.nn import functional as F

from gan_lightning.losses import PixelCrossEntropy, border_weights


def two_cells() -> torch.Tensor:
    """A gap of 5 pixels between two wide cells."""
    cells = torch.zeros(2, 40, 45, dtype=torch.bool)
    cells[0, :, :20] = True
    cells[0, :, 25:] = True
    cells[1, 10:20, 10:20] = True
    return cells


def test_the_border_term_is_equation_2():
    weights = border_weights(two_cells(), weight=10, sigma=5)
    assert weights.dtype == torch.float32
    # in a gap between straight borders, d1 + d2 is the same everywhere
    torch.testing.assert_close(weights[0, :, 20:25], torch.full((40, 5), 10 * math.exp(-(6**2) / 50)))
    assert not weights[0, :, :20].any()
    assert not weights[1].any()  # there is no second cell


def test_distances_are_those_to_the_nearest_and_the_second_nearest_cell():
    points = torch.tensor([[2, 3], [5, 17], [11, 9], [20, 4], [21, 20]])
    cells = torch.zeros(1, 24, 24, dtype=torch.bool)
    cells[0, points[:, 0], points[:, 1]] = True  # single pixels: the distances to cells are those to points
    grid = torch.stack(torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij"), -1).double()
    nearest = torch.cdist(grid.view(-1, 2), points.double()).sort(dim=1).values[:, :2].sum(1).view(24, 24)
    expected = torch.where(cells[0], 0, 3 * torch.exp(-(nearest**2) / (2 * 4**2)))
    torch.testing.assert_close(border_weights(cells, 3, 4)[0].double(), expected, rtol=0, atol=3 * 4e-6)


def test_the_loss_is_a_mean_of_weighted_pixels_of_the_middle():
    torch.manual_seed(0)
    classes = torch.randint(3, (2, 10, 12))
    logits = torch.randn(2, 3, 6, 8)
    middle = classes[:, 2:8, 2:10]
    plain = F.cross_entropy(logits, middle, reduction="none")
    found = PixelCrossEntropy(border_weight=0)(logits, classes)
    torch.testing.assert_close(found, plain.mean())
    weighted = PixelCrossEntropy([1.0, 2.0, 4.0], border_weight=0)(logits, classes)
    torch.testing.assert_close(weighted, (torch.tensor([1.0, 2.0, 4.0])[middle] * plain).mean())
    with pytest.raises(ValueError, match="3 class_weights and 2 classes"):
        PixelCrossEntropy([1.0, 2.0, 4.0])(logits[:, :2], classes.clamp(max=1))


def test_borders_are_those_of_the_cell_class_beyond_the_middle_too():
    cells = two_cells()[:1]
    logits = torch.zeros(1, 2, 20, 5)  # the middle is the gap, and no cell
    gap = 1 + 10 * math.exp(-(6**2) / 50)
    assert PixelCrossEntropy()(logits, cells.long()).item() == pytest.approx(gap * math.log(2))
    assert PixelCrossEntropy(cell_class=0)(logits, 1 - cells.long()).item() == pytest.approx(gap * math.log(2))
