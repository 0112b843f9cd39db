import pytest
import torch
from torch import nn

from gan_lightning.layers.initialisation import initialise


@pytest.mark.parametrize(
    ("kind", "std"),
    [("normal", 0.02), ("xavier", 0.02 * (2 / (9 * 64 + 9 * 128)) ** 0.5), ("kaiming", (2 / (9 * 64)) ** 0.5)],
)
def test_how_weights_start(kind, std):
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(64, 128, 3), nn.BatchNorm2d(2000)
    initialise(nn.Sequential(conv, norm), kind)
    assert conv.weight.std().item() == pytest.approx(std, rel=0.02)
    assert not conv.bias.any()
    assert norm.weight.mean().item() == pytest.approx(1, rel=0.01)


def test_an_unknown_name():
    with pytest.raises(ValueError, match='"normal", "xavier" or "kaiming", not \'orthogonal\''):
        initialise(nn.Linear(2, 2), "orthogonal")
