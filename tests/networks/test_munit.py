"""The networks of MUNIT and UNIT: their layers, sizes, codes, and what reaches what."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.layers import InstanceNorm2d
from gan_lightning.layers.adaptive import AdaptiveInstanceNorm2d, LayerNorm2d
from gan_lightning.networks import MUNITDiscriminator, MUNITGenerator, UNITGenerator


def small(**how):
    return MUNITGenerator(2, 5, **({"width": 4, "blocks": 2, "style_dim": 3, "hidden": 8} | how))


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_the_authors_parts_have_their_sizes():
    """Encoders of content and style, decoder, MLP: 5.39, 2.76, 5.75 and 1.12 million."""
    with torch.device("meta"):
        net = MUNITGenerator()
    assert parameters(net.content) == 5_385_856
    assert parameters(net.style) == 2_764_936
    assert parameters(net.decoder.mlp) == 1_120_768
    assert parameters(net.decoder) - parameters(net.decoder.mlp) == 5_754_627
    assert net.decoder.mlp[-1].out_features == 4096


def test_codes_of_256_pixels():
    with torch.device("meta"):
        net, images = MUNITGenerator(), torch.empty(2, 3, 256, 256)
        assert net.content(images).shape == (2, 256, 64, 64)
        assert net.style(images).shape == (2, 8)
        assert UNITGenerator().encode(images).shape == (2, 256, 64, 64)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (20, 44)])
def test_any_multiple_of_four_comes_back_in_its_own_size(height, width):
    images = 2 * torch.rand(2, 2, height, width) - 1
    assert small()(images, torch.randn(2, 3)).shape == (2, 5, height, width)
    assert UNITGenerator(2, 5, width=4, blocks=2)(images).shape == (2, 5, height, width)


@pytest.mark.parametrize("size", [(18, 16), (16, 12), (8, 16)])
def test_sizes_that_cannot_be(size):
    with pytest.raises(ValueError, match="at least 16 and multiples of 4"):
        small()(torch.zeros(1, 2, *size), torch.zeros(1, 3))


def test_styles_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"\(N, 3\), not \(1, 4\)"):
        small()(torch.zeros(1, 2, 16, 16), torch.zeros(1, 4))


def test_an_example_of_any_size_has_a_style_and_is_of_the_second_domain():
    net = small()
    assert net.example_channels == 5
    assert net.encode_style(torch.zeros(2, 5, 17, 31)).shape == (2, 3)
    with pytest.raises(ValueError, match=r"\(N, 5, H, W\)"):
        net.encode_style(torch.zeros(2, 2, 16, 16))


def test_where_norms_stand():
    net = small()
    kinds = (InstanceNorm2d, AdaptiveInstanceNorm2d, LayerNorm2d)

    def norms(module):
        return [
            next(kind.__name__ for kind in kinds if isinstance(m, kind))
            for m in module.modules()
            if isinstance(m, kinds)
        ]

    assert norms(net.content) == ["InstanceNorm2d"] * (3 + 2 * 2)
    assert norms(net.style) == []
    assert norms(net.decoder.expansion) == ["LayerNorm2d"] * 2
    assert [m for m in norms(net.decoder.blocks) if m == "AdaptiveInstanceNorm2d"] == ["AdaptiveInstanceNorm2d"] * 4
    assert norms(MUNITDiscriminator(width=2)) == []


def test_every_convolution_reflects_its_borders():
    for net in (small(), UNITGenerator(width=2, blocks=1), MUNITDiscriminator(width=2)):
        for conv in net.modules():
            if isinstance(conv, nn.Conv2d) and conv.kernel_size != (1, 1):
                assert conv.padding_mode == "reflect"


def test_the_mlp_gives_biases_then_gains_norm_by_norm():
    net = small().eval()
    style, content = torch.randn(2, 3), torch.randn(2, 16, 4, 4)
    values = net.decoder.mlp(style)
    assert values.shape == (2, 2 * 2 * 2 * 16)
    x, place = content, 0
    for block in net.decoder.blocks:
        h = x
        for conv, relu in ((block.conv1, True), (block.conv2, False)):
            bias, gain = values[:, place : place + 16], values[:, place + 16 : place + 32]
            place += 32
            h = F.instance_norm(conv(h)) * gain[:, :, None, None] + bias[:, :, None, None]
            h = F.relu(h) if relu else h
        x = x + h
    torch.testing.assert_close(net.decoder(content, style), net.decoder.expansion(x))


def test_sizes_are_doubled_by_nearest_neighbours_and_five_by_five():
    layers = small().decoder.expansion
    doubling = [m for m in layers if isinstance(m, nn.Upsample)]
    assert [(m.mode, m.scale_factor) for m in doubling] == [("nearest", 2.0)] * 2
    assert [m.kernel_size[0] for m in layers if isinstance(m, nn.Conv2d)] == [5, 5, 7]
    assert isinstance(layers[-1], nn.Tanh)


def test_styles_change_images_and_contents_do_not_know_them():
    torch.manual_seed(0)
    net = small().eval()
    images = torch.rand(1, 2, 16, 16)
    first, second = net(images.expand(2, -1, -1, -1), torch.randn(2, 3))
    assert (first - second).abs().max() > 1e-3


def test_training_and_evaluation_agree():
    net, images, style = small(), torch.rand(2, 2, 16, 16), torch.randn(2, 3)
    torch.testing.assert_close(net(images, style), net.eval()(images, style))
    assert not list(net.buffers())


def test_initial_weights():
    torch.manual_seed(0)
    net = MUNITGenerator(width=32)
    for layer in (*net.content.modules(), *net.decoder.mlp.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.numel() > 20_000:
            fan_in = layer.weight[0].numel()
            assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
            assert not layer.bias.any()
    for conv in MUNITDiscriminator(width=32).modules():
        if isinstance(conv, nn.Conv2d) and conv.weight.numel() > 2000:
            assert conv.weight.std().item() == pytest.approx(0.02, rel=0.05)


# ------------------------------------------------------------------ the discriminator


def test_scales_see_the_image_averaged_to_half_the_size():
    net = MUNITDiscriminator(2, width=4, layers=2, scales=3)
    images = torch.randn(2, 2, 32, 20)
    output = net(images)
    assert [tuple(logits.shape) for logits in output.logits] == [(2, 1, 8, 5), (2, 1, 4, 2), (2, 1, 2, 1)]
    for scale, logits in zip(net.scales, output.logits, strict=True):
        torch.testing.assert_close(scale(images).logits[0], logits)
        ones = F.avg_pool2d(F.pad(torch.ones_like(images), (1, 1, 1, 1)), 3, 2)
        images = F.avg_pool2d(F.pad(images, (1, 1, 1, 1)), 3, 2) / ones  # a mean of the pixels that there are
    assert len({id(p) for p in net.parameters()}) == 3 * len([*net.scales[0].parameters()])


def test_features_are_the_outputs_of_all_layers_of_each_scale():
    net, images = MUNITDiscriminator(2, width=4, layers=2, scales=2), torch.randn(1, 2, 32, 32)
    output = net(images, with_features=True)
    assert [[x.shape[1] for x in layers] for layers in output.features] == [[4, 8], [4, 8]]
    torch.testing.assert_close(net.scales[0].head(output.features[0][-1]), output.logits[0])
    assert net(images, with_features=True, with_logits=False).logits == []


def test_smallest_images_of_the_discriminator():
    net = MUNITDiscriminator(1, width=2)
    assert net.minimum == 61
    assert net(torch.randn(1, 1, 61, 64)).logits[2].shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match="at least 61"):
        net(torch.randn(1, 1, 64, 60))


# ------------------------------------------------------------------ UNIT's


def test_unit_runs_private_and_shared_blocks_in_order():
    net = UNITGenerator(2, 5, width=4, blocks=3, shared=1).eval()
    assert [len(part) for part in (net.encoder, net.shared_encoder, net.shared_decoder)] == [9 + 2, 1, 1]
    images = torch.rand(1, 2, 16, 16)
    codes = net.shared_encoder(net.encoder(images))
    torch.testing.assert_close(net(images), net.decoder(net.shared_decoder(codes)))


def test_sharing_gives_the_other_the_same_modules():
    first, second = (UNITGenerator(width=2, blocks=2) for _ in range(2))
    before = second.decoder
    first.share_with(second)
    assert second.shared_encoder is first.shared_encoder
    assert second.shared_decoder is first.shared_decoder
    assert second.decoder is before
    both = nn.ModuleList([first, second])
    shared = parameters(first.shared_encoder) + parameters(first.shared_decoder)
    assert parameters(both) == 2 * parameters(first) - shared
