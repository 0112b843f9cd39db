"""Autoregressive networks: no leak of later values, and the same logits and samples pixel by pixel."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.inference import AutoregressiveSampler, ImageName
from gan_lightning.networks import GatedPixelCNNNetwork, MADENetwork, PixelCNNNetwork
from gan_lightning.networks.base import AutoregressiveNetwork

NETWORKS: dict[str, Any] = {
    "pixelcnn": lambda: PixelCNNNetwork(6, 1, 3, 4, 2),
    "pixelcnn of colours": lambda: PixelCNNNetwork((4, 5), 3, 4, 8, 2, hidden=9, num_classes=3),
    "gated": lambda: GatedPixelCNNNetwork(6, 1, 2, 16, 3),
    "gated of colours": lambda: GatedPixelCNNNetwork((4, 5), 3, 4, 7, 3, kernel=5, num_classes=3),
    "gated of codes": lambda: GatedPixelCNNNetwork(5, 2, 16, 24, 2, embedding=3),
    "made": lambda: MADENetwork(5, 1, 2, [60]),
    "made of colours": lambda: MADENetwork((3, 4), 3, 3, [120, 110], num_classes=3),
}
every = pytest.mark.parametrize("name", NETWORKS)


def dependence(network: Any) -> Tensor:
    """Return which values, in their order, the logits of each value depend on: bool (D, D)."""
    network = network.double()
    x = torch.rand(1, *network.image_shape, dtype=torch.float64, requires_grad=True)
    inputs = x
    if isinstance(network, MADENetwork):
        network.in_order = lambda values: x.permute(0, 2, 3, 1).flatten(1)
    elif network.embedding is None:
        network.embed = lambda values: inputs
    else:  # each component of a value's vector
        network.embed = lambda values: x.repeat(1, network.embedding.embedding_dim, 1, 1)
    labels = [torch.zeros(1, dtype=torch.int64)] if network.num_classes else []
    logits = network(torch.zeros(x.shape, dtype=torch.int64), *labels).permute(0, 3, 4, 2, 1).flatten(0, 3)
    rows = []
    for value in logits:
        weights = torch.rand(len(value), dtype=torch.float64)
        (grad,) = torch.autograd.grad((value * weights).sum(), x, retain_graph=True)
        rows.append(grad.permute(0, 2, 3, 1).flatten() != 0)
    return torch.stack(rows)


@every
def test_no_later_value_leaks(name: str) -> None:
    torch.manual_seed(0)
    found = dependence(NETWORKS[name]())
    assert not found.triu().any()
    assert found[-1].any()
    assert found.sum() > 0.8 * len(found) * (len(found) - 1) / 2


def test_the_gated_network_has_no_blind_spot_and_the_masked_one_has() -> None:
    torch.manual_seed(0)
    earlier = torch.ones(49, 49, dtype=torch.bool).tril(-1)
    assert torch.equal(dependence(GatedPixelCNNNetwork(7, 1, 2, 4, 5)), earlier)
    assert not torch.equal(dependence(PixelCNNNetwork(7, 1, 2, 4, 4)), earlier)


def sharpened(name: str) -> AutoregressiveNetwork:
    torch.manual_seed(0)
    network = NETWORKS[name]()
    for parameter in network.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.3)
    return network.eval()


@every
def test_pixel_by_pixel_logits_are_those_of_the_whole(name: str) -> None:
    network: Any = sharpened(name)
    values = torch.randint(network.levels, (3, *network.image_shape))
    labels = torch.arange(3) if network.num_classes else None
    with torch.no_grad():
        whole = network(values, *([] if labels is None else [labels]))
        steps = network.begin(3, labels)
        for row in range(values.shape[2]):
            for column in range(values.shape[3]):
                for _ in range(network.passes):
                    found = steps.at(values, row, column)
                torch.testing.assert_close(found, whole[..., row, column], rtol=1e-4, atol=1e-4)


@every
def test_cached_samples_are_those_of_the_whole_network(name: str) -> None:
    sampler = AutoregressiveSampler(sharpened(name))
    network = sampler.network
    noise = torch.rand(20, *network.noise_shape)
    labels = torch.arange(20) % 3 if network.num_classes else None
    cached = sampler.values(noise, labels)
    assert torch.equal(cached, sampler.values(noise, labels, cached=False))
    assert cached.unique().tolist() == list(range(network.levels))


def test_an_image_of_a_seed_is_the_same_in_any_batch() -> None:
    sampler = AutoregressiveSampler(sharpened("gated of colours"))
    for layer in sampler.network.head:
        nn.init.normal_(layer.weight, std=3)
    five = sampler.sample(5, seed=3)
    assert torch.equal(sampler.sample(2, seed=3, first=2), five[2:4])
    names = [ImageName(3, 4), ImageName(3, 0)]
    assert torch.equal(sampler.make(names), five[[4, 0]])
    assert not torch.equal(sampler.sample(5, torch.tensor([1] * 5), seed=3), five)
    assert five.min() == -1
    assert five.max() == 1


def test_what_has_no_meaning_is_refused() -> None:
    sampler = AutoregressiveSampler(sharpened("gated"))
    with pytest.raises(ValueError, match="takes no labels"):
        sampler.sample(1, torch.tensor([0]))
    with pytest.raises(ValueError, match="truncation limits latents"):
        sampler.sample(1, truncation=0.5)
