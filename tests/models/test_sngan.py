"""SN-GAN: the hinge, five turns to one, and singular vectors that survive a resume and agree on all processes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm

from gan_lightning.models import DCGAN, SNGAN
from gan_lightning.networks import DCGANGenerator, SNDCGANDiscriminator, SNResidualDiscriminator
from gan_lightning.training.adversarial import AdversarialModule
from tiny import SMALL, batch_for, data_for
from toys import equal, trainer


def sngan(**how: Any) -> SNGAN:
    return SNGAN(DCGANGenerator(6, **SMALL), SNDCGANDiscriminator(**SMALL), **how)


TESTS = Path(__file__).parent.parent


def norms(model: nn.Module) -> list[_SpectralNorm]:
    return [m for m in model.modules() if isinstance(m, _SpectralNorm)]


def vectors(model: nn.Module) -> dict[str, Tensor]:
    """The singular vectors of all layers."""
    return {name: b.clone() for name, b in model.named_buffers() if name.endswith(("_u", "_v"))}


def test_both_losses_by_hand_and_only_the_discriminator_is_hinged() -> None:
    torch.manual_seed(0)
    model = sngan().eval()
    batch = batch_for(model)
    with torch.no_grad():
        model.discriminator.head.bias.fill_(1.5)  # past the margin for real images
    fake = model.draw_fakes(batch)
    real_logits, fake_logits = model.discriminator(batch.images), model.discriminator(fake)
    assert real_logits.min() > 1
    torch.testing.assert_close(model.discriminator_loss(batch, fake), {"adversarial": (1 + fake_logits).mean()})
    torch.testing.assert_close(model.generator_loss(batch, fake), {"adversarial": -fake_logits.mean()})


def test_five_turns_to_one_each_with_latents_of_its_own() -> None:
    model = sngan()
    drawn: list[tuple[Tensor, bool]] = []
    model.generator.register_forward_hook(
        lambda m, args, out: drawn.append((args[0], out.requires_grad)) if m.training else None
    )
    trainer(max_epochs=1).fit(model, data_for(model, batches=5))
    assert [graph for _, graph in drawn] == [*[False] * 5, True]
    assert len({z.sum().item() for z, _ in drawn}) == 6


def test_singular_vectors_move_once_a_pass_of_training_the_generators_too_and_in_no_other_use() -> None:
    model = sngan(n_critic=1)
    passes: list[bool] = []
    for norm in norms(model):
        norm.register_forward_hook(lambda m, *_: passes.append(m.training))
    data, before = data_for(model, batches=1), vectors(model)
    trainer().validate(model, data, verbose=False)
    model.generate(batch_for(model))
    assert equal(before, vectors(model))
    assert not any(passes)
    passes.clear()
    trainer(max_epochs=1).fit(model, data)
    # real images, fakes, and fakes in the generator's turn; the check of the first batch is in evaluation mode
    assert passes.count(True) == 3 * len(norms(model))
    assert not equal(before, vectors(model))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_resumed_run_ends_with_the_same_weights_and_singular_vectors(precision: Any, tmp_path: Path) -> None:
    def run(epochs: int, **how: Any) -> AdversarialModule:
        torch.manual_seed(len(how))  # what a resumed run draws must come from the checkpoint
        model = sngan(n_critic=2, ema_half_life=20)
        fit = trainer(tmp_path, max_epochs=epochs, precision=precision)
        fit.fit(model, data_for(model, batches=3), weights_only=True, **how)
        fit.save_checkpoint(tmp_path / "end.ckpt")
        return model

    whole = run(4)
    half = run(2)
    resumed = run(4, ckpt_path=tmp_path / "end.ckpt")
    assert len(vectors(whole.discriminator)) == 2 * len(norms(whole)) > 0
    assert equal(dict(whole.state_dict()), dict(resumed.state_dict()))
    assert not equal(vectors(half), vectors(resumed))

    loaded = AdversarialModule.load_from_checkpoint(tmp_path / "end.ckpt")
    assert equal(dict(loaded.state_dict()), dict(resumed.state_dict()))
    images = batch_for(loaded).images
    assert torch.equal(loaded.eval().discriminator(images), resumed.eval().discriminator(images))


def test_the_residual_discriminator_meets_any_generator_and_loss() -> None:
    for model in (SNGAN, DCGAN):
        built = model(DCGANGenerator(6, **SMALL), SNResidualDiscriminator(**SMALL), channels_last=True)
        trainer(max_epochs=1).fit(built, data_for(built, batches=5))
        assert built.sample(2, seed=0).isfinite().all()


def test_processes_end_with_equal_weights_and_singular_vectors(tmp_path: Path) -> None:
    script = tmp_path / "fit.py"
    script.write_text(
        "import sys, torch, lightning\n"
        "import gan_lightning.training.strategies\n"
        "from models.test_sngan import sngan\n"
        "from tiny import data_for\n"
        "from toys import trainer\n"
        "torch.set_num_threads(1)\n"
        "lightning.seed_everything(0)\n"
        "model = sngan(n_critic=2)\n"
        "run = trainer(sys.argv[1], devices=2, strategy='adversarial_ddp', max_epochs=2, limit_val_batches=0)\n"
        "run.fit(model, data_for(model, batches=3))\n"
        "torch.save(model.discriminator.state_dict(), f'{sys.argv[1]}/{run.global_rank}.pt')\n"
    )
    places = os.pathsep.join(str(path) for path in (TESTS.parent, TESTS, TESTS / "models"))
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not done.returncode, done.stderr
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert any(name.endswith("_u") for name in first)
    assert equal(first, second)
