"""Convolutions of volumes in another order of sums: values and gradients of the plain layers."""

import pytest
import torch
from torch import nn

from gan_lightning.layers.volumes import DoublingConv3d, HalvingConv3d


@pytest.mark.parametrize(
    ("ours", "plain", "shape"),
    [
        (HalvingConv3d(1, 3), nn.Conv3d(1, 3, 4, 2, 1, bias=False), (2, 1, 8, 6, 4)),
        (HalvingConv3d(2, 3), nn.Conv3d(2, 3, 4, 2, 1, bias=False), (2, 2, 4, 4, 4)),
        (DoublingConv3d(3, 1), nn.ConvTranspose3d(3, 1, 4, 2, 1, bias=False), (2, 3, 4, 3, 2)),
        (DoublingConv3d(3, 2), nn.ConvTranspose3d(3, 2, 4, 2, 1, bias=False), (2, 3, 2, 2, 2)),
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("needs", [True, False])
def test_values_and_gradients_are_those_of_the_plain_layer(
    ours: nn.Module, plain: nn.Module, shape: tuple[int, ...], layout: torch.memory_format, needs: bool
) -> None:
    plain.load_state_dict(ours.state_dict())
    ours.to(memory_format=layout)
    found = []
    for layer in (ours, plain):
        layer.zero_grad()
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_(needs)
        y = layer(x)
        y.square().sum().backward()
        found.append((y.detach(), layer.weight.grad.clone(), x.grad if needs else torch.zeros(1)))
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)
