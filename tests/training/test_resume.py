"""A run that is stopped and resumed ends with the weights, bit by bit, of one that never stopped."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.optim import Adam

from datamodules import Digits
from every_model import BUILDERS
from gan_lightning.augmentation import AdaptiveAugmentation
from gan_lightning.data.batches import ImageBatch, UnpairedBatch
from gan_lightning.models import CGAN, DCGAN, GAN, WGANGP, CycleGAN, Pix2Pix
from gan_lightning.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    PatchGAN,
    ResNetGenerator,
    UNetGenerator,
)
from gan_lightning.schedules import LinearToZero
from gan_lightning.training.adversarial import AdversarialModule
from gan_lightning.training.checkpoint_io import CheckpointError
from tiny import data_for
from toys import ToyData, ToyGAN, trainer

SMALL: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4}


def dcgan() -> DCGAN:
    adam = partial(Adam, lr=1e-3, betas=(0.5, 0.9))
    return DCGAN(
        DCGANGenerator(**SMALL),
        DCGANDiscriminator(**SMALL),
        generator_optimizer=adam,
        generator_schedule=LinearToZero(2, 20, unit="batch"),
        n_critic=2,
        ema_half_life=100,
    )


def wgan_gp() -> WGANGP:
    return WGANGP(DCGANGenerator(**SMALL), DCGANDiscriminator(**SMALL, norm="none"), n_critic=3, ema_half_life=100)


def cgan() -> CGAN:
    return CGAN(DCGANGenerator(**SMALL, num_classes=10), DCGANDiscriminator(**SMALL, num_classes=10))


def gan() -> GAN:
    return GAN(MLPGenerator(image_size=16), MLPDiscriminator(image_size=16))  # dropout draws, too


class Domains(Digits):
    """Digits upright and mirrored, standing for two domains."""

    batch_type = UnpairedBatch

    def on_after_batch_transfer(self, batch: ImageBatch, dataloader_idx: int) -> Any:
        images = super().on_after_batch_transfer(batch, dataloader_idx).images
        return UnpairedBatch(images, images.flip(-1).flip(0))


def cyclegan() -> CycleGAN:
    nets: dict[str, Any] = {"in_channels": 1, "width": 2}
    return CycleGAN(
        ResNetGenerator(**nets, out_channels=1, blocks=1),
        ResNetGenerator(**nets, out_channels=1, blocks=1),
        PatchGAN(**nets, receptive_field=16, norm="instance"),
        PatchGAN(**nets, receptive_field=16, norm="instance"),
        pool_size=20,
        ema_half_life=50,
    )


class KilledError(Exception):
    """The error that ends a run suddenly."""


class Kill(L.Callback):
    """Ends the run after a number of batches, once a checkpoint is on disk."""

    def __init__(self, batches: int, path: Path) -> None:
        self.batches, self.path = batches, path

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if trainer.global_step == self.batches:
            trainer.save_checkpoint(self.path)
            raise KilledError


def fit(build: Callable[[], AdversarialModule], data: L.LightningDataModule, folder: Path, **how: Any) -> Any:
    """Train three epochs of five batches, and return the content of the last checkpoint."""
    resume = how.get("ckpt_path")
    L.seed_everything(1 if resume is None else 999)  # what a resumed run draws must come from the checkpoint
    settings: dict[str, Any] = {"max_epochs": 3, "limit_train_batches": 5, "limit_val_batches": 1}
    run = trainer(folder, **settings | how.get("trainer", {}))
    run.fit(build(), datamodule=data, ckpt_path=resume, weights_only=True)
    run.save_checkpoint(folder / "end.ckpt")
    return torch.load(folder / "end.ckpt", weights_only=True)


def assert_same(first: Any, second: Any, where: str = "") -> None:
    assert type(first) is type(second), where
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            assert_same(first[key], second[key], f"{where}/{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for i, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_same(a, b, f"{where}/{i}")
    else:
        assert first == second, where


def data_of(build: Any) -> Digits:
    kind = Domains if build is cyclegan else Digits
    return kind(image_size=16, batch_size=8, eval_batch_size=8, num_reference=16)


def assert_same_end(whole: Any, resumed: Any) -> None:
    for part in ("state_dict", "optimizer_states", "gan_lightning"):
        assert_same(whole[part], resumed[part], part)
    assert resumed["global_step"] == whole["global_step"] == 15


@pytest.mark.parametrize("batches", [7, 10], ids=["in mid-epoch", "after an epoch's last batch"])
@pytest.mark.parametrize("build", [dcgan, wgan_gp, cgan, gan, cyclegan])
def test_a_killed_run_resumes_exactly(build: Any, batches: int, tmp_path: Path) -> None:
    whole = fit(build, data_of(build), tmp_path)
    path = tmp_path / "killed.ckpt"
    with pytest.raises(KilledError):
        fit(build, data_of(build), tmp_path, trainer={"callbacks": [Kill(batches, path)]})
    assert_same_end(whole, fit(build, data_of(build), tmp_path, ckpt_path=path))


@pytest.mark.parametrize("build", BUILDERS)
def test_every_model_goes_on_after_an_epoch_as_if_it_had_never_stopped(build: Any, tmp_path: Path) -> None:
    def run(epochs: int, resume: Path | None = None) -> Any:
        L.seed_everything(1 if resume is None else 999)
        model = build()
        going = trainer(tmp_path, max_epochs=epochs, limit_val_batches=1)
        going.fit(model, data_for(model, batches=3), ckpt_path=resume, weights_only=True)
        going.save_checkpoint(tmp_path / "end.ckpt")
        return torch.load(tmp_path / "end.ckpt", weights_only=True)

    whole = run(2)
    run(1)
    resumed = run(2, tmp_path / "end.ckpt")
    for part in ("state_dict", "optimizer_states", "gan_lightning"):
        assert_same(whole[part], resumed[part], part)


def test_a_run_of_some_epochs_can_be_prolonged(tmp_path: Path) -> None:
    whole = fit(dcgan, data_of(dcgan), tmp_path)
    fit(dcgan, data_of(dcgan), tmp_path, trainer={"max_epochs": 2})
    assert_same_end(whole, fit(dcgan, data_of(dcgan), tmp_path, ckpt_path=tmp_path / "end.ckpt"))


def test_a_run_of_some_batches_can_be_prolonged(tmp_path: Path) -> None:
    def run(batches: int, **how: Any) -> Any:
        return fit(dcgan, data_of(dcgan), tmp_path, trainer={"max_epochs": -1, "max_steps": batches}, **how)

    whole = run(15)
    run(7)
    assert_same_end(whole, run(15, ckpt_path=tmp_path / "end.ckpt"))


@pytest.mark.parametrize("half_life", [0, 100])
@pytest.mark.parametrize("others", [0, 100])
def test_a_new_run_begins_from_the_networks_of_another_with_settings_of_its_own(half_life: int, others: int) -> None:
    """The new run has an average or none, and ADA, which the other run did not have."""
    other = DCGAN(DCGANGenerator(**SMALL), DCGANDiscriminator(**SMALL), ema_half_life=others)
    if other.average is not None:
        for weight in other.average.parameters():
            weight.data += 1
    networks = DCGANGenerator(**SMALL), DCGANDiscriminator(**SMALL)
    model = DCGAN(*networks, ema_half_life=half_life, augmentation=AdaptiveAugmentation(p=0.25))
    model.begin_from(other.state_dict())
    assert_same(dict(other.generator.state_dict()), dict(model.generator.state_dict()))
    assert_same(dict(other.discriminator.state_dict()), dict(model.discriminator.state_dict()))
    if half_life:
        assert_same(dict(other.averaged_generator.state_dict()), dict(model.averaged_generator.state_dict()))
    assert isinstance(model.augmentation, AdaptiveAugmentation)
    assert float(model.augmentation.p) == 0.25
    other.begin_from(model.state_dict())  # and without ADA again
    with pytest.raises(CheckpointError, match="of other networks"):
        wgan_gp().begin_from(other.state_dict())


def test_a_resumed_run_with_other_settings_says_so(tmp_path: Path) -> None:
    trainer(max_epochs=1).fit(model := ToyGAN(), ToyData())
    assert model is not None
    run = trainer(tmp_path, max_epochs=1)
    run.fit(ToyGAN(ema_half_life=100), ToyData())
    run.save_checkpoint(tmp_path / "a.ckpt")
    with pytest.warns(UserWarning, match=r"ema_half_life: 200 now, 100 in the checkpoint"):
        trainer(tmp_path, max_epochs=2).fit(ToyGAN(ema_half_life=200), ToyData(), ckpt_path=tmp_path / "a.ckpt")


def test_a_new_learning_rate_counts_on_resume(tmp_path: Path) -> None:
    run = trainer(tmp_path, max_epochs=1)
    run.fit(ToyGAN(generator_optimizer=partial(Adam, lr=0.1)), ToyData())
    run.save_checkpoint(tmp_path / "a.ckpt")
    model = ToyGAN(generator_optimizer=partial(Adam, lr=0.01))
    with pytest.warns(UserWarning, match="generator_optimizer"):
        trainer(tmp_path, max_epochs=2).fit(model, ToyData(), ckpt_path=tmp_path / "a.ckpt")
    assert model.optimizer_factories["generator"].keywords["lr"] == 0.01
    assert model._learning_rates["generator"] == [0.01]


def test_a_checkpoint_holds_networks_as_plain_data_and_rebuilds_them(tmp_path: Path) -> None:
    model = Pix2Pix(
        UNetGenerator(in_channels=1, out_channels=1, image_size=32, width=2),
        PatchGAN(in_channels=2, width=2, receptive_field=16),
        generator_optimizer=partial(Adam, lr=1e-3, betas=(0.1, 0.9)),
        lambda_l1=50,
    )
    run = trainer(tmp_path)
    run.strategy.connect(model)
    run.save_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    described = torch.load(tmp_path / "model.ckpt", weights_only=True)["hyper_parameters"]
    assert described["generator"]["class_path"].endswith("UNetGenerator")
    assert described["generator_optimizer"]["init_args"] == {"lr": 1e-3, "betas": [0.1, 0.9]}

    loaded = AdversarialModule.load_from_checkpoint(tmp_path / "model.ckpt")
    assert type(loaded) is Pix2Pix
    assert loaded.lambda_l1 == 50
    assert_same(dict(loaded.state_dict()), dict(model.state_dict()))


def saved(tmp_path: Path, **changes: Any) -> Path:
    run = trainer(tmp_path)
    run.strategy.connect(dcgan())
    path = tmp_path / "model.ckpt"
    run.save_checkpoint(path, weights_only=True)
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["hyper_parameters"].update(changes)
    torch.save(checkpoint, path)
    return path


def test_a_checkpoint_that_names_a_foreign_class_is_refused(tmp_path: Path) -> None:
    evil = {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", str(tmp_path / "pwned")]}}
    path = saved(tmp_path, generator=evil)
    with pytest.raises(PermissionError, match=r"subprocess\.Popen"):
        AdversarialModule.load_from_checkpoint(path)
    with pytest.raises(PermissionError, match=r"os\.system"):
        AdversarialModule.load_from_checkpoint(saved(tmp_path, _class_path="os.system"))
    assert not (tmp_path / "pwned").exists()


class Touch:
    """A malicious pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["hyper_parameters"]["lambda"] = Touch(tmp_path / "pwned")
    torch.save(checkpoint, path)
    with pytest.raises(CheckpointError, match="which is neither data nor a tensor: it was not loaded"):
        AdversarialModule.load_from_checkpoint(path)
    with pytest.raises(Exception, match="Weights only load failed"):  # by Lightning's own reader
        trainer(tmp_path, max_epochs=1).fit(ToyGAN(), ToyData(), ckpt_path=path, weights_only=True)
    assert not (tmp_path / "pwned").exists()


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="holds a DCGAN, which is not a CycleGAN"):
        CycleGAN.load_from_checkpoint(saved(tmp_path))


