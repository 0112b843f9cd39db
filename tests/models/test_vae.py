"""VAE: the bound against its closed form, both likelihoods, and all that a model of images does."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch, PairedBatch
from gan_lightning.draws import ImageDraws
from gan_lightning.losses import Bernoulli, Gaussian
from gan_lightning.models import VAE
from gan_lightning.networks import DCGANGenerator, VAEDecoder, VAEEncoder, VAEGANEncoder
from gan_lightning.recording import Network
from gan_lightning.training.generative import GenerativeModule
from tiny import SMALL, Batches, images
from toys import equal, trainer, weights

SHAPE = (1, 28, 28)


def vae(**how: Any) -> VAE:
    return VAE(VAEEncoder(4, width=4), VAEDecoder(4, width=4), **how)


def vae_batch(count: int = 4, seed: int = 0) -> ImageBatch:
    return ImageBatch(F.interpolate(images(count, 1, seed), 28, mode="bilinear"))


class Certain(Network):
    """A posterior that is the same for all images."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.latent_dim = len(mean)
        self.answer = nn.Parameter(torch.tensor([mean, std]))

    def forward(self, images: Tensor) -> Tensor:
        return self.answer[:, None].expand(2, len(images), -1)


def test_the_kl_term_is_the_closed_form_of_two_normals() -> None:
    mean, std = [1.0, 0.0, -2.0], [1.0, 0.5, 2.0]
    model = VAE(Certain(mean, std), VAEDecoder(3, width=4))
    expected = sum(0.5 * (m**2 + s**2 - 1) - math.log(s) for m, s in zip(mean, std, strict=True))
    assert model.losses(vae_batch())["kl"].item() == pytest.approx(expected, rel=1e-6)
    at_the_prior = VAE(Certain([0.0] * 3, [1.0] * 3), VAEDecoder(3, width=4))
    assert at_the_prior.losses(vae_batch())["kl"].item() == 0


def test_the_reconstruction_is_a_sum_over_pixels_and_a_mean_over_images() -> None:
    model = VAE(Certain([0.3, -0.2], [1e-9, 1e-9]), VAEDecoder(2, width=4)).eval()
    data = vae_batch()
    p = (model.generator(torch.tensor([[0.3, -0.2]])) + 1) / 2
    x = (data.images + 1) / 2
    expected = -(x * p.log() + (1 - x) * (1 - p).log()).sum() / len(x)
    torch.testing.assert_close(model.losses(data)["reconstruction"], expected)


class Constant(nn.Module):
    """A decoder of one grey."""

    def __init__(self, grey: float) -> None:
        super().__init__()
        self.grey = grey

    def forward(self, z: Tensor) -> Tensor:
        return torch.full((len(z), 2, 3, 3), self.grey)


def test_a_gaussian_likelihood_is_that_of_the_normal_distribution() -> None:
    data = torch.rand(4, 2, 3, 3) * 2 - 1
    for std in (1.0, 0.1):
        expected = -torch.distributions.Normal(0.25, std).log_prob(data).sum((1, 2, 3))
        torch.testing.assert_close(
            Gaussian(std).negative_log_likelihood(Constant(0.25), torch.zeros(4, 1), data), expected
        )
    with pytest.raises(ValueError, match="out of range: make it above 0"):
        Gaussian(0)


def test_a_bernoulli_likelihood_stays_finite_where_the_decoder_is_sure_and_wrong() -> None:
    class Sure(nn.Module):
        def forward(self, z: Tensor, as_logits: bool = False) -> Tensor:
            return z[:, :, None, None]

    z = torch.full((1, 1), -200.0, requires_grad=True)
    loss = Bernoulli().negative_log_likelihood(Sure(), z, torch.ones(1, 1, 1, 1))
    loss.sum().backward()
    assert (loss.item(), z.grad.item()) == (200, -1)


def test_a_bernoulli_likelihood_asks_for_a_decoder_with_logits() -> None:
    model = VAE(VAEGANEncoder(6, 16, 1, 4, 8), DCGANGenerator(6, **SMALL))
    with pytest.raises(TypeError, match=r"DCGANGenerator does not return logits.*Gaussian"):
        model.losses(ImageBatch(images(4, 1, 0)))


def test_any_generator_decodes_with_a_gaussian_likelihood() -> None:
    model = VAE(VAEGANEncoder(6, 16, 1, 4, 8), DCGANGenerator(6, **SMALL), likelihood=Gaussian(0.3))
    before = weights(model)
    trainer(max_epochs=1).fit(model, Batches([ImageBatch(images(4, 1, 0))]))
    after = weights(model)
    assert not [name for name in before if name.endswith("weight") and torch.equal(before[name], after[name])]


def test_it_overfits_one_batch() -> None:
    torch.manual_seed(0)
    model, data = vae(optimizer=partial(Adam, lr=1e-2)), ImageBatch(vae_batch().images.sign())  # black and white
    curve: list[float] = []
    step = model.training_step
    model.training_step = lambda *args: curve.append(float(loss := step(*args))) or loss  # type: ignore
    trainer(max_epochs=60).fit(model, Batches([data]))
    assert sum(curve[-3:]) < 0.8 * sum(curve[:3]), curve
    assert set(model._terms) == {"loss", "loss/reconstruction", "loss/kl"}
    assert float(model._terms["loss"]) == pytest.approx(curve[-1])


def test_images_come_from_the_prior_by_averaged_weights() -> None:
    model = vae(ema_half_life=1e9, ema_warm_up=0)
    shown, columns = model.preview(vae_batch(), 4)
    with ImageDraws(0, range(4)):
        z = model.latents(4)
    assert columns == 2
    assert torch.equal(shown, model.average.network.eval()(z))
    assert model.generate(vae_batch(3)).shape == (3, *SHAPE)
    with torch.no_grad():
        model.generator.net[0].weight.zero_()
    assert torch.equal(shown, model.sample(4, seed=0))


def test_reconstructions_are_decoded_means() -> None:
    model = vae().train()
    data = vae_batch()
    first = model.reconstruct(data.images)
    assert first.shape == data.images.shape
    assert torch.equal(first, model.reconstruct(data.images))  # nothing is drawn
    torch.testing.assert_close(first[:1], model.reconstruct(data.images[:1]))  # nor does the batch matter
    assert model.encoder.training


def test_a_checkpoint_is_plain_data_and_brings_the_model_back(tmp_path: Path) -> None:
    model = vae(likelihood=Gaussian(0.5))
    trainer(
        tmp_path, max_epochs=1, enable_checkpointing=True, callbacks=[ModelCheckpoint(tmp_path, filename="last")]
    ).fit(model, Batches([vae_batch()]))
    again = GenerativeModule.load_from_checkpoint(tmp_path / "last.ckpt")
    assert isinstance(again, VAE)
    assert equal(weights(model), weights(again))
    assert again.likelihood.std == 0.5


def test_latents_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="encoder's z has 4 components and the generator's 5"):
        VAE(VAEEncoder(4), VAEDecoder(5))


def test_what_does_not_fit_is_refused_before_the_first_step() -> None:
    for wrong, kind, match in (
        (PairedBatch(torch.zeros(2, *SHAPE), torch.zeros(2, *SHAPE)), TypeError, "VAE learns from .* ImageBatch"),
        (ImageBatch(torch.zeros(2, 1, 32, 32)), ValueError, "makes images of 1x28x28 .* serve 1x32x32"),
    ):
        model = vae()
        with pytest.raises(kind, match=match):
            trainer(max_epochs=1).fit(model, Batches([wrong]))
        assert model.batches_seen == 0
