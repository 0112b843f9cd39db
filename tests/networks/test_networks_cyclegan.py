import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.networks.cyclegan import ResNetGenerator


@pytest.mark.parametrize(("height", "width"), [(8, 8), (32, 32), (20, 44)])
def test_any_multiple_of_four_comes_back_in_its_own_size(height, width):
    out = ResNetGenerator(2, 5, width=4, blocks=1)(5 * torch.randn(1, 2, height, width))
    assert out.shape == (1, 5, height, width)
    assert 0 < out.abs().max() <= 1


@pytest.mark.parametrize("size", [(30, 32), (32, 33), (4, 32)])
def test_sizes_that_cannot_be(size):
    with pytest.raises(ValueError, match="at least 8 and multiples of 4"):
        ResNetGenerator(width=4, blocks=1)(torch.randn(1, 3, *size))


def test_borders_are_reflected():
    net = ResNetGenerator(width=4, blocks=1)
    first, source = net.net[0], torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(
        first(source), F.conv2d(F.pad(source, (3, 3, 3, 3), "reflect"), first.weight, first.bias)
    )
    reflected = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.padding_mode == "reflect"]
    assert [m.kernel_size[0] for m in reflected] == [7, 3, 3, 7]


def test_a_block_adds_to_its_input_and_has_no_relu_after():
    block = ResNetGenerator(width=4, blocks=1).net[9]
    x = torch.randn(2, 16, 6, 8)
    conv1, norm1, relu, conv2, norm2 = block.net
    torch.testing.assert_close(block(x), x + norm2(conv2(relu(norm1(conv1(x))))))
    assert (block(x) < 0).any()


def test_training_and_evaluation_agree():
    net = ResNetGenerator(width=4, blocks=2)
    source = torch.randn(2, 3, 16, 16)
    assert torch.equal(net(source), net.eval()(source))
    assert not list(net.buffers())


def test_initial_weights():
    torch.manual_seed(0)
    for conv in ResNetGenerator(blocks=1).modules():
        if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
            assert conv.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert not conv.bias.any()
