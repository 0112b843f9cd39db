import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.layers import (
    InstanceNorm2d,
    Maxout,
    ResidualDownBlock,
    ResidualUpBlock,
    append_labels,
    halvings,
    init_glorot,
    init_normal,
    init_uniform,
    norm2d,
    one_hot,
)


def test_maxout_takes_the_largest_piece():
    layer = Maxout(1, 2, pieces=2)
    with torch.no_grad():
        layer.linear.weight.copy_(torch.tensor([[1.0], [-1.0], [2.0], [3.0]]))
        layer.linear.bias.copy_(torch.tensor([0.0, 0.0, 1.0, 0.0]))
    # unit 0 is max(x, -x), unit 1 is max(2x + 1, 3x)
    out = layer(torch.tensor([[-2.0], [5.0]]))
    assert torch.equal(out, torch.tensor([[2.0, -3.0], [5.0, 15.0]]))


def test_norms():
    x = 3 + 2 * torch.randn(4, 6, 5, 7)
    torch.testing.assert_close(norm2d("none", 6)(x), x)
    batch, instance, layer = norm2d("batch", 6)(x), norm2d("instance", 6), norm2d("layer", 6)(x)
    torch.testing.assert_close(batch.mean((0, 2, 3)), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(instance(x).mean((2, 3)), torch.zeros(4, 6), atol=1e-5, rtol=0)
    torch.testing.assert_close(layer.mean((1, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    assert layer.mean((2, 3)).abs().max() > 1e-3  # not per channel
    assert torch.equal(instance(x), instance.eval()(x))
    assert not list(instance.parameters())
    assert not list(instance.buffers())
    with pytest.raises(ValueError, match="'bacth'"):
        norm2d("bacth", 6)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_instance_norm_stays_in_channels_last_with_the_same_values_and_gradients(count, affine):
    x = torch.randn(count, 6, 5, 7)
    weights = torch.randn(count, 6, 5, 7)
    found = []
    kinds = (nn.InstanceNorm2d, InstanceNorm2d)
    for layout, kind in zip((torch.contiguous_format, torch.channels_last), kinds, strict=True):
        norm = kind(6, affine=affine)
        if affine:
            norm.load_state_dict({"weight": torch.arange(1.0, 7), "bias": torch.arange(6.0)})
        images = x.clone(memory_format=layout).requires_grad_()
        made = norm(images)
        (weights * made).sum().backward()
        assert made.is_contiguous(memory_format=layout)
        found.append((made.detach(), images.grad, *(parameter.grad for parameter in norm.parameters())))
    torch.testing.assert_close(found[0], found[1])


def test_init_normal():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(64, 64, 4), nn.BatchNorm2d(4096), nn.ConvTranspose2d(64, 64, 4), nn.Linear(256, 256))
    init_normal(net, std=0.02)
    for part, mean in zip(net, (0, 1, 0, 0), strict=True):
        assert part.weight.mean().item() == pytest.approx(mean, abs=2e-3)
        assert part.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert not part.bias.any()


def test_init_uniform_reaches_its_bounds_and_not_beyond():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(300, 300))
    init_uniform(net, 0.05)
    assert 0.0499 < net[0].weight.abs().max().item() <= 0.05
    assert net[0].weight.std().item() == pytest.approx(0.05 / math.sqrt(3), rel=0.02)
    assert not net[0].bias.any()


def test_init_glorot_has_the_variance_of_wgan_gp_blocks():
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 32, 3)
    init_glorot(conv, gain=math.sqrt(2))
    assert conv.weight.var().item() == pytest.approx(4 / (64 * 9 + 32 * 9), rel=0.05)
    assert not conv.bias.any()


def test_halvings():
    assert [halvings(size, 4) for size in (16, 32, 64, 256)] == [2, 3, 4, 6]
    assert halvings(32, 8) == 2
    for size in (0, 8, 28, 48, 100, -64):
        with pytest.raises(ValueError, match=rf"power of two from 16 to 8192, not {size}"):
            halvings(size, 4)


def test_append_labels_to_vectors():
    out = append_labels(torch.full((2, 3), 7.0), torch.tensor([1, 0]), 2)
    assert torch.equal(out, torch.tensor([[7.0, 7, 7, 0, 1], [7, 7, 7, 1, 0]]))


def test_append_labels_to_images():
    images = torch.randn(2, 3, 4, 5)
    out = append_labels(images, torch.tensor([2, 0]), 3)
    assert out.shape == (2, 6, 4, 5)
    assert torch.equal(out[:, :3], images)
    for image, label in enumerate((2, 0)):
        for channel in range(3):
            assert (out[image, 3 + channel] == float(channel == label)).all()


def test_append_labels_keeps_the_precision_of_what_it_appends_to():
    assert append_labels(torch.zeros(1, 2, dtype=torch.bfloat16), torch.tensor([0]), 3).dtype == torch.bfloat16


def test_append_labels_without_classes():
    x = torch.randn(2, 3)
    assert append_labels(x, None, 0) is x
    with pytest.raises(ValueError, match="unconditional"):
        append_labels(x, torch.tensor([0, 1]), 0)
    with pytest.raises(ValueError, match="conditional on 4 classes and was given no labels"):
        append_labels(x, None, 4)


@pytest.mark.parametrize("labels", [torch.zeros(2, 4), torch.zeros(2), torch.zeros(2, 1, dtype=torch.int64)])
def test_labels_that_are_no_class_indices(labels):
    with pytest.raises(ValueError, match="class indices"):
        one_hot(labels, 4)


def test_up_block_is_the_papers():
    """The shortcut in the paper's order: pixels repeated first, convolved after."""
    block = ResidualUpBlock(3, 5)
    x = torch.randn(2, 3, 4, 6)
    h = block.conv1(F.interpolate(F.relu(block.norm1(x)), scale_factor=2.0, mode="nearest"))
    expected = block.conv2(F.relu(block.norm2(h))) + block.shortcut(F.interpolate(x, scale_factor=2.0, mode="nearest"))
    torch.testing.assert_close(block(x), expected)
    assert block(x).shape == (2, 5, 8, 12)


@pytest.mark.parametrize("first", [False, True])
def test_down_block_is_the_papers(first):
    """The shortcut in the paper's order: convolved first, pooled after."""
    block = ResidualDownBlock(3, 5, downsample=True, first=first)
    x = torch.randn(2, 3, 4, 6)
    h = block.conv2(F.relu(block.conv1(x if first else F.relu(x))))
    torch.testing.assert_close(block(x), F.avg_pool2d(h, 2) + F.avg_pool2d(block.shortcut(x), 2))


def test_plain_block_leaves_its_input_as_the_shortcut():
    block = ResidualDownBlock(3, 3, downsample=False)
    x = torch.randn(2, 3, 4, 6)
    before = x.clone()
    torch.testing.assert_close(block(x) - x, block.conv2(F.relu(block.conv1(F.relu(x)))))
    assert torch.equal(x, before)
