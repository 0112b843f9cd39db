import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.networks import SegmentationUNet


@pytest.mark.parametrize(("height", "width"), [(572, 572), (188, 220)])
def test_valid_convolutions_take_92_pixels_off_each_side(height, width):
    with torch.device("meta"):
        net = SegmentationUNet()
        assert net.margin == 92
        assert net(torch.empty(1, 1, height, width)).shape == (1, 2, height - 184, width - 184)


def test_the_sizes_of_all_levels_are_those_of_figure_1():
    with torch.device("meta"):
        net = SegmentationUNet()
        sides, cut = [], []
        for down in net.downs:
            down.register_forward_hook(lambda module, inputs, output: sides.append(output.shape[2]))
        for join in net.joins:
            join.register_forward_pre_hook(lambda module, inputs: cut.append(inputs[0].shape[1:3]))
        net(torch.empty(1, 1, 572, 572))
    assert sides == [568, 280, 136, 64, 28]
    assert cut == [(1024, 56), (512, 104), (256, 200), (128, 392)]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("padded", [False, True])
def test_whole_gives_logits_to_every_pixel_of_any_size(depth, padded):
    net = SegmentationUNet(2, 3, width=2, depth=depth, padded=padded).eval()
    for height, width in ((net.minimum, net.minimum + 1), (net.minimum + 5, 2 * net.minimum + 3)):
        assert net.whole(torch.randn(1, 2, height, width)).shape == (1, 3, height, width)
    with pytest.raises(ValueError, match=f"at least {net.minimum}"):
        net.whole(torch.randn(1, 2, net.minimum, net.minimum - 1))


def test_the_valid_net_gives_the_same_logits_to_a_pixel_in_whichever_tile_it_lies():
    net = SegmentationUNet(width=4, depth=2).eval().double()
    images = torch.randn(1, 1, 100, 92, dtype=torch.double)
    whole = net.whole(images)
    tile = images[:, :, 8 : 8 + 64, 16 : 16 + 64]  # moved by multiples of 4, so that pools fall alike
    m = net.margin
    torch.testing.assert_close(net(tile), whole[:, :, 8 + m : 8 + 64 - m, 16 + m : 16 + 64 - m])


def test_the_context_of_borders_is_mirrored():
    net = SegmentationUNet(width=4, depth=1).eval()
    m = net.margin
    images = torch.randn(1, 1, 20, 20)
    torch.testing.assert_close(net.whole(images), net(F.pad(images, (m, m, m, m), "reflect")))


def test_a_logit_of_the_valid_net_sees_its_margin_on_each_side_and_no_border():
    net = SegmentationUNet(width=2, depth=1, dropout=0.0).double()
    for p in net.parameters():
        nn.init.uniform_(p, 0.01, 1)  # nothing cancels
    assert net.margin == 8
    images = torch.rand(1, 1, 20, 20, dtype=torch.double, requires_grad=True)
    logits = net(images)
    assert logits.shape[2:] == (4, 4)
    (seen,) = torch.autograd.grad(logits[0, 0].sum(), images)
    assert seen[0, 0].any(dim=0).all()


@pytest.mark.parametrize("level", [0, 1])
def test_every_size_of_the_way_down_is_handed_across_by_its_middle(level):
    net = SegmentationUNet(width=4, depth=2, dropout=0.0)
    kept = []
    net.downs[level].register_forward_hook(lambda module, inputs, output: kept.append(output))
    net.downs[level + 1].register_forward_pre_hook(lambda module, inputs: (inputs[0].detach(),))
    out = net(torch.randn(8, 1, 64, 64))
    (gradient,) = torch.autograd.grad(out.square().sum(), kept)
    touched = gradient.abs().sum((0, 1)) > 0
    rows = touched.any(dim=1).nonzero().flatten()
    assert rows.min() == gradient.shape[2] - 1 - rows.max() == {0: 16, 1: 4}[level]  # of 4, 16, 40, 88 in the paper


def test_initial_weights_are_hes():
    torch.manual_seed(0)
    net = SegmentationUNet(depth=2)
    for part in net.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d) and part.weight.numel() > 1000:
            values = part.in_channels * (part.kernel_size[0] ** 2 if isinstance(part, nn.Conv2d) else 1)
            assert part.weight.std().item() == pytest.approx(math.sqrt(2 / values), rel=0.06)
            assert not part.bias.any()


def test_dropout_at_the_end_of_the_way_down_and_batch_norm_by_argument():
    net = SegmentationUNet(width=2, dropout=0.3)
    assert [[m.p for m in down if isinstance(m, nn.Dropout)] for down in net.downs] == [[], [], [], [0.3], [0.3]]
    normalised = SegmentationUNet(width=2, norm="batch")
    assert sum(isinstance(m, nn.BatchNorm2d) for m in normalised.modules()) == 2 * 9
    assert all(
        conv.bias is None for conv in normalised.modules() if isinstance(conv, nn.Conv2d) and conv.padding == (1, 1)
    )


@pytest.mark.parametrize("size", [(570, 572), (172, 188), (188, 180)])
def test_tiles_of_which_a_pool_would_lose_a_row(size):
    with pytest.raises(ValueError, match=r"188 or more by multiples of 16.*padded: true"):
        SegmentationUNet(width=2)(torch.randn(1, 1, *size))
    with pytest.raises(ValueError, match="at least 16 and multiples of 16"):
        SegmentationUNet(width=2, padded=True)(torch.randn(1, 1, 24, 32))
    with pytest.raises(ValueError, match="2 classes and a depth of 1 at least, not 1 and 4"):
        SegmentationUNet(classes=1)
