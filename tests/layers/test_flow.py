"""Invertible layers: inverses, and determinants by automatic differentiation."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.layers.flow import BatchNormFlow, Coupling, Logit, squeeze, unsqueeze
from gan_lightning.networks import RealNVPNetwork


def log_det(function: Any, x: Tensor) -> float:
    """log |det| of a function of one item (C, H, W)."""
    jacobian = torch.autograd.functional.jacobian(lambda item: function(item[None])[0][0], x)
    return float(torch.linalg.slogdet(jacobian.reshape(x.numel(), -1)).logabsdet)


def stir(module: nn.Module) -> None:
    """Give batch norms moments, and couplings scales, as training does."""
    for part in module.modules():
        if isinstance(part, Coupling):
            nn.init.normal_(part.size)
        if isinstance(part, BatchNormFlow):
            part.mean.normal_()
            part.variance.uniform_(0.5, 2)
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()  # type: ignore[union-attr]
            part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("checkerboard", [False, True])
def test_a_coupling_is_inverted_and_has_the_determinant_that_it_states(checkerboard: bool, flipped: bool) -> None:
    torch.manual_seed(0)
    layer = Coupling(4, 5, 1, checkerboard, flipped).double().eval()
    stir(layer)
    x = torch.randn(3, 4, 4, 2, dtype=torch.float64)
    with torch.no_grad():
        y, stated = layer(x)
        torch.testing.assert_close(layer.inverse(y), x)
    for item, value in zip(x, stated, strict=True):
        assert log_det(layer, item) == pytest.approx(float(value), rel=1e-9)
    jacobian = torch.autograd.functional.jacobian(lambda item: layer(item[None])[0][0], x[0])
    unmoved = (jacobian.reshape(32, 32) - torch.eye(32)).abs().sum(1) == 0
    assert int(unmoved.sum()) == 16  # half of the values stay


def test_batch_norm_states_the_determinant_of_its_batch() -> None:
    layer = BatchNormFlow(2).double()
    x = 3 * torch.randn(5, 2, 2, 2, dtype=torch.float64) + 1
    mask = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double()[None, None]
    y, stated = layer(x, mask)
    marked = y[:, :, mask[0, 0] > 0]
    torch.testing.assert_close(marked.mean((0, 2)), torch.zeros(2).double())
    torch.testing.assert_close(marked.var((0, 2), correction=0), torch.ones(2).double(), atol=1e-4, rtol=0)
    assert torch.equal(y[:, :, mask[0, 0] == 0], x[:, :, mask[0, 0] == 0])
    variance = x[:, :, mask[0, 0] > 0].var((0, 2), correction=0)
    expected = -0.5 * 2 * (variance + layer.epsilon).log().sum()
    torch.testing.assert_close(stated, expected.expand(5))
    torch.testing.assert_close(layer.mean, 0.1 * x[:, :, mask[0, 0] > 0].mean((0, 2)))


def test_the_logit_has_the_determinant_that_it_states() -> None:
    layer, x = Logit(0.05), torch.rand(2, 1, 3, 3, dtype=torch.float64)
    y, stated = layer(x)
    torch.testing.assert_close(layer.inverse(y), x)
    assert log_det(layer, x[0]) == pytest.approx(float(stated[0]), rel=1e-9)
    assert layer(torch.tensor([[0.0, 1.0]]))[0].isfinite().all()


def test_a_squeeze_keeps_the_channels_of_a_pixel_together() -> None:
    x = torch.arange(32.0).view(1, 2, 4, 4)
    y = squeeze(x)
    assert y[0, :, 0, 0].tolist() == [0, 16, 1, 17, 4, 20, 5, 21]
    assert torch.equal(unsqueeze(y), x)


@pytest.mark.parametrize(
    "arguments", [(4, 1, 2, 5, 1), ((4, 8), 2, 3, 3, 1), (3, 1, 1, 4, 2)], ids=["two scales", "oblong", "one scale"]
)
def test_the_whole_network(arguments: Any) -> None:
    torch.manual_seed(0)
    network = RealNVPNetwork(*arguments).double().eval()
    stir(network)
    x = torch.rand(2, *network.image_shape, dtype=torch.float64)
    with torch.no_grad():
        z, stated = network(x, inverse=True)
        torch.testing.assert_close(network.decode(z), x)
    assert z.shape == (2, network.latent_dim)
    assert log_det(lambda item: network(item, inverse=True), x[0]) == pytest.approx(float(stated[0]), rel=1e-8)


def test_sizes_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(ValueError, match=r"image_size 6x6 is halved 2 times: make it multiples of 4"):
        RealNVPNetwork(6, 1, 3)
    with pytest.raises(ValueError, match="alpha is above 0"):
        RealNVPNetwork(4, 1, 1, alpha=0.5)
