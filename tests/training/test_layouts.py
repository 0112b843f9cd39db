"""channels_last: "auto" uses the table of measurements; a layout changes no value."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gan_lightning import networks
from gan_lightning.models import DCGAN, VAE, CycleGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator, PatchGAN, ResNetGenerator, VAEDecoder, VAEEncoder
from gan_lightning.recording import Network
from gan_lightning.training import layouts
from gan_lightning.training.adversarial import AdversarialModule
from gan_lightning.training.layouts import GAINS, is_faster_in_channels_last, kind_of
from tiny import data_for
from toys import trainer, weights

CPU = torch.device("cpu")
SIZES: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4}


def dcgan(**arguments: Any) -> DCGAN:
    return DCGAN(DCGANGenerator(4, **SIZES), DCGANDiscriminator(**SIZES), **arguments)


def is_channels_last(model: nn.Module) -> bool:
    """Whether all convolutions' weights are in channels_last; the test needs weights whose layout can be seen."""
    shown = [
        p for p in model.parameters() if p.dim() == 4 and p.shape[1] > 1 and max(p.shape[2:]) > 1 and p.shape[0] > 1
    ]
    assert shown
    answers = {p.is_contiguous(memory_format=torch.channels_last) for p in shown}
    assert len(answers) == 1, "some are and some are not"
    return answers.pop()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, float]]:
    """The CPU gains with DCGAN's architecture, and loses with CycleGAN's."""
    gains = {"dcgan": {kind_of(CPU): 1.2}, "resnet": {kind_of(CPU): 0.9}}
    monkeypatch.setattr(layouts, "GAINS", gains)
    return gains


def test_the_table_decides(table: Any) -> None:
    assert is_faster_in_channels_last(DCGANGenerator(4, **SIZES), CPU)
    assert not is_faster_in_channels_last(ResNetGenerator(width=4, blocks=1), CPU)
    both = nn.ModuleDict({"a_to_b": DCGANGenerator(4, **SIZES), "b_to_a": DCGANGenerator(4, **SIZES)})
    assert is_faster_in_channels_last(both, CPU)
    assert not is_faster_in_channels_last(nn.Conv2d(3, 3, 3), CPU)  # states nothing
    assert not is_faster_in_channels_last(DCGANGenerator(4, **SIZES), torch.device("cuda"))  # was not measured


@pytest.mark.parametrize(("wide", "kind"), [(True, "cpu, AVX-512"), (False, "cpu, AVX2")])
def test_cpus_differ_by_their_vectors(monkeypatch: pytest.MonkeyPatch, wide: bool, kind: str) -> None:
    monkeypatch.setattr(layouts, "has_avx512", lambda: wide)
    assert kind_of(CPU) == kind
    assert all(kind in measured for measured in GAINS.values())


def test_each_architecture_in_the_table_is_stated_by_a_network_and_the_other_way_round() -> None:
    classes = [getattr(networks, name) for name in networks.__all__]
    stated = {found.architecture for found in classes if inspect.isclass(found) and issubclass(found, Network)}
    assert stated - {None} == set(GAINS)


def test_all_networks_are_laid_out_for_the_device_before_the_first_step(table: Any) -> None:
    model = dcgan(ema_half_life=100)
    trainer(max_epochs=1).fit(model, data_for(model, batches=1))
    assert is_channels_last(model)

    model = CycleGAN(*[ResNetGenerator(width=4, blocks=1) for _ in "ab"], *[PatchGAN(3, 4, 16) for _ in "ab"])
    model.lay_out(CPU)
    assert not is_channels_last(model)

    vae = VAE(VAEEncoder(width=4), VAEDecoder(width=4))
    vae.channels_last = True
    vae.lay_out(CPU)
    assert is_channels_last(vae.encoder)


@pytest.mark.parametrize("stated", [True, False])
def test_what_is_stated_counts_and_is_loaded_again(table: Any, tmp_path: Path, stated: bool) -> None:
    """Older checkpoints, without "auto", record a boolean."""
    table["dcgan"][kind_of(CPU)] = 0.8 if stated else 1.2
    model = dcgan(channels_last=stated)
    run = trainer(tmp_path, max_epochs=1)
    run.fit(model, data_for(model, batches=1))
    assert is_channels_last(model) == stated
    run.save_checkpoint(tmp_path / "a.ckpt")
    loaded = AdversarialModule.load_from_checkpoint(tmp_path / "a.ckpt")
    assert loaded.channels_last == stated
    assert is_channels_last(loaded) == stated


def test_a_checkpoint_is_laid_out_for_the_device_that_it_is_loaded_to(table: Any, tmp_path: Path) -> None:
    model = dcgan()
    run = trainer(tmp_path, max_epochs=1)
    run.fit(model, data_for(model, batches=1))
    run.save_checkpoint(tmp_path / "a.ckpt")
    table["dcgan"][kind_of(CPU)] = 0.8  # as on another machine
    loaded = AdversarialModule.load_from_checkpoint(tmp_path / "a.ckpt")
    assert is_channels_last(model)
    assert not is_channels_last(loaded)
    made, there = loaded.sample(4, seed=0), model.sample(4, seed=0)
    # sums of up to 4·8·16 products of float32, in another order
    torch.testing.assert_close(made, there, atol=1e-4, rtol=1e-4)


def test_training_differs_by_rounding_only() -> None:
    trained = []
    for channels_last in (False, True):
        torch.manual_seed(0)
        model = dcgan(channels_last=channels_last)
        trainer(max_epochs=1).fit(model, data_for(model, batches=1))
        trained.append(weights(model))
    # one step of Adam moves a weight by its learning rate, 2e-4, in a direction that a gradient of about 0 may flip
    for name, weight in trained[0].items():
        torch.testing.assert_close(weight, trained[1][name], atol=4.1e-4, rtol=0)
