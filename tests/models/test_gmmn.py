"""GMMN: no adversary, yet trained, evaluated, averaged, stopped, resumed and loaded like the others."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import SGD, Adam

from gan_lightning.callbacks import SampleGrid
from gan_lightning.data.batches import ImageBatch, PairedBatch
from gan_lightning.evaluation.sources import GeneratedImages, load_sampler
from gan_lightning.losses import mmd2
from gan_lightning.models import GMMN
from gan_lightning.networks import MLPGenerator
from gan_lightning.schedules import LinearToZero
from gan_lightning.training.generative import GenerativeModule, NonFiniteLossError
from tiny import SIZE, Batches, images
from toys import equal, trainer, weights


def gmmn(**how: Any) -> GMMN:
    return GMMN(MLPGenerator(4, image_size=SIZE, hidden=(16,)), optimizer=partial(Adam, lr=1e-2), **how)


def data(batches: int = 2, count: int = 8) -> Batches:
    return Batches([ImageBatch(images(count, 1, seed)) for seed in range(batches)])


def test_the_defaults_are_the_papers() -> None:
    with torch.device("meta"):
        model = GMMN()
    assert sum(p.numel() for p in model.generator.parameters()) == 1_149_904
    optimizer = model.configure_optimizers()
    assert isinstance(optimizer, SGD)
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]) == (2000, 0.9)


def test_the_loss_is_the_root_of_mmd2_of_pixels_in_zero_to_one() -> None:
    model, batch = gmmn(bandwidths=[3.0, 5.0]), data().batches[0]
    torch.manual_seed(1)
    loss = model.losses(batch)["mmd"]
    torch.manual_seed(1)
    fake = model.generator(model.latents(8))
    real, fake = ((pixels.flatten(1) + 1) / 2 for pixels in (batch.images, fake))
    torch.testing.assert_close(loss, mmd2(real, fake, [3.0, 5.0]).sqrt())


def test_latents_are_uniform() -> None:
    z = gmmn().latents(1000)
    assert 0.99 < z.abs().max() <= 1
    assert float(z.std()) == pytest.approx(3**-0.5, rel=0.05)
    assert gmmn().sampler.draw(1000, truncation=0.5).abs().max() <= 0.5


def test_moments_come_to_match() -> None:
    torch.manual_seed(0)
    model = gmmn(ema_half_life=8, schedule=LinearToZero(20, 60))
    one = Batches([ImageBatch(images(32, 1, 0))])
    before = float(model.losses(one.batches[0])["mmd"])
    run = trainer(max_epochs=60)
    run.fit(model, one)
    assert float(model.losses(one.batches[0])["mmd"]) < 0.8 * before
    assert (model.batches_seen, model.images_seen, run.global_step) == (60, 60 * 32, 60)
    assert run.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-2 / 40)
    assert not equal(weights(model.generator), weights(model.averaged_generator))


def test_accumulation_and_clipping_are_the_trainers() -> None:
    model = gmmn(ema_half_life=8)
    run = trainer(max_epochs=1, accumulate_grad_batches=2, gradient_clip_val=1.0)
    run.fit(model, data(batches=4))
    assert (model.batches_seen, run.global_step) == (4, 2)


def test_a_stopped_run_resumes_exactly(tmp_path: Path) -> None:
    def fit(epochs: int, resume: Path | None = None) -> GMMN:
        torch.manual_seed(0)
        model = gmmn(ema_half_life=20, schedule=LinearToZero(1, 4))
        torch.manual_seed(1 if resume is None else 99)
        run = trainer(tmp_path, max_epochs=epochs)
        run.fit(model, data(), ckpt_path=resume, weights_only=True)
        run.save_checkpoint(tmp_path / f"{epochs}.ckpt")
        return model

    whole = fit(3)
    fit(2)
    resumed = fit(3, tmp_path / "2.ckpt")
    assert equal(weights(whole), weights(resumed))
    assert resumed.images_seen == whole.images_seen

    loaded = GenerativeModule.load_from_checkpoint(tmp_path / "3.ckpt")
    assert isinstance(loaded, GMMN)
    assert equal(weights(loaded), weights(whole))
    made = next(iter(GeneratedImages(load_sampler(tmp_path / "3.ckpt").sampler, 5)))
    assert made.images.shape == (5, 1, SIZE, SIZE)


def test_a_grid_is_made_and_evaluation_leaves_training_alone(tmp_path: Path) -> None:
    def fit(validated: bool) -> GMMN:
        torch.manual_seed(0)
        model = gmmn()
        trainer(tmp_path, max_epochs=2, limit_val_batches=int(validated), callbacks=[SampleGrid(4)]).fit(model, data())
        return model

    assert equal(weights(fit(True)), weights(fit(False)))
    assert [path.name for path in sorted((tmp_path / "samples").iterdir())] == [
        "images-000000016.png",
        "images-000000032.png",
    ]


def test_the_average_in_a_checkpoint_is_of_the_same_step(tmp_path: Path) -> None:
    model = gmmn(ema_half_life=1e-3, ema_warm_up=0)  # no memory: it equals the weights
    trainer(tmp_path, max_epochs=1).fit(model, data())
    assert equal(weights(model.generator), weights(model.averaged_generator))


def test_mixed_precision_trains_with_a_loss_in_float32() -> None:
    model = gmmn()
    trainer(max_epochs=1, precision="bf16-mixed").fit(model, data())
    assert model._terms["loss"].dtype == torch.float32
    assert all(p.isfinite().all() for p in model.parameters())


def test_what_does_not_fit_is_refused_before_the_first_step() -> None:
    for batch, kind, match in (
        (PairedBatch(images(2, 1, 0), images(2, 1, 0)), TypeError, "GMMN learns from .* ImageBatch"),
        (ImageBatch(torch.zeros(2, 3, SIZE, SIZE)), ValueError, "GMMN makes images of 1x16x16 .* serve 3x16x16"),
        (ImageBatch(images(2, 1, 0) * 100), ValueError, r"GMMN takes float images in \[-1, 1\]"),
    ):
        model = gmmn()
        with pytest.raises(kind, match=match):
            trainer(max_epochs=1).fit(model, Batches([batch]))
        assert model.batches_seen == 0


def test_a_loss_that_is_not_finite_stops_training_with_advice() -> None:
    model = gmmn()
    torch.nn.init.constant_(model.generator.net[0].bias, float("nan"))
    model.check_batch = lambda batch: None  # type: ignore[method-assign]
    with pytest.raises(NonFiniteLossError, match=r"loss/mmd was nan at batch 0.*trainer\.gradient_clip_val"):
        trainer(max_epochs=1).fit(model, data())
