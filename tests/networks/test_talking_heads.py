"""The networks of talking heads: the paper's sizes, adaptive norms, sums over positions, people's vectors."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.layers.attention import SelfAttention
from gan_lightning.networks import HeadDiscriminator, HeadEmbedder, PersonalHeadGenerator, TalkingHeadGenerator
from gan_lightning.networks.talking_heads import AdaptiveInstanceNorm2d

SMALL = {"image_size": 32, "width": 4, "max_width": 8}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_networks_have_as_many_parameters_as_the_paper_says() -> None:
    with torch.device("meta"):
        generator, discriminator, personal = TalkingHeadGenerator(), HeadDiscriminator(), PersonalHeadGenerator()
        people = HeadDiscriminator(num_classes=7)
    # rounded to millions there: 15, 38 and 20
    assert count(generator.embedder) == 14_906_945
    assert count(generator) - count(generator.embedder) == 37_950_341
    assert count(discriminator) == 19_627_074
    assert count(people) == count(discriminator) + 7 * 512
    # ψ' stands in the place of P and E: 512 · 13,312 weights become 13,312
    assert generator.num_parameters == 13_312
    assert count(personal) == 37_950_341 - 511 * 13_312


def test_adaptive_instance_norm_sets_means_and_deviations() -> None:
    torch.manual_seed(0)
    norm = AdaptiveInstanceNorm2d(3, first=2)
    x, parameters = 5 + 3 * torch.randn(2, 3, 8, 8), torch.randn(2, 10)
    y = norm(x, parameters)
    torch.testing.assert_close(y.mean(dim=(2, 3)), parameters[:, 5:8], rtol=0, atol=1e-5)
    torch.testing.assert_close(y.std(dim=(2, 3), correction=0), (1 + parameters[:, 2:5]).abs(), rtol=1e-4, atol=1e-4)
    mean, std = x.mean(dim=(2, 3), keepdim=True), (x.var(dim=(2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
    gain, bias = 1 + parameters[:, 2:5, None, None], parameters[:, 5:8, None, None]
    torch.testing.assert_close(y, gain * (x - mean) / std + bias, rtol=1e-5, atol=1e-5)


def test_each_adaptive_norm_has_parameters_of_its_own() -> None:
    net = PersonalHeadGenerator(**SMALL, depth=2, blocks=2, down_attention=[], up_attention=[])
    norms = [module for module in net.modules() if isinstance(module, AdaptiveInstanceNorm2d)]
    used = [range(norm.first, norm.first + 2 * norm.channels) for norm in norms]
    assert sorted(place for each in used for place in each) == [*range(net.num_parameters)]
    assert len(norms) == 2 * 2 + 2 * 2 + 1


def test_vectors_are_sums_over_positions_cut_at_zero() -> None:
    torch.manual_seed(0)
    net, x = HeadEmbedder(**SMALL, attention=[8]).eval(), torch.randn(2, 6, 32, 32)
    maps = x
    for block in net.trunk:
        maps = block(maps)
    assert maps.shape == (2, 8, 4, 4)
    torch.testing.assert_close(net(x), F.relu(maps.sum(dim=(2, 3))))


def test_the_discriminators_score_by_hand() -> None:
    torch.manual_seed(0)
    net, x = HeadDiscriminator(**SMALL, num_classes=3, attention=[8]).eval(), torch.randn(3, 6, 32, 32)
    v = net.features(x)
    w_0, b, w = net.head.weight[0], net.head.bias, net.embedding.weight
    expected = [v[0] @ (w[2] + w_0) + b, v[1] @ (w[0] + w_0) + b, v[2] @ w_0 + b]
    labels = torch.tensor([2, 0, -1])
    torch.testing.assert_close(net(x, labels), torch.cat(expected))
    output = net(x, labels, with_features=True)
    assert [tuple(each.shape[1:]) for each in output.features[0]] == [(4, 16, 16), (8, 8, 8), (8, 4, 4), (8, 4, 4)]
    torch.testing.assert_close(F.relu(output.features[0][-1].sum(dim=(2, 3))), v)
    assert net(x, labels, with_features=True, with_logits=False).logits == ()


def test_attention_stands_where_it_is_asked_for() -> None:
    net = TalkingHeadGenerator(**SMALL, depth=2, blocks=1, down_attention=[16], up_attention=[32])
    found = [isinstance(part, nn.Sequential) for part in net.down]
    assert found == [True, False]
    assert [isinstance(part, SelfAttention) for part in net.up] == [False, False, False, True]
    assert (net.multiple, net.minimum) == (4, 8)
    assert TalkingHeadGenerator(**SMALL, depth=2, blocks=1, down_attention=[8]).multiple == 8  # an even map to pool


def test_all_weights_but_those_of_people_are_spectrally_normalised() -> None:
    generator = TalkingHeadGenerator(**SMALL, depth=2, blocks=1, down_attention=[16], up_attention=[16])
    discriminator = HeadDiscriminator(**SMALL, num_classes=3, attention=[8])
    layers = [m for net in (generator, discriminator) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    plain = [layer for layer in layers if not hasattr(layer, "parametrizations")]
    assert plain == [generator.projection, discriminator.head]
    assert not hasattr(discriminator.embedding, "parametrizations")


@pytest.mark.parametrize("size", [(32, 32), (64, 48)])
def test_an_example_is_a_frame_beside_its_landmarks(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = TalkingHeadGenerator(**SMALL, depth=2, blocks=1, down_attention=[16], up_attention=[16]).eval()
    frame, drawn = torch.rand(2, 1, 3, *size) * 2 - 1
    style = net.encode_style(torch.cat([frame, drawn], dim=3))
    if size == (32, 32):
        torch.testing.assert_close(style, net.embed(frame[:, :, None], drawn[:, :, None]))
    assert style.shape == (1, net.embedding_dim)
    assert net.example_size == (32, 64)
    for wrong in (torch.zeros(1, 1, 32, 64), torch.zeros(1, 3, 32, 63)):
        with pytest.raises(ValueError, match="side by side"):
            net.encode_style(wrong)
