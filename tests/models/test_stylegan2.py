"""StyleGAN2: its lazy steps, the optimizers that they correct, and the settings that it chooses."""

from typing import Any

import pytest
import torch
from torch import Tensor

from gan_lightning.data.batches import ImageBatch
from gan_lightning.losses import Hinge
from gan_lightning.models import StyleGAN2
from gan_lightning.networks import StyleGAN2Discriminator, StyleGAN2Generator
from gan_lightning.regularizers import R1, PathLength
from tiny import CLASSES, SIZE, Batches, batch_for, data_for, images
from toys import trainer, weights

TINY: dict[str, Any] = {"image_size": SIZE, "channels": 1, "channel_base": 64, "channel_max": 8}


def stylegan2(num_classes: int = 0, **how: Any) -> StyleGAN2:
    classes = {"num_classes": num_classes, "mapping_layers": 2}
    return StyleGAN2(
        StyleGAN2Generator(6, 6, **TINY, **classes), StyleGAN2Discriminator(**TINY, **classes, group_size=2), **how
    )


class Steps(StyleGAN2):
    """Notes each optimizer step: its player, and the names of its terms."""

    def _step(self, player: Any, losses: Any, factor: float = 1.0) -> Any:
        parts = super()._step(player, losses, factor)
        vars(self).setdefault("taken", []).append((self.batches_seen, player, *parts[0], factor))
        return parts


def test_lazy_terms_have_steps_of_their_own() -> None:
    model = Steps(
        StyleGAN2Generator(6, 6, **TINY), StyleGAN2Discriminator(**TINY), r1_every=3, path_length_every=2, gamma=1.0
    )
    trainer(max_epochs=1).fit(model, data_for(model, batches=4))
    plain = [("discriminator", "adversarial", 1.0), ("generator", "adversarial", 1.0)]
    r1, path = ("discriminator", "r1", 3), ("generator", "path_length", 2)
    expected = [[plain[0], r1, plain[1], path], plain, [plain[0], plain[1], path], [plain[0], r1, plain[1]]]
    assert model.taken == [(batch, *step) for batch, steps in enumerate(expected) for step in steps]  # type: ignore[operator]
    assert model.trainer.global_step == model.batches_seen == 4
    assert model.counters.turns == {"discriminator": 4, "generator": 4}
    assert {"loss/discriminator/r1", "loss/generator/path_length", "loss/generator"} <= model.records.keys()


def test_the_optimizers_are_corrected_for_the_further_steps() -> None:
    model = stylegan2()
    run = trainer(max_epochs=1)
    run.fit(model, data_for(model))
    settings = [(group["lr"], group["betas"]) for each in run.optimizers for group in each.param_groups]
    found = [number for lr, betas in settings for number in (lr, *betas)]
    assert found == pytest.approx([2e-3 * 16 / 17, 0, 0.99 ** (16 / 17), 2e-3 * 4 / 5, 0, 0.99 ** (4 / 5)])


def test_without_regularisation_the_optimizers_are_as_given() -> None:
    model = stylegan2(gamma=0, path_length=0)
    run = trainer(max_epochs=1)
    run.fit(model, data_for(model))
    assert not model.regularizers
    assert [each.param_groups[0]["lr"] for each in run.optimizers] == [2e-3, 2e-3]


def test_any_adversarial_loss_and_classes() -> None:
    model = stylegan2(num_classes=CLASSES, loss=Hinge(), r1_every=1, path_length_every=1, accumulate=2)
    data = [ImageBatch(images(4, 1, seed), torch.tensor([0, 1, 2, 0])) for seed in range(2)]
    before = weights(model)
    trainer(max_epochs=1).fit(model, Batches(data))
    unmoved = {name for name, value in weights(model).items() if torch.equal(value, before[name])}
    assert unmoved <= {"discriminator.head.bias"}  # the hinge of reals and that of fakes cancel in it
    assert model.sample(5).shape == (5, 1, SIZE, SIZE)
    other = model.sampler
    z = other.draw(2)
    assert not torch.equal(other.map(z, torch.tensor([0, 0])), other.map(z, torch.tensor([1, 1])))


def test_it_chooses_as_the_authors_do_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    from datamodules import Digits

    generator = StyleGAN2Generator(6, 5, 32, 1, 64, 8)
    model = StyleGAN2(generator, StyleGAN2Discriminator(32, 1, 64, 8))
    run = trainer(max_epochs=1, limit_train_batches=1, limit_val_batches=0)
    with caplog.at_level("INFO"):
        run.fit(model, Digits(32, batch_size=None))
    r1 = model.regularizers[0]
    assert isinstance(r1, R1)
    assert r1.gamma == pytest.approx(0.0002 * 32 * 32 / 32)
    assert model.average is not None
    assert model.average.half_life == 10_000
    said = "StyleGAN2 chose for images of 32x32: data.batch_size 32, model.gamma 0.0064, model.ema_half_life 10,000"
    assert said in caplog.text
    assert "networks of 8 · 8 · 4 · 2 channels" in caplog.text


@pytest.mark.parametrize(
    ("side", "processes", "size"), [(64, 1, 32), (256, 1, 16), (1024, 1, 4), (1024, 8, 32), (128, 8, 64), (8192, 1, 1)]
)
def test_the_batch_sizes_of_the_authors_code(side: int, processes: int, size: int) -> None:
    assert stylegan2().advised_batch_size(side, side // 2, processes) == size


def test_given_settings_are_kept() -> None:
    model = stylegan2(gamma=3.0, ema_half_life=50)
    trainer(max_epochs=1).fit(model, data_for(model))
    r1 = model.regularizers[0]
    assert isinstance(r1, R1)
    assert (r1.gamma, model.average.half_life) == (3.0, 50)  # type: ignore[union-attr]


def test_a_stopped_run_resumes_bit_by_bit(tmp_path: Any) -> None:
    def fit(model: StyleGAN2, epochs: int, **how: Any) -> dict[str, Tensor]:
        torch.manual_seed(7)
        run = trainer(tmp_path, max_epochs=epochs)
        run.fit(model, data_for(model, batches=3), **how)
        run.save_checkpoint(tmp_path / f"{epochs}.ckpt")
        return {name: value.clone() for name, value in model.state_dict().items()}

    torch.manual_seed(0)
    start = stylegan2(gamma=1.0).state_dict()
    models = [stylegan2(gamma=1.0) for _ in range(3)]
    for each in models:
        each.load_state_dict(start)
    whole = fit(models[0], 2)
    fit(models[1], 1)
    resumed = fit(models[2], 2, ckpt_path=tmp_path / "1.ckpt")
    assert whole.keys() == resumed.keys()
    assert "regularizers.1.mean" in whole
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_path_lengths_use_half_a_batch() -> None:
    model = stylegan2()
    batch = batch_for(model, 8)
    path = model.regularizers[1]
    assert isinstance(path, PathLength)
    seen: list[int] = []
    original = path.lengths
    path.lengths = lambda *given: seen.append(given[-1]) or original(*given)  # type: ignore[method-assign, assignment, func-returns-value]
    path.terms(model, batch)
    assert seen == [4]
