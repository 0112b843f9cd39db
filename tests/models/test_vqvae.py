"""VQ-VAE: its terms, the codebook that moves in training only, and reconstructions."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.models import VQVAE
from gan_lightning.networks import VQAutoencoder
from tiny import Batches, images
from toys import trainer


def vqvae(**how: Any) -> VQVAE:
    return VQVAE(VQAutoencoder(1, 4, 1, 3, codes=6, code_dim=5), **how)


def vqvae_batch(count: int = 4, seed: int = 0) -> ImageBatch:
    return ImageBatch(images(count, 1, seed))


def test_the_terms_are_errors_of_the_image_and_of_the_encoder() -> None:
    torch.manual_seed(0)
    model, data = vqvae(beta=0.5, data_variance=0.2).eval(), vqvae_batch()
    network: Any = model.generator
    encoded = network.encoder(data.images)
    distances = (encoded[:, :, None] - network.codebook.vectors.T[None, :, :, None, None]).square().sum(1)
    codes = distances.argmin(1)
    vectors = network.codebook.vectors[codes].movedim(-1, 1)
    terms = model.losses(data)
    image = network.decoder(vectors)
    torch.testing.assert_close(terms["reconstruction"], (image - data.images).square().mean() / 0.2)
    torch.testing.assert_close(terms["commitment"], 0.5 * (encoded - vectors).square().mean())
    shares = codes.flatten().bincount(minlength=6) / codes.numel()
    entropy = -sum(float(p) * math.log(p) for p in shares if p > 0)
    assert float(model.records["perplexity"]) == pytest.approx(math.exp(entropy), rel=1e-5)


def test_the_codebook_moves_in_training_only_and_has_no_gradient() -> None:
    model, data = vqvae(), vqvae_batch()
    codebook: Any = model.generator.codebook
    before = codebook.vectors.clone()
    model.eval()
    model.losses(data)
    assert torch.equal(codebook.vectors, before)
    assert not [name for name, _ in model.generator.named_parameters() if "codebook" in name]
    model.train()
    model.losses(data)
    assert not torch.equal(codebook.vectors, before)


def test_the_gradient_passes_straight_through_and_commits_the_encoder_only() -> None:
    model, data = vqvae(beta=0.0).train(), vqvae_batch()
    network: Any = model.generator
    sum(model.losses(data).values()).backward()
    straight = [p.grad.clone() for p in network.encoder.parameters()]
    assert all(grad.abs().sum() > 0 for grad in straight)
    model = vqvae(beta=1.0).train()
    model.losses(data)["commitment"].backward()
    assert all(p.grad is None for p in model.generator.decoder.parameters())  # type: ignore[union-attr]


def test_it_overfits_one_batch_and_reconstructs_it() -> None:
    torch.manual_seed(0)
    model = VQVAE(VQAutoencoder(1, 16, 1, 8, codes=32, code_dim=8), optimizer=partial(Adam, lr=5e-3))
    data = vqvae_batch()
    trainer(max_epochs=100).fit(model, Batches([data]))
    error = (model.generate(data) - data.images).square().mean()
    assert error < 0.5 * data.images.var()
    shown, columns = model.preview(data, 2)
    assert (len(shown), columns) == (4, 4)
    torch.testing.assert_close(shown[1], model.generate(data)[0].expand(3, -1, -1))


def test_sizes_that_cannot_be_halved_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="sides are multiples of 4"):
        trainer(max_epochs=1).fit(vqvae(), Batches([ImageBatch(images(2, 1, 0)[..., :14])]))
