"""Self-attention against the paper's sums, written position by position."""

import pytest
import torch
from torch import Tensor

from gan_lightning.layers.attention import SelfAttention


def plainly(layer: SelfAttention, x: Tensor) -> Tensor:
    """The equations by loops over the images and positions."""

    def matrix(conv: torch.nn.Module) -> Tensor:
        return conv.weight[:, :, 0, 0]  # type: ignore[index, union-attr, return-value]

    results = []
    for image in x:
        height, width = image.shape[1:]
        f, h = (
            torch.einsum("oc,chw->ohw", matrix(layer.key), image),
            torch.einsum("oc,chw->ohw", matrix(layer.value), image),
        )
        corners = [(row, column) for row in range(0, height, 2) for column in range(0, width, 2)]
        keys, values = (
            [maps[:, row : row + 2, column : column + 2].amax(dim=(1, 2)) for row, column in corners] for maps in (f, h)
        )
        result = torch.empty_like(image)
        for row in range(height):
            for column in range(width):
                g = matrix(layer.query) @ image[:, row, column]
                scores = torch.stack([key @ g for key in keys])
                shares = scores.exp() / scores.exp().sum()
                mixed = sum(share * value for share, value in zip(shares, values, strict=True))
                result[:, row, column] = image[:, row, column] + layer.gamma * (matrix(layer.output) @ mixed)
        results.append(result)
    return torch.stack(results)


@pytest.mark.parametrize(("channels", "height", "width"), [(16, 4, 6), (4, 2, 2)])
def test_it_is_the_papers_sums_with_their_gradients(channels: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    layer = SelfAttention(channels).double()
    with torch.no_grad():
        layer.gamma.fill_(0.7)
    x = torch.randn(2, channels, height, width, dtype=torch.float64, requires_grad=True)
    expected = plainly(layer, x)
    torch.testing.assert_close(layer(x), expected)
    weights = torch.randn_like(expected)
    inputs = [x, *layer.parameters()]
    for found, wanted in zip(
        torch.autograd.grad((layer(x) * weights).sum(), inputs),
        torch.autograd.grad((expected * weights).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)


def test_it_starts_as_the_identity_and_gamma_learns_first() -> None:
    layer = SelfAttention(16)
    x = torch.randn(2, 16, 4, 4)
    assert torch.equal(layer(x), x)
    layer(x).square().sum().backward()
    assert layer.gamma.grad is not None
    assert layer.gamma.grad != 0
    assert not layer.query.weight.grad.any()  # type: ignore[union-attr]


def test_it_is_differentiable_twice_as_gradient_penalties_need() -> None:
    layer = SelfAttention(8)
    with torch.no_grad():
        layer.gamma.fill_(1)
    x = torch.randn(1, 8, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())
