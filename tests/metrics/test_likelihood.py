"""The metric of likelihoods, alone and in a validation."""

import math
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule

from gan_lightning.callbacks import Evaluation
from gan_lightning.data.batches import ImageBatch
from gan_lightning.losses import Gaussian
from gan_lightning.metrics import NegativeLogLikelihood, TooFewSamplesError
from gan_lightning.models import VAE
from models.test_dcgan import dcgan
from models.test_pixelcnn import pixelcnn, pixelcnn_batch
from models.test_realnvp import realnvp, realnvp_batch
from models.test_vae import vae, vae_batch
from tiny import Batches
from toys import trainer


def test_nats_and_bits() -> None:
    metric = NegativeLogLikelihood()
    metric.update(torch.tensor([10.0, 20.0]), 12)
    metric.update(torch.tensor([30.0]), 12)
    found = metric.compute()
    assert float(found["nats"]) == 20
    assert float(found["bits_per_dim"]) == pytest.approx(20 / 12 / math.log(2))
    metric.reset(keep_real=True)
    with pytest.raises(TooFewSamplesError, match="1 images of a set"):
        metric.compute()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations write their reports into the trainer's folder."""
    monkeypatch.chdir(tmp_path)


def validated(model: LightningModule, batches: list[ImageBatch]) -> Evaluation:
    evaluation = Evaluation("nllfull_test")
    trainer(callbacks=[evaluation]).validate(model, Batches(batches), verbose=False)
    return evaluation


def test_a_validation_gives_the_mean_over_the_reference_set_and_its_protocol() -> None:
    model, batches = pixelcnn(), [pixelcnn_batch(4, seed) for seed in range(2)]
    (report,) = validated(model, batches).reports
    expected = torch.cat([model.nats(batch) for batch in batches]).mean()
    assert report.mean("nats") == pytest.approx(float(expected), rel=1e-6)
    assert report.settings["likelihood"] == "exact; values as the data serve them"


def test_draws_belong_to_an_image() -> None:
    model = realnvp()
    first, second = (realnvp_batch(4, seed) for seed in range(2))
    joined = ImageBatch(torch.cat([first.images, second.images]))
    apart, together = (validated(model, batches).reports[0] for batches in ([first, second], [joined]))
    assert apart.mean("nats") == pytest.approx(together.mean("nats"), rel=1e-6)
    assert "upper bound" in apart.settings["likelihood"]


def test_models_without_a_likelihood_are_refused_or_left_out() -> None:
    with pytest.raises(TypeError, match="measures the likelihood of real images, and DCGAN has none"):
        validated(dcgan(), [pixelcnn_batch()])
    with pytest.warns(UserWarning, match="left out of evaluations: NegativeLogLikelihood"):
        assert not validated(vae(), [vae_batch()]).reports[0].values


def test_the_bound_of_a_vae_is_its_loss_and_tighter_by_several_draws() -> None:
    torch.manual_seed(0)
    data = ImageBatch(vae_batch(64).images.sign())
    model = vae().eval()
    by_one = torch.stack([model.nats(data).mean() for _ in range(20)]).mean()
    losses = torch.stack([sum(model.losses(data).values()) for _ in range(20)]).mean()  # type: ignore[arg-type]
    torch.testing.assert_close(by_one, losses.detach(), rtol=2e-3, atol=0)
    tighter = VAE(model.encoder, model.generator, importance_samples=50).eval()
    assert tighter.nats(data).mean() < by_one
    assert "50 draws" in tighter.likelihood_protocol
    assert VAE(model.encoder, model.generator, likelihood=Gaussian()).nats(data) is None
