"""The prior of VQ-VAE: codes of a trained autoencoder, which another run has trained."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gan_lightning.data.batches import ImageBatch
from gan_lightning.models import VQVAEPrior
from gan_lightning.networks import GatedPixelCNNNetwork, VQAutoencoder
from models.test_vqvae import vqvae, vqvae_batch
from tiny import CLASSES, Batches, images
from toys import checkpoint, equal, trainer, weights


def vqvae_prior(**how: Any) -> VQVAEPrior:
    network = GatedPixelCNNNetwork(4, 1, 6, width=4, layers=2, num_classes=CLASSES, embedding=3)
    return VQVAEPrior(network, VQAutoencoder(1, 4, 1, 3, codes=6, code_dim=5), **how)


def vqvae_prior_batch(count: int = 4, seed: int = 0) -> ImageBatch:
    return ImageBatch(images(count, 1, seed), torch.arange(count) % CLASSES)


def test_it_starts_from_the_autoencoder_of_another_run_and_leaves_it_alone(tmp_path: Path) -> None:
    first = vqvae()
    trainer(max_epochs=2).fit(first, Batches([vqvae_batch()]))
    path = checkpoint(first, tmp_path / "first.ckpt")
    model = vqvae_prior(ema_half_life=20)
    model.load_weights({"autoencoder": {"generator": path}})
    assert equal(weights(model.autoencoder), weights(first.generator))
    data = vqvae_prior_batch()
    assert torch.equal(model.values(data), first.generator.encode(data.images))  # type: ignore[operator]
    prior = weights(model.generator)
    trainer(max_epochs=2).fit(model, Batches([data]))
    assert equal(weights(model.autoencoder), weights(first.generator))
    assert not equal(weights(model.generator), prior)
    codes = model.sampler.values(torch.rand(5, 1, 4, 4), torch.arange(5) % CLASSES)
    assert model.sample(5, seed=0).shape == (5, 1, 16, 16)
    assert codes.max() < 6


def test_a_part_of_another_name_is_one_part_of_one_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="autoencoder is started from one part of one file"):
        vqvae_prior().load_weights({"autoencoder": {"generator": tmp_path / "a", "encoder": tmp_path / "b"}})


def test_networks_that_do_not_fit_are_refused() -> None:
    autoencoder = VQAutoencoder(1, 4, 1, 3, codes=6, code_dim=5)
    with pytest.raises(ValueError, match="has 6 codes, and the generator gives probabilities of 7"):
        VQVAEPrior(GatedPixelCNNNetwork(4, 1, 7, width=4, layers=1), autoencoder)
    model = VQVAEPrior(GatedPixelCNNNetwork(7, 1, 6, width=4, layers=1), autoencoder)
    with pytest.raises(ValueError, match=r"makes images of 1x28x28 .* but the data serve 1x16x16"):
        trainer(max_epochs=1).fit(model, Batches([vqvae_prior_batch()]))
