"""BicycleGAN's networks: where the style enters, the encoder's layers and sizes."""

import pytest
import torch
from torch import nn

from gan_lightning.layers import append_vector
from gan_lightning.networks import BicycleEncoder, UNetGenerator
from gan_lightning.networks.bicyclegan import StyledTranslation


@pytest.mark.parametrize(("style_at", "layers"), [("all", 4), ("input", 1)])
def test_the_style_enters_the_encoder_as_constant_maps(style_at, layers):
    net = UNetGenerator(2, 3, image_size=16, width=4, norm="instance", dropout=0, style_dim=3, style_at=style_at)
    seen = []
    for down in net.downs:
        down.register_forward_hook(lambda module, args, _: seen.append(args[0]))
    code = torch.randn(2, 3)
    net(torch.randn(2, 2, 16, 16), code)
    styled = [x[:, -3:] for x in seen[:layers]]
    assert [x.shape[1] for x in seen] == [width + 3 * (i < layers) for i, width in enumerate((2, 4, 8, 16))]
    for maps in styled:
        assert torch.equal(maps, code[:, :, None, None].expand_as(maps))


def test_a_network_without_a_style_takes_none_and_one_with_a_style_needs_it():
    images = torch.zeros(1, 3, 16, 16)
    with pytest.raises(ValueError, match="takes styles of 0 components"):
        UNetGenerator(image_size=16, width=2)(images, torch.zeros(1, 2))
    with pytest.raises(ValueError, match="takes styles of 2 components"):
        UNetGenerator(image_size=16, width=2, style_dim=2)(images)
    with pytest.raises(ValueError, match=r"\(N, 2\), not \(1, 3\)"):
        UNetGenerator(image_size=16, width=2, style_dim=2)(images, torch.zeros(1, 3))
    with pytest.raises(ValueError, match='style_at must be "all" or "input"'):
        UNetGenerator(image_size=16, width=2, style_at="output")


def test_vectors_are_appended_in_the_maps_own_precision():
    maps = append_vector(torch.zeros(1, 1, 2, 2, dtype=torch.bfloat16), torch.ones(1, 2))
    assert maps.dtype == torch.bfloat16
    assert maps[0, :, 1, 0].tolist() == [0, 1, 1]


def test_the_encoder_has_one_mean_and_log_variance_an_image_at_any_size():
    net = BicycleEncoder(2, width=4, blocks=2, style_dim=3)
    for size in ((16, 16), (33, 50)):
        mean, log_variance = net(torch.randn(2, 2, *size))
        assert mean.shape == log_variance.shape == (2, 3)
    with pytest.raises(ValueError, match="at least 16"):
        net(torch.randn(1, 2, 16, 15))


def test_the_last_maps_of_the_paper_are_eight_by_eight():
    with torch.device("meta"):
        net = BicycleEncoder()
        x = torch.empty(1, 3, 256, 256)
        for layer in net.features[:-3]:
            x = layer(x)
    assert x.shape == (1, 256, 8, 8)


def test_a_block_adds_a_pooled_shortcut():
    block = BicycleEncoder(width=4, blocks=1).features[1]
    x = torch.randn(2, 4, 8, 8)
    pooled = nn.functional.avg_pool2d(x, 2)
    norm1, relu1, conv1, norm2, relu2, conv2, pool = block.net
    expected = pool(conv2(relu2(norm2(conv1(relu1(norm1(x)))))))
    torch.testing.assert_close(block(x), expected + block.shortcut[1](pooled))


def test_a_styled_translation_states_what_its_generator_states():
    generator = UNetGenerator(2, 3, image_size=32, width=4, style_dim=5)
    net = StyledTranslation(generator, BicycleEncoder(3, width=4, blocks=1, style_dim=5))
    assert (net.in_channels, net.multiple, net.minimum, net.scale, net.style_dim) == (2, 32, 32, 1, 5)
    assert net.example_channels == 3
    examples = torch.randn(2, 3, 16, 16)
    assert torch.equal(net.encode_style(examples), net.encoder(examples)[0])
