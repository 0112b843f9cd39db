"""BEGAN: the losses, the controller by hand, k in the checkpoint, and images inside their range."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gan_lightning.models import BEGAN
from gan_lightning.networks import BEGANAutoencoder, BEGANGenerator
from tiny import SMALL, batch_for, data_for
from toys import trainer


def began(**how: Any) -> BEGAN:
    return BEGAN(BEGANGenerator(6, **SMALL), BEGANAutoencoder(5, **SMALL), **how)


def test_both_losses_are_errors_of_reconstruction() -> None:
    model = began()
    model.k.fill_(0.3)
    batch = batch_for(model)
    fake = model.draw_fakes(batch).detach()
    real_error, fake_error = ((images - model.discriminator(images)).abs().mean() for images in (batch.images, fake))
    terms = model.discriminator_loss(batch, fake)
    torch.testing.assert_close(terms["real"], real_error)
    torch.testing.assert_close(terms["fake"], -0.3 * fake_error)
    assert model.generator_loss(batch, fake).keys() == {"adversarial"}
    torch.testing.assert_close(model.generator_loss(batch, fake)["adversarial"], fake_error)


def test_the_controller_by_hand() -> None:
    model = began(gamma=0.7, lambda_k=0.1)
    model.k.fill_(0.5)
    k = 0.5
    for epoch in range(1, 4):
        trainer(max_epochs=1).fit(model, data_for(model))
        real, fake = float(model._terms["loss/discriminator/real"]), float(model._terms["loss/generator"])
        k = min(1.0, max(0.0, k + 0.1 * (0.7 * real - fake)))
        assert float(model.k) == pytest.approx(k, abs=1e-6)
        assert float(model._terms["convergence"]) == pytest.approx(real + abs(0.7 * real - fake), abs=1e-6)
        assert model.batches_seen == epoch
    assert 0 < k < 1
    assert k != 0.5


@pytest.mark.parametrize(("lambda_k", "end"), [(1e3, {0.0, 1.0}), (0.0, {0.0})])
def test_k_keeps_within_zero_and_one(lambda_k: float, end: set[float]) -> None:
    model = began(lambda_k=lambda_k)
    trainer(max_epochs=2).fit(model, data_for(model))
    assert float(model.k) in end


def test_k_is_in_the_checkpoint(tmp_path: Path) -> None:
    model = began(lambda_k=0.0)
    run = trainer(tmp_path, max_epochs=1)
    run.fit(model, data_for(model))
    model.k.fill_(0.25)
    run.save_checkpoint(tmp_path / "model.ckpt")
    assert torch.equal(BEGAN.load_from_checkpoint(tmp_path / "model.ckpt").k, model.k)


def test_images_that_leave_the_range_are_clipped_for_users_and_not_in_training() -> None:
    model = began()
    torch.nn.init.constant_(model.generator.net[-1].bias, 3.0)
    assert model.sample(2, seed=0).max() == 1
    assert model.draw_fakes(batch_for(model)).max() > 2


@pytest.mark.parametrize("gamma", [0.0, 1.5])
def test_a_gamma_that_is_no_ratio_is_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match=r"gamma is a ratio in \(0, 1\]"):
        began(gamma=gamma)
