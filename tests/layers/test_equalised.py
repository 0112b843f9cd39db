import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.layers import (
    EqualisedConv2d,
    EqualisedLinear,
    MinibatchStdDev,
    PixelNorm,
    pixel_norm,
    pyramid,
)


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_under_sgd_it_is_a_layer_with_a_scaled_start_and_a_scaled_rate(kind: str, multiplier: float) -> None:
    torch.manual_seed(0)
    gain, rate = math.sqrt(2), 0.1
    if kind == "linear":
        own, plain, x = EqualisedLinear(6, 5, gain, multiplier, bias_start=0.5), nn.Linear(6, 5), torch.randn(9, 6)
    else:
        own, plain = EqualisedConv2d(3, 5, 3, gain, multiplier, bias_start=0.5), nn.Conv2d(3, 5, 3, padding=1)
        x = torch.randn(4, 3, 7, 6)
    own, plain, x = own.double(), plain.double(), x.double()
    with torch.no_grad():
        plain.weight.copy_(own.scaled_weight())
        plain.bias.fill_(0.5)
    scale = multiplier * gain / math.sqrt(plain.weight[0].numel())
    one = torch.optim.SGD(own.parameters(), rate)
    other = torch.optim.SGD(
        [
            {"params": [plain.weight], "lr": rate * scale**2},
            {"params": [plain.bias], "lr": rate * multiplier**2},
        ]
    )
    for _ in range(5):
        for layer, optimizer in ((own, one), (plain, other)):
            optimizer.zero_grad()
            layer(x).cos().square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(own(x), plain(x), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(own.scaled_weight(), plain.weight)


def test_it_starts_with_the_standard_deviation_of_its_gain_whatever_the_multiplier() -> None:
    for multiplier in (1.0, 0.01):
        layer = EqualisedLinear(400, 300, gain=math.sqrt(2), lr_multiplier=multiplier)
        assert layer.weight.std().item() == pytest.approx(1 / multiplier, rel=0.02)
        assert layer(torch.randn(200, 400)).std().item() == pytest.approx(math.sqrt(2), rel=0.03)


def test_a_stride_a_padding_and_no_bias() -> None:
    layer, x = EqualisedConv2d(2, 3, 3, bias=False, stride=2, padding=0), torch.randn(1, 2, 9, 9)
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight / math.sqrt(18), stride=2))
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3, 5)])
def test_pixel_norm_gives_vectors_a_mean_square_of_one(shape: tuple[int, ...]) -> None:
    x = 7 * torch.randn(shape)
    torch.testing.assert_close(pixel_norm(x).square().mean(dim=1), torch.ones_like(x[:, 0]))
    assert torch.equal(PixelNorm()(x), pixel_norm(x))
    assert pixel_norm(300 * torch.ones(1, 6, dtype=torch.float16)).tolist() == [[1.0] * 6]  # whose square overflows
    assert torch.equal(pixel_norm(torch.zeros(1, 3)), torch.zeros(1, 3))


@pytest.mark.parametrize(("count", "group"), [(8, 4), (2, 2), (6, 3), (1, 1), (5, 1)])
def test_minibatch_standard_deviation_is_that_of_groups(count: int, group: int) -> None:
    x = torch.randn(count, 4, 3, 2)
    out = MinibatchStdDev(4)(x)
    assert torch.equal(out[:, :4], x)
    for i in range(count):
        members = x[i // group * group : (i // group + 1) * group]
        expected = (members.var(dim=0, correction=0) + 1e-8).sqrt().mean()
        torch.testing.assert_close(out[i, 4], expected.expand(3, 2))


def test_groups_of_parts_of_a_batch_are_those_of_the_batch() -> None:
    x, layer = torch.randn(8, 4, 3, 2), MinibatchStdDev(4, maps=2)
    assert torch.equal(layer(x), torch.cat([layer(part) for part in x.chunk(2)]))
    assert not torch.equal(layer(x)[:, 4], layer(x)[:, 5])


def test_the_gradient_of_a_gradient_exists_for_equal_images() -> None:
    x = torch.ones(4, 2, 3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(MinibatchStdDev()(x).square().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_layers_copy() -> None:
    layer = EqualisedLinear(3, 2, lr_multiplier=0.1)
    assert torch.equal(copy.deepcopy(layer)(torch.ones(1, 3)), layer(torch.ones(1, 3)))


def test_a_pyramid_of_maps_ends_at_the_image() -> None:
    assert pyramid(32) == [(4, 4), (8, 8), (16, 16), (32, 32)]
    assert pyramid((256, 384))[0] == (4, 6)
    assert pyramid([96, 112])[0] == (6, 7)
    assert pyramid(4) == [(4, 4)]
    assert len(pyramid(1024)) == 9
    for size, said in ((3, "at least 4"), (100, "multiples of 16"), ((32, 36), "multiples of 8")):
        with pytest.raises(ValueError, match=said):
            pyramid(size)
    with pytest.raises(ValueError, match="height and width"):
        pyramid((1, 2, 3))
