"""BigGAN: its losses, orthogonality, standing statistics, truncation, and resume with all of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.data.batches import ImageBatch
from gan_lightning.models import BigGAN
from gan_lightning.networks import BigGANDiscriminator, BigGANGenerator
from gan_lightning.regularizers import OrthogonalRegularization
from tiny import CLASSES, SMALL, batch_for, data_for, images
from toys import equal, trainer


def biggan(**how: Any) -> BigGAN:
    sizes = {**SMALL, "num_classes": CLASSES, "attention": [8]}
    networks = BigGANGenerator(latent_dim=6, shared_dim=4, **sizes), BigGANDiscriminator(**sizes)
    return BigGAN(*networks, **{"standing_batches": 2, "standing_batch_size": 6} | how)


def biggan_batch(count: int, seed: int) -> ImageBatch:
    return ImageBatch(images(count, 1, seed), torch.arange(count) % CLASSES)


def statistics(network: nn.Module) -> dict[str, Tensor]:
    return {name: b.clone() for name, b in network.named_buffers() if "running" in name}


def test_both_losses_by_hand() -> None:
    torch.manual_seed(0)
    model = biggan().eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    real_logits, fake_logits = (model.discriminator(images, batch.labels) for images in (batch.images, fake))
    expected = (1 - real_logits).clamp(min=0).mean() + (1 + fake_logits).clamp(min=0).mean()
    torch.testing.assert_close(model.discriminator_loss(batch, fake), {"adversarial": expected})
    torch.testing.assert_close(model.generator_loss(batch, fake), {"adversarial": -fake_logits.mean()})


def test_the_rates_are_the_papers_and_the_generator_is_kept_orthogonal() -> None:
    model = biggan()
    discriminator, generator = model.configure_optimizers()
    assert [o.param_groups[0]["lr"] for o in (discriminator, generator)] == [2e-4, 5e-5]
    assert {o.param_groups[0]["betas"] for o in (discriminator, generator)} == {(0.0, 0.999)}
    assert model.n_critic == 2
    (term,) = model.regularizers
    assert isinstance(term, OrthogonalRegularization)
    assert (term.player, term.weight) == ("generator", 1e-4)
    assert not len(biggan(regularizers=[]).regularizers)


def test_its_term_is_logged_in_the_generators_turn() -> None:
    model = biggan(n_critic=1)
    trainer(max_epochs=1).fit(model, data_for(model, batches=1))
    assert model.records["loss/generator/orthogonal"] > 0
    assert "loss/discriminator/orthogonal" not in model.records


def test_images_are_made_with_standing_statistics_and_training_keeps_its_own() -> None:
    torch.manual_seed(0)
    model = biggan(ema_half_life=20, n_critic=1)
    trainer(max_epochs=2).fit(model, data_for(model, batches=3))
    trained, standing = statistics(model.generator), statistics(model.averaged_generator)
    assert not any(torch.equal(trained[name], standing[name]) for name in trained)
    # by hand: each batch passes with its own statistics, in training mode but for spectral norm
    copy = BigGANGenerator(**model.generator.init_args)
    copy.load_state_dict(model.averaged_generator.state_dict())
    copy.eval()
    for part in copy.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.train()
            part.momentum = None  # the mean over batches
            part.reset_running_stats()
    with torch.no_grad():
        for first in (0, 6):
            copy(model.sampler.latents(range(first, first + 6), seed=0), model.sampler.classes(6, first))
    for name, value in statistics(copy).items():
        torch.testing.assert_close(standing[name], value)


def test_measuring_draws_nothing_and_twice_gives_the_same() -> None:
    model = biggan(ema_half_life=20)
    state = torch.get_rng_state()
    model.prepare()
    assert torch.equal(torch.get_rng_state(), state)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.prepare()
    assert equal(before, dict(model.state_dict()))
    assert not model.averaged_generator.training


@pytest.mark.parametrize("how", [{}, {"ema_half_life": 20, "standing_batches": 0}])
def test_without_an_average_or_batches_nothing_is_measured(how: dict[str, Any]) -> None:
    model = biggan(**how)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.prepare()
    assert equal(before, dict(model.state_dict()))


def test_checkpoints_and_exports_hold_the_statistics(tmp_path: Path) -> None:
    from gan_lightning.export import load_trained, save

    torch.manual_seed(0)
    model = biggan(ema_half_life=20, n_critic=1)
    run = trainer(tmp_path, max_epochs=1)
    run.fit(model, data_for(model, batches=2))
    run.save_checkpoint(tmp_path / "end.ckpt")
    loaded = BigGAN.load_from_checkpoint(tmp_path / "end.ckpt")
    assert equal(statistics(loaded.averaged_generator), statistics(model.averaged_generator))
    assert torch.equal(loaded.sample(4, seed=1, truncation=0.5), model.sample(4, seed=1, truncation=0.5))
    save(loaded.sampler, tmp_path / "export")
    maker = load_trained(tmp_path / "export").maker
    assert torch.equal(maker.sample(4, seed=1), model.sample(4, seed=1))  # type: ignore[union-attr]


def test_a_batch_in_parts_is_one_step_of_each_player() -> None:
    torch.manual_seed(0)
    whole = biggan(n_critic=1, accumulate=2)
    trainer(max_epochs=1).fit(whole, data_for(whole, batches=1))
    assert whole.batches_seen == 1
    assert whole.counters.turns == {"discriminator": 1, "generator": 1}


def test_the_number_of_evaluations_does_not_change_the_training() -> None:
    def run(every: int) -> dict[str, Tensor]:
        torch.manual_seed(0)
        model = biggan(ema_half_life=20, n_critic=2)
        trainer(max_epochs=4, check_val_every_n_epoch=every).fit(model, data_for(model, batches=3))
        model.prepare()
        return dict(model.state_dict())

    assert equal(run(1), run(4))
