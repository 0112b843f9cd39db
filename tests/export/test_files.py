"""Exported models: the same images come back, and a stranger's file runs nothing."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import gan_lightning
from every_model import KINDS, builder_of
from gan_lightning.data.growth import Growth
from gan_lightning.export import save
from gan_lightning.export.files import Maker, read
from gan_lightning.inference import LatentSampler, NormalPrior, Translator, UniformPrior
from gan_lightning.networks import DCGANGenerator
from gan_lightning.recording import path_of
from gan_lightning.weights import CONFIG, WEIGHTS
from growing import GROWTH, GrowingGenerator
from tiny import SMALL
from toys import ToyGenerator

GENERATOR = {"class_path": "gan_lightning.networks.dcgan.DCGANGenerator", "init_args": {"latent_dim": 6, **SMALL}}


def makes(maker: Maker) -> list[Tensor]:
    """Images of each way in which a sampler or translator makes them, with the same random numbers each time."""
    if not isinstance(maker, Translator):
        return [maker.sample(3, seed=1)]
    made = []
    for direction in maker.directions:
        network: Any = maker.network(direction)
        torch.manual_seed(0)
        side = max(16, network.minimum, network.multiple)
        made.append(maker.translate(torch.rand(2, network.in_channels, side, side) * 2 - 1, direction))
    return made


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_a_model_makes_comes_back(kind: type, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = builder_of(kind)()
    maker = model.sampler or model.translator
    if maker is None:
        assert kind.__name__ in ("DANN", "ControllableInvariance")  # they classify
        return
    torch.nn.init.normal_(next(model.averaged_generator.parameters()))
    for name, value in model.averaged_generator.state_dict().items():
        if "running" in name:  # as training changes them
            value.uniform_(0.5, 1.5)
    save(maker, tmp_path / "out", path_of(kind), images_seen=7)
    back = read(tmp_path / "out")
    assert (back.name, back.images_seen) == (kind.__name__, 7)
    assert all(map(torch.equal, makes(maker), makes(back.maker)))


def test_prior_clamp_and_growth_come_back(tmp_path: Path) -> None:
    network = GrowingGenerator(Growth(**GROWTH))
    network.level, network.alpha = 1, 0.5
    save(LatentSampler(network, UniformPrior(0.5), clamp=True), tmp_path / "out")
    back = gan_lightning.load(tmp_path / "out", trusted="growing")
    assert (back.prior.bound, back.clamp) == (0.5, True)
    assert (back.network.level, back.network.alpha) == (1, 0.5)
    assert not back.network.training


def test_loading_needs_neither_lightning_nor_the_compiler(tmp_path: Path) -> None:
    save(LatentSampler(DCGANGenerator(6, **SMALL)), tmp_path / "out")
    program = """
import sys, gan_lightning
print("torch" in sys.modules)
print(*gan_lightning.load(sys.argv[1]).sample(2, seed=0).shape)
print([name for name in ("lightning", "torchvision", "torch._dynamo", "torchmetrics") if name in sys.modules])
"""
    arguments = [sys.executable, "-c", program, str(tmp_path / "out")]
    said = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=120).stdout
    assert said.splitlines() == ["False", "2 1 16 16", "[]"]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return save(LatentSampler(DCGANGenerator(6, **SMALL)), tmp_path / "model")


def described(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Return what changes the description of an exported model."""

    def changed(folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text())
        change(config)
        (folder / CONFIG).write_text(json.dumps(config))

    return changed


def made_by(**parts: Any) -> Callable[[Path], None]:
    return described(lambda config: config["made_by"]["init_args"].update(parts))


def other_weights(weights: dict[str, Tensor]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        import hashlib

        save_file(weights, folder / WEIGHTS)
        digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
        described(lambda config: config.update(sha256=digest))(folder)

    return changed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: (f / CONFIG).write_text("{"), "is not JSON"),
        (lambda f: (f / CONFIG).write_text("[" * 100_000), "is not JSON"),
        (lambda f: (f / CONFIG).write_text("[]"), "does not describe an exported model"),
        (lambda f: (f / CONFIG).write_text(" " * 2**20 + "{}"), "larger than the description of any model"),
        (lambda f: (f / WEIGHTS).write_bytes(b"1234567890"), "is damaged"),
        (lambda f: (f / WEIGHTS).unlink(), "is neither a run's folder with a checkpoint nor an export"),
        (lambda f: (f / CONFIG).unlink(), "there is no .*config.json, a part of an exported model"),
        (described(lambda c: c.update(format=2)), "of format 2, .* install a newer one"),
        (described(lambda c: c.update(images_seen="many")), "key 'images_seen'"),
        (described(lambda c: c.update(made_by={"class_path": "os.system", "init_args": {}})), "outside the trusted"),
        (described(lambda c: c.update(made_by=GENERATOR)), "a DCGANGenerator, which makes no images"),
        (made_by(network={"class_path": "subprocess.Popen", "init_args": {"args": "true"}}), "outside the trusted"),
        (made_by(network={"class_path": "torch.nn.modules.gone.Gone"}), "not a class of the installed version"),
        (made_by(network=3), "does not describe how its model is built"),
        (made_by(network=GENERATOR | {"init_args": {"latent_dim": 10**9}}), "larger than its weights"),
        (made_by(network=GENERATOR | {"init_args": {"latent_dim": 5, **SMALL}}), "weights of other networks"),
        (made_by(another=3), "does not describe how its model is built"),
        (other_weights({}), "weights of other networks"),
        (other_weights({"generator.net.0.weight": torch.zeros(1)}), "weights of other networks"),
    ],
)
def test_a_file_that_no_export_wrote_is_refused_in_one_sentence(
    change: Callable[[Path], None], reason: str, written: Path
) -> None:
    change(written)
    with pytest.raises((ValueError, PermissionError, FileNotFoundError), match=reason) as raised:
        gan_lightning.load(written)
    assert str(written) in str(raised.value)


def test_what_cannot_be_described_is_refused(tmp_path: Path) -> None:
    class Own(nn.Sequential):
        latent_dim = 2

    with pytest.raises(ValueError, match=r"Own does not record how it was built"):
        save(LatentSampler(Own(nn.Linear(2, 2))), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    save(LatentSampler(ToyGenerator(), NormalPrior()), tmp_path / "toy")
    with pytest.raises(PermissionError, match=r"toys\.ToyGenerator.*outside the trusted"):
        gan_lightning.load(tmp_path / "toy")
    assert gan_lightning.load(tmp_path / "toy", trusted=["toys"]).sample(1).shape == (1, 1, 4, 4)


def test_an_export_replaces_nothing(written: Path) -> None:
    before = (written / WEIGHTS).read_bytes()
    with pytest.raises(FileExistsError, match=r"there is already .*model"):
        save(LatentSampler(ToyGenerator()), written)
    assert (written / WEIGHTS).read_bytes() == before
