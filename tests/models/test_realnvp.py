"""RealNVP: an exact density, its bound of the probability of integers, and images as latents."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.draws import ImageDraws
from gan_lightning.models import RealNVP
from gan_lightning.networks import RealNVPNetwork
from tiny import Batches, images
from toys import trainer


def realnvp(**how: Any) -> RealNVP:
    return RealNVP(RealNVPNetwork(16, 1, 2, 4, 1), **how)


def realnvp_batch(count: int = 4, seed: int = 0) -> ImageBatch:
    return ImageBatch(images(count, 1, seed))


def test_the_bound_is_that_of_the_density_of_spread_values() -> None:
    torch.manual_seed(0)
    model, data = realnvp(), realnvp_batch()
    with ImageDraws(3, range(4)):
        nats = model.nats(data)
    with ImageDraws(3, range(4)):
        noise = torch.rand(4, 1, 16, 16)
    network = model.generator.eval()
    x = (((data.images + 1) * 127.5).round() + noise) / 256
    z, log_det = network(x, inverse=True)
    log_p = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1) + log_det
    torch.testing.assert_close(nats, (256 * math.log(256) - log_p).detach())


def test_samples_of_an_images_latents_are_the_image() -> None:
    torch.manual_seed(0)
    model, data = realnvp(), realnvp_batch()
    trainer(max_epochs=5).fit(model, Batches([data]))
    network = model.generator.eval()
    x = (((data.images + 1) * 127.5).round() + 0.5) / 256
    z, _ = network(x, inverse=True)
    made = model.sampler.images(z)
    assert (made - data.images).abs().max() < 1.01 / 255


def test_it_overfits_one_batch() -> None:
    torch.manual_seed(0)
    model, data = realnvp(optimizer=partial(Adam, lr=5e-3)), realnvp_batch()
    trainer(max_epochs=1).fit(model, Batches([data]))
    first = float(model.records["loss/nats"])
    trainer(max_epochs=25).fit(model, Batches([data]))
    assert float(model.records["loss/nats"]) < 0.9 * first


def test_the_decay_is_of_magnitudes_and_of_scales_alone() -> None:
    model = realnvp(lambda_norm=0.1)
    total = 0.0
    for name, parameter in model.generator.named_parameters():
        if name.endswith("original0") or (name.endswith("size")):
            total += float(parameter.square().sum())
    assert float(model.losses(realnvp_batch())["norm"]) == pytest.approx(0.1 * 256 * total, rel=1e-5)
