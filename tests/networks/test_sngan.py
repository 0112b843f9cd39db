"""SN-GAN's networks and the projection: sums over positions, spectral norms, when they iterate, how labels enter."""

import copy
import functools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from gan_lightning.layers import ConditionalBatchNorm2d, ResidualUpBlock
from gan_lightning.networks import (
    ConditionalResidualGenerator,
    ResidualDiscriminator,
    ResidualGenerator,
    SNDCGANDiscriminator,
    SNResidualDiscriminator,
)

SMALL = {"image_size": 16, "channels": 1, "width": 8}
DISCRIMINATORS = [
    functools.partial(SNResidualDiscriminator, **SMALL),
    functools.partial(SNResidualDiscriminator, **SMALL, num_classes=3),
    functools.partial(SNDCGANDiscriminator, **SMALL),
]
every_discriminator = pytest.mark.parametrize("build", DISCRIMINATORS)
LABELS = torch.tensor([2, 0])


def judge(net: nn.Module, images: Tensor) -> Tensor:
    return net(images, LABELS) if net.num_classes else net(images)


def vectors(net: nn.Module) -> dict[str, Tensor]:
    """The singular vectors of all layers."""
    return {name: b.clone() for name, b in net.named_buffers() if name.endswith(("_u", "_v"))}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


@every_discriminator
def test_every_layer_is_spectrally_normalised(build):
    net = build()
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert all(is_parametrized(m, "weight") for m in layers)
    with torch.no_grad():
        for m in layers:
            m.parametrizations.weight.original.mul_(7)
        for _ in range(100):
            judge(net, torch.randn(2, 1, 16, 16))
        net.eval()
        for m in layers:
            assert torch.linalg.matrix_norm(m.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_one_power_iteration_by_hand():
    net = SNResidualDiscriminator(**SMALL)
    norm = net.head.parametrizations.weight
    weight = norm.original.detach()
    u, v = norm[0]._u.clone(), norm[0]._v.clone()
    net(torch.randn(2, 1, 16, 16))
    u = F.normalize(weight @ v, dim=0)
    v = F.normalize(weight.T @ u, dim=0)
    torch.testing.assert_close((norm[0]._u, norm[0]._v), (u, v))
    conv = net.blocks[0].conv2
    original = conv.parametrizations.weight.original
    conv.eval()
    (found,) = torch.autograd.grad((conv.weight * 3).sum(), original)
    # u and v are constants: d(W/σ) with σ = uᵀ W v
    u, v = conv.parametrizations.weight[0]._u, conv.parametrizations.weight[0]._v
    sigma = u @ original.flatten(1) @ v
    expected = 3 / sigma - 3 * original.sum() / sigma**2 * torch.outer(u, v).view_as(original)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-5)


@every_discriminator
def test_training_iterates_once_a_pass_with_parameters_frozen_too_and_evaluation_never(build):
    net = build()
    images = torch.randn(2, 1, 16, 16)
    other = copy.deepcopy(net)
    before = vectors(net)
    net.eval()
    judge(net, images)
    assert same(before, vectors(net))
    net.train()
    for _ in range(2):
        last = vectors(net)
        judge(net, images)
        assert not same(last, vectors(net))
    other.train().requires_grad_(False)  # as in the generator's turn
    for _ in range(2):
        judge(other, images)
    assert same(vectors(other), vectors(net))


@every_discriminator
def test_a_state_brings_its_singular_vectors(build):
    torch.manual_seed(0)
    net, other = build(), build()
    images = torch.randn(2, 1, 16, 16)
    judge(net, images)
    assert not torch.equal(judge(other, images), judge(net, images))
    other.load_state_dict(net.state_dict())
    assert same(vectors(other), vectors(net))
    assert torch.equal(judge(other, images), judge(net, images))


def test_the_estimate_starts_near_its_value_whatever_the_start():
    """Torch's first 15 iterations are enough."""
    torch.manual_seed(0)
    net = SNResidualDiscriminator().eval()
    for m in net.modules():
        if isinstance(m, nn.Conv2d | nn.Linear):
            assert torch.linalg.matrix_norm(m.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.1)


def test_features_are_summed_over_positions_and_the_head_has_no_bias():
    net = SNResidualDiscriminator(**SMALL).eval()
    images = torch.randn(2, 1, 16, 16)
    phi = net.blocks(images).clamp(min=0).flatten(2).sum(2)
    torch.testing.assert_close(net(images), phi @ net.head.weight[0])
    assert net.head.bias is None


def test_the_projection_by_hand():
    net = SNResidualDiscriminator(**SMALL, num_classes=3).eval()
    images = torch.randn(2, 1, 16, 16)
    phi = net.features(images)
    e = net.embedding.weight
    expected = torch.stack([e[2] @ phi[0] + net.head.weight[0] @ phi[0], e[0] @ phi[1] + net.head.weight[0] @ phi[1]])
    torch.testing.assert_close(net(images, LABELS), expected)


def test_a_linear_head_of_ones_own_is_left_as_it_is():
    head = functools.partial(nn.Linear, out_features=1)
    for build in DISCRIMINATORS:
        net = build(head=head)
        assert not is_parametrized(net.head)
        judge(net, torch.randn(2, 1, 16, 16)).sum().backward()