def test_the_package_of_the_class_that_is_asked_to_load_is_trusted_and_others_where_they_are_named(
    tmp_path: Path,
) -> None:
    run = trainer(tmp_path)
    run.strategy.connect(ToyGAN())
    run.save_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    assert isinstance(ToyGAN.load_from_checkpoint(tmp_path / "model.ckpt"), ToyGAN)
    with pytest.raises(PermissionError, match="outside the trusted packages gan_lightning, torch"):
        AdversarialModule.load_from_checkpoint(tmp_path / "model.ckpt")
    for trusted in ("toys", ["toys"]):
        loaded = AdversarialModule.load_from_checkpoint(tmp_path / "model.ckpt", trusted=trusted)
        assert isinstance(loaded, ToyGAN)


def test_a_network_that_does_not_record_itself_must_be_passed(tmp_path: Path) -> None:
    def discriminator() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1), torch.nn.Flatten(0))

    run = trainer(tmp_path, max_epochs=1)
    with pytest.warns(UserWarning, match=r"do not record how torch\.nn\.\S*Sequential was built.*recording\.Network"):
        run.fit(ToyGAN(discriminator=discriminator()), ToyData())
    run.save_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    with pytest.raises(ValueError, match=r"does not record how its torch.*Sequential was built"):
        ToyGAN.load_from_checkpoint(tmp_path / "model.ckpt")
    loaded = ToyGAN.load_from_checkpoint(tmp_path / "model.ckpt", discriminator=discriminator())
    assert isinstance(loaded.discriminator, torch.nn.Sequential)


def test_keep_every_kth_checkpoint_and_resume_from_the_newest(tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path / "checkpoints", save_last=True, every_n_epochs=1)
    trainer(tmp_path, max_epochs=1, enable_checkpointing=True, callbacks=[keep]).fit(ToyGAN(), ToyData())
    keep = ModelCheckpoint(tmp_path / "checkpoints", save_last=True, every_n_epochs=1)
    model = ToyGAN()
    trainer(tmp_path, max_epochs=3, enable_checkpointing=True, callbacks=[keep]).fit(model, ToyData(), ckpt_path="last")
    assert model.batches_seen == 12
