"""PixelCNN++: an exact likelihood of pixels whose colours depend on each other."""

from functools import partial
from typing import Any

import torch
from torch.nn import functional as F
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.inference import AutoregressiveSampler
from gan_lightning.models import PixelCNNPlusPlus
from gan_lightning.networks import PixelCNNPlusPlusNetwork
from tiny import Batches, images
from toys import trainer


def pixelcnn_pp(**how: Any) -> PixelCNNPlusPlus:
    network = PixelCNNPlusPlusNetwork(8, 1, width=3, layers=1, components=2, dropout=0.2)
    return PixelCNNPlusPlus(network, **how)


def pixelcnn_pp_batch(count: int = 4, seed: int = 0) -> ImageBatch:
    return ImageBatch(F.interpolate(images(count, 1, seed), 8, mode="bilinear"))


def test_no_pixel_sees_itself_or_a_later_one_and_all_earlier_ones_are_seen() -> None:
    torch.manual_seed(0)
    network = PixelCNNPlusPlusNetwork(8, 2, width=8, layers=1, components=2).double().eval()
    x = torch.rand(1, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    network.embed = lambda values: x  # type: ignore[method-assign]
    output = network(torch.zeros(1, 2, 8, 8, dtype=torch.int64))[0].flatten(1)
    weights = torch.rand(len(output), dtype=torch.float64)
    found = torch.stack(
        [
            torch.autograd.grad((weights * output[:, pixel]).sum(), x, retain_graph=True)[0].abs().sum(1).flatten() != 0
            for pixel in range(64)
        ]
    )
    assert not found.triu().any()
    assert found.sum() > 0.9 * 64 * 63 / 2


def test_samples_of_both_ways_are_the_same_and_follow_the_mixture() -> None:
    torch.manual_seed(0)
    sampler = AutoregressiveSampler(PixelCNNPlusPlusNetwork(4, 2, 5, width=2, layers=1, components=3))
    noise = torch.rand(6, *sampler.network.noise_shape)
    assert torch.equal(sampler.values(noise), sampler.values(noise, cached=False))
    first = torch.zeros(4000, 2, dtype=torch.int64)  # the first pixel depends on none
    with torch.no_grad():
        output = sampler.network.eval()(torch.zeros(1, 2, 4, 4, dtype=torch.int64))[..., 0, 0]
    sampler.network.draw(output.expand(4000, -1), torch.rand(4000, 3), first, 0)
    pairs = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    every = torch.zeros(25, 2, 4, 4, dtype=torch.int64)
    every[:, :, 0, 0] = pairs
    with torch.no_grad():
        output = sampler.network.eval()(every)[..., :1, :1]
    shares = (-sampler.network.nats(output, every[..., :1, :1])).exp()
    counts = (first[:, 0] * 5 + first[:, 1]).bincount(minlength=25) / 4000
    torch.testing.assert_close(counts, shares, atol=0.03, rtol=0)


def test_it_overfits_one_batch() -> None:
    torch.manual_seed(0)
    network = PixelCNNPlusPlusNetwork(4, 1, width=4, layers=1, components=2, dropout=0.0)
    model = PixelCNNPlusPlus(network, optimizer=partial(Adam, lr=1e-2))
    data = ImageBatch(pixelcnn_pp_batch().images[..., :4, :4])
    first = float(model.nats(data).mean())
    trainer(max_epochs=15).fit(model, Batches([data]))
    assert float(model.records["loss/nats"]) < 0.95 * first