def test_layers_start_as_in_the_critic_they_are_built_of():
    torch.manual_seed(0)
    net = SNResidualDiscriminator()
    shapes = {name: tuple(p.shape) for name, p in ResidualDiscriminator().blocks.named_parameters()}
    found = {n.replace("parametrizations.weight.original", "weight"): p for n, p in net.blocks.named_parameters()}
    assert {name: tuple(p.shape) for name, p in found.items()} == shapes
    assert found["1.conv1.weight"].var().item() == pytest.approx(4 / (2 * 128 * 9), rel=0.02)
    assert found["1.shortcut.weight"].var().item() == pytest.approx(2 / (2 * 128), rel=0.05)
    assert all(not p.any() for name, p in found.items() if name.endswith("bias"))
    net = SNResidualDiscriminator(num_classes=100)
    embedding = net.embedding.parametrizations.weight.original
    assert embedding.var().item() == pytest.approx(2 / 228, rel=0.05)


def test_the_plain_convolutions_are_the_papers_table():
    net = SNDCGANDiscriminator()
    layers = [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in net.net if isinstance(m, nn.Conv2d)]
    assert layers == [(64, 3, 1), (64, 4, 2), (128, 3, 1), (128, 4, 2), (256, 3, 1), (256, 4, 2), (512, 3, 1)]
    assert {m.negative_slope for m in net.net if isinstance(m, nn.LeakyReLU)} == {0.1}
    assert net.features(torch.zeros(1, 3, 32, 32)).shape == (1, 512 * 4 * 4)


def test_conditional_batch_norm_by_hand():
    norm = ConditionalBatchNorm2d(3, num_classes=4)
    x = 2 + 3 * torch.randn(2, 3, 5, 7)
    plain = F.batch_norm(x, None, None, training=True)
    torch.testing.assert_close(norm(x, LABELS), plain)  # gain 1 and bias 0 at the start
    with torch.no_grad():
        norm.gain.weight.copy_(torch.arange(12.0).view(4, 3))
        norm.bias.weight.copy_(-torch.arange(12.0).view(4, 3))
    expected = torch.stack(
        [
            plain[0] * torch.tensor([6.0, 7, 8])[:, None, None] - torch.tensor([6.0, 7, 8])[:, None, None],
            plain[1] * torch.tensor([0.0, 1, 2])[:, None, None] - torch.tensor([0.0, 1, 2])[:, None, None],
        ]
    )
    torch.testing.assert_close(norm(x, LABELS), expected)
    norm.eval()
    moved = F.batch_norm(x, norm.norm.running_mean, norm.norm.running_var)
    torch.testing.assert_close(norm(x, LABELS)[1, 1], moved[1, 1] - 1)
    assert norm(x.bfloat16(), LABELS).dtype == torch.bfloat16


def test_synchronised_batch_norm_keeps_the_classes():
    norm = nn.SyncBatchNorm.convert_sync_batchnorm(ConditionalBatchNorm2d(3, num_classes=4))
    assert isinstance(norm, ConditionalBatchNorm2d)
    assert isinstance(norm.norm, nn.SyncBatchNorm)


def test_the_conditional_generator_starts_as_the_unconditional_one_and_its_last_norm_has_no_classes():
    torch.manual_seed(0)
    sizes = {"latent_dim": 6, **SMALL}
    plain, net = ResidualGenerator(**sizes), ConditionalResidualGenerator(num_classes=3, **sizes)
    missing, unexpected = net.load_state_dict(plain.state_dict(), strict=False)
    assert {name.split(".")[0] for name in missing + unexpected} == {"blocks"}
    assert all(".norm" in name for name in missing + unexpected)
    z = torch.randn(2, 6)
    torch.testing.assert_close(net(z, LABELS), plain(z))


def test_a_class_changes_its_own_images_only():
    net = ConditionalResidualGenerator(num_classes=3, latent_dim=6, **SMALL).eval()
    z = torch.randn(2, 6)
    before = net(z, LABELS)
    with torch.no_grad():
        net.blocks[0].norm2.gain.weight[0].fill_(3)
    after = net(z, LABELS)
    assert torch.equal(before[0], after[0])
    assert (before[1] - after[1]).abs().max() > 1e-3


def test_an_up_block_takes_any_norm():
    block = ResidualUpBlock(3, 5, functools.partial(ConditionalBatchNorm2d, num_classes=4))
    assert block(torch.randn(2, 3, 4, 4), LABELS).shape == (2, 5, 8, 8)


@pytest.mark.parametrize("network", [SNResidualDiscriminator, SNDCGANDiscriminator])
def test_sizes_that_cannot_be(network):
    with pytest.raises(ValueError, match="power of two from 16 to 8192, not 48"):
        network(image_size=48)


def test_the_largest_singular_value_lies_between_the_authors_with_as_many_iterations_and_with_one_more():
    """Theirs: v = Wᵀu, u = Wv; torch's: u = Wv, v = Wᵀu. From one start theirs is half an iteration behind."""
    torch.manual_seed(0)
    weight = torch.randn(6, 20, dtype=torch.double)
    layer = spectral_norm(nn.Linear(20, 6, bias=False).double())
    layer.parametrizations.weight.original.data.copy_(weight)
    u = F.normalize(torch.randn(6, dtype=torch.double), dim=0)
    layer.parametrizations.weight[0]._v.copy_(F.normalize(weight.t() @ u, dim=0))  # the authors' first v
    authors, ours = [], []
    for _ in range(6):
        v = F.normalize(weight.t() @ u, dim=0)
        u = F.normalize(weight @ v, dim=0)
        authors.append(float(u @ weight @ v))
        ours.append(float((weight / layer.weight).mean()))
    largest = float(torch.linalg.matrix_norm(weight, 2))
    assert all(a < o < b for a, o, b in zip(authors, ours, [*authors[1:], largest], strict=True))
