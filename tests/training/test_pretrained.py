"""Starting from other weights: a checkpoint's or an export's, with layers of other shapes named and new."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluation.test_sources import checkpoint
from gan_lightning.cli.training import main
from gan_lightning.export import save
from gan_lightning.models import CGAN, DCGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from gan_lightning.training.checkpoint_content import CheckpointError
from gan_lightning.training.checkpoint_io import read_checkpoint
from models.test_cyclegan import cyclegan
from models.test_gan import gan
from models.test_pix2pix import pix2pix
from tiny import SMALL, data_for
from toys import equal, trainer


def dcgan(channels: int = 1, **how: Any) -> DCGAN:
    small = SMALL | {"channels": channels}
    return DCGAN(DCGANGenerator(6, **small), DCGANDiscriminator(**small), **how)


def cgan(classes: int) -> CGAN:
    small = SMALL | {"num_classes": classes}
    return CGAN(DCGANGenerator(6, **small), DCGANDiscriminator(**small))


@pytest.fixture(scope="module")
def trained() -> DCGAN:
    """A model whose average differs from its generator."""
    model = dcgan(ema_half_life=100)
    trainer(max_epochs=2).fit(model, data_for(model, batches=2))
    assert not equal(model.generator.state_dict(), model.averaged_generator.state_dict())
    return model


def test_an_export_starts_the_generator_and_its_average(trained: DCGAN, tmp_path: Path) -> None:
    save(trained.sampler, tmp_path / "export")
    model = dcgan(ema_half_life=10)
    before = {name: value.clone() for name, value in model.discriminator.state_dict().items()}
    with pytest.warns(UserWarning, match=r"these layers start anew, since .*export has none of .*: discriminator$"):
        model.load_weights(tmp_path / "export")
    for network in (model.generator, model.averaged_generator):
        assert equal(dict(network.state_dict()), dict(trained.averaged_generator.state_dict()))
    assert equal(dict(model.discriminator.state_dict()), before)


def test_both_players_start_from_a_checkpoint_and_averaged_weights_where_asked(trained: DCGAN, tmp_path: Path) -> None:
    path = checkpoint(trained, tmp_path / "a.ckpt")
    for source, generator in (
        (path, trained.generator),
        ({"generator": path, "discriminator": path}, trained.averaged_generator),
    ):
        model = dcgan(ema_half_life=10)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.load_weights(source)  # type: ignore[arg-type]
        assert equal(dict(model.generator.state_dict()), dict(generator.state_dict()))
        assert equal(dict(model.averaged_generator.state_dict()), dict(trained.averaged_generator.state_dict()))
        assert equal(dict(model.discriminator.state_dict()), dict(trained.discriminator.state_dict()))


@pytest.mark.parametrize("parts", [False, True])
def test_layers_of_other_shapes_are_named_and_start_anew(parts: bool, tmp_path: Path) -> None:
    path = checkpoint(other := cgan(3), tmp_path / "three.ckpt")
    model = cgan(5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.warns(UserWarning, match="these layers start anew") as warned:
        model.load_weights({"generator": path, "discriminator": path} if parts else path)
    (text, *others) = [str(each.message) for each in warned]
    assert "three.ckpt has none of their names and shapes: " in text
    said = ", ".join([text, *others])
    anew = {name for name, value in other.state_dict().items() if value.shape != before[name].shape}
    assert anew  # the first layer of each player, into which labels go
    for name, value in model.state_dict().items():
        layer = name.rpartition(".")[0]
        new = any(each.rpartition(".")[0] == layer for each in anew)
        assert torch.equal(value, before[name] if new else other.state_dict()[name]), name
        assert (layer in said) == new, name


def test_an_export_of_a_translator_starts_its_directions(tmp_path: Path) -> None:
    both, one = cyclegan(), pix2pix()
    save(both.translator, tmp_path / "both")
    save(one.translator, tmp_path / "one")
    started, again = cyclegan(), pix2pix()
    with pytest.warns(UserWarning, match=r": discriminator$"):
        started.load_weights(tmp_path / "both")
    again.load_weights({"generator": tmp_path / "one"})
    assert equal(dict(started.generator.state_dict()), dict(both.generator.state_dict()))
    assert equal(dict(again.generator.state_dict()), dict(one.generator.state_dict()))


def test_other_networks_are_refused(trained: DCGAN, tmp_path: Path) -> None:
    save(trained.sampler, tmp_path / "export")
    with pytest.raises(CheckpointError, match=r"export are of other networks than those of this GAN: no layer of its"):
        gan().load_weights(tmp_path / "export")
    with pytest.raises(ValueError, match=r"has no part 'discriminator': choose generator"):
        dcgan().load_weights({"discriminator": tmp_path / "export"})
    (tmp_path / "export" / "model.safetensors").write_bytes(b"12345678910")
    with pytest.raises(ValueError, match=r"model\.safetensors is not an exported model"):
        dcgan().load_weights(tmp_path / "export")


@pytest.mark.parametrize("flag", ["start_from", "init_from"])
def test_fit_starts_from_an_export_with_counters_at_zero(flag: str, trained: DCGAN, tmp_path: Path) -> None:
    save(trained.sampler, tmp_path / "export")
    players = ("generator", "discriminator")
    settings = [f"--model.{player}.{name}={value}" for player in players for name, value in SMALL.items()]
    main(
        [
            "fit",
            "--config=configs/quickstart.yaml",
            f"--trainer.default_root_dir={tmp_path / 'run'}",
            f"--{flag}={tmp_path / 'export'}",
            "--model.generator.latent_dim=6",
            *settings,
            "--trainer.accelerator=cpu",
            "--trainer.limit_train_batches=1",
            "--trainer.max_epochs=1",
            "--trainer.limit_val_batches=0",
            "--validate_before_fit=false",
            "--data.batch_size=4",
            "--data.image_size=16",
        ]
    )
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["gan_lightning"]["images_seen"] == 4
    # the run's config states where it started, which its own checkpoint replaces
    evaluated = main(
        [
            "validate",
            f"--config={tmp_path / 'run'}",
            "--ckpt_path=last",
            "--trainer.limit_val_batches=1",
            "--recipe=null",
        ]
    )
    assert evaluated is not None
