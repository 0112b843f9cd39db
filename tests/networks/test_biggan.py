"""BigGAN's and SAGAN's networks: chunks of z, the shared embedding, widths, rectangles, errors."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from gan_lightning.layers import ConditionalBatchNorm2d
from gan_lightning.layers.attention import SelfAttention
from gan_lightning.layers.conditioning import VectorBatchNorm2d
from gan_lightning.networks import BigGANDiscriminator, BigGANGenerator, SAGANDiscriminator, SAGANGenerator

SMALL: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4, "attention": [8]}
LABELS = torch.tensor([2, 0])


def generator(**how: Any) -> BigGANGenerator:
    return BigGANGenerator(**{"latent_dim": 6, "num_classes": 3, "shared_dim": 4, **SMALL} | how)


def test_each_chunk_of_z_enters_in_one_place() -> None:
    net = generator().eval()
    z = torch.arange(12.0).view(2, 6)
    first, given = net.conditions(z, LABELS)
    assert first.tolist() == [[0, 1], [6, 7]]
    assert net.embedding is not None
    e = net.embedding.weight[LABELS]
    for number, (vector,) in enumerate(given):
        torch.testing.assert_close(vector, torch.cat([e, z[:, 2 + 2 * number :][:, :2]], dim=1))
    assert len(given) == len(net.blocks) == 2


def test_a_later_chunk_leaves_the_smaller_maps_alone() -> None:
    torch.manual_seed(0)
    net = generator().eval()
    outputs: list[torch.Tensor] = []
    net.blocks[0].register_forward_hook(lambda m, a, out: outputs.append(out))
    z = torch.randn(1, 6)
    other = z.clone()
    other[:, 4:] += 1
    images = [net(each, torch.tensor([1])) for each in (z, other)]
    assert torch.equal(*outputs)
    assert not torch.equal(*images)


def test_the_shared_embedding_has_no_spectral_norm_and_gains_and_biases_have() -> None:
    net = generator()
    assert not is_parametrized(net.embedding)
    norms = [m for m in net.modules() if isinstance(m, VectorBatchNorm2d)]
    assert len(norms) == 4
    assert all(is_parametrized(layer, "weight") for norm in norms for layer in (norm.gain, norm.bias))
    assert {norm.gain.in_features for norm in norms} == {4 + 2}


def test_without_hierarchy_or_sharing_the_norms_have_classes_of_their_own() -> None:
    net = generator(hierarchical=False, shared_dim=0)
    assert sum(isinstance(m, ConditionalBatchNorm2d) for m in net.modules()) == 4
    shared = generator(hierarchical=False)
    assert {m.gain.in_features for m in shared.modules() if isinstance(m, VectorBatchNorm2d)} == {4}
    assert shared.input.in_features == 6
    chunks = generator(num_classes=0)
    assert {m.gain.in_features for m in chunks.modules() if isinstance(m, VectorBatchNorm2d)} == {2}
    assert isinstance(generator(num_classes=0, hierarchical=False).blocks[0].norm1, nn.BatchNorm2d)


def test_widths_and_attention_are_the_papers_at_128() -> None:
    with torch.device("meta"):
        net, judge = BigGANGenerator(num_classes=1000), BigGANDiscriminator(num_classes=1000)
    assert [block.conv1.out_channels // 96 for block in net.blocks] == [16, 8, 4, 2, 1]
    assert [isinstance(each, SelfAttention) for each in net.attentions] == [False, False, False, True, False]
    blocks = [block for block in judge.blocks if hasattr(block, "conv1")]
    assert [block.conv1.out_channels // 96 for block in blocks] == [1, 2, 4, 8, 16, 16]
    assert isinstance(judge.blocks[1], SelfAttention)
    assert net.chunk == 20
    with torch.device("meta"):
        sagan = SAGANGenerator(num_classes=1000)
    assert [isinstance(each, SelfAttention) for each in sagan.attentions] == [False, False, True, False, False]


@pytest.mark.parametrize("size", [(16, 24), (48, 32), (64, 96)])
def test_rectangles(size: tuple[int, int]) -> None:
    how: dict[str, Any] = {"image_size": size, "channels": 1, "width": 4, "num_classes": 3, "attention": [size[0] // 2]}
    levels = {16: 2, 32: 3, 64: 4}[min(size)]
    for net, judge in (
        (BigGANGenerator(latent_dim=2 * (levels + 1), shared_dim=4, **how), BigGANDiscriminator(**how)),
        (SAGANGenerator(latent_dim=6, **how), SAGANDiscriminator(**how)),
    ):
        images = net(torch.randn(2, net.latent_dim), LABELS)
        assert images.shape == (2, 1, *size)
        assert judge(images, LABELS).shape == (2,)


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"latent_dim": 7}, "cannot be cut into 3 equal chunks .* make it 6 or 9"),
        ({"shared_dim": 0}, "shared_dim is 0"),
        ({"attention": [32]}, "no map of this network is 32 pixels high: choose from 8, 16"),
        ({"image_size": 8, "latent_dim": 8}, "from 16 to 1023 pixels, not 8x8"),
        ({"image_size": (16, 18)}, "cannot be halved down"),
        ({"init": "zeros"}, "init must be"),
    ],
)
def test_what_cannot_be_built_is_refused(how: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        generator(**how)


def test_weights_start_orthogonal() -> None:
    net = generator()
    weight = net.blocks[0].conv2.parametrizations.weight.original.detach().flatten(1)
    torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)), atol=1e-5, rtol=0)
