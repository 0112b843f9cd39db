"""pix2pix: its losses, and dropout and batch norm while images are generated."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_lightning.augmentation import DiffAugment
from gan_lightning.cli.training import main
from gan_lightning.data.batches import PairedBatch, first
from gan_lightning.data.images import write_png
from gan_lightning.inference import Policy
from gan_lightning.models import Pix2Pix
from gan_lightning.networks import PatchGAN, UNetGenerator
from gan_lightning.recording import describe
from tiny import SIZE, batch_for, data_for, images
from toys import equal, trainer


def pix2pix(**how: Any) -> Pix2Pix:
    """Grey to RGB."""
    networks = UNetGenerator(1, 3, image_size=SIZE, width=4), PatchGAN(in_channels=4, width=4, receptive_field=16)
    return Pix2Pix(*networks, **how)


def pix2pix_batch(count: int, seed: int) -> PairedBatch:
    return PairedBatch(images(count, 1, seed), images(count, 3, seed + 1))


def trained(**how: Any) -> Pix2Pix:
    """Return a model whose running averages have changed since its start."""
    torch.manual_seed(0)
    model = pix2pix(**how)
    trainer(max_epochs=5).fit(model, data_for(model, batches=2))
    return model


def buffers(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.named_buffers()}


@pytest.mark.parametrize("lambda_l1", [100.0, 7.0])
def test_both_losses_are_those_of_the_paper(lambda_l1: float) -> None:
    torch.manual_seed(0)
    model = pix2pix() if lambda_l1 == 100 else pix2pix(lambda_l1=lambda_l1)
    model.eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    real_map = model.discriminator(torch.cat([batch.source, batch.target], 1))
    fake_map = model.discriminator(torch.cat([batch.source, fake], 1))
    assert real_map.shape == (4, 1, 6, 6)

    terms = model.discriminator_loss(batch, fake)
    expected = bce(real_map, torch.ones_like(real_map)) + bce(fake_map, torch.zeros_like(fake_map))
    assert terms.keys() == {"adversarial"}
    torch.testing.assert_close(terms["adversarial"], expected)

    terms = model.generator_loss(batch, fake)
    assert terms.keys() == {"adversarial", "l1"}
    torch.testing.assert_close(terms["adversarial"], bce(fake_map, torch.ones_like(fake_map)))
    # a mean over all values, not a sum
    torch.testing.assert_close(terms["l1"], lambda_l1 * (batch.target - fake).abs().sum() / (4 * 3 * 16 * 16))


def test_the_discriminator_sees_the_source_beside_both() -> None:
    model = pix2pix()
    pairs: list[Tensor] = []
    model.discriminator.register_forward_hook(lambda m, args, _: pairs.append(args[0]) if m.training else None)
    data = data_for(model)
    batch = data.batches[0]
    trainer(max_epochs=1).fit(model, data)
    real, fake, fake_again = pairs
    assert torch.equal(real, torch.cat([batch.source, batch.target], 1))
    assert torch.equal(fake[:, :1], batch.source)
    assert torch.equal(fake, fake_again)
    assert not torch.allclose(fake[:, 1:], batch.target)


def test_the_augmentation_treats_source_and_target_alike() -> None:
    class Mirror(nn.Module):
        def forward(self, pair: Tensor) -> Tensor:
            assert pair.shape[1] == 4
            return pair.flip(-1)

    model = pix2pix().eval()
    batch = batch_for(model)
    (plain,) = model.verdict(PairedBatch(*(each.flip(-1) for each in batch)), batch.target.flip(-1)).logits
    model.augmentation = Mirror()
    torch.testing.assert_close(model.verdict(batch, batch.target).logits, [plain])


def test_the_augmentation_changes_the_colours_of_each_image_by_itself() -> None:
    model = pix2pix(augmentation=DiffAugment(translation=False, cutout=False))
    seen: list[Tensor] = []
    model.discriminator.register_forward_hook(lambda m, args, _: seen.append(args[0]))
    batch = batch_for(model)
    for target in (batch.target, -batch.target):
        torch.manual_seed(0)
        model.verdict(batch, target)
    torch.testing.assert_close(seen[0][:, :1], seen[1][:, :1])  # the source's do not depend on the target
    assert not torch.allclose(seen[0][:, :1], batch.source)


def test_dropout_is_the_noise_of_training_and_of_use() -> None:
    model = trained()
    source = images(4, 1, seed=3)
    first_time, second_time = model.translate(source), model.translate(source)
    assert (first_time - second_time).abs().max() > 1e-3
    torch.manual_seed(1)
    first_time = model.translate(source)
    torch.manual_seed(1)
    assert torch.equal(model.translate(source), first_time)


def test_without_dropout_a_translation_is_a_function_of_its_source() -> None:
    model = trained(policy=Policy(batch_norm="instance"))
    source = images(4, 1, seed=3)
    assert torch.equal(model.translate(source), model.translate(source))


@pytest.mark.parametrize("instance", [True, False])
def test_a_picture_does_not_depend_on_those_beside_it(instance: bool) -> None:
    model = trained(policy=Policy(batch_norm="instance" if instance else "running"))
    source = torch.cat([images(3, 1, seed=3), -torch.ones(1, 1, 16, 16)])
    together = model.translate(source)
    alone = torch.cat([model.translate(one[None]) for one in source])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_instance_statistics_are_batch_norm_in_training_on_a_batch_of_one() -> None:
    model = trained(policy=Policy(batch_norm="instance"))
    source = images(4, 1, seed=3)
    before = buffers(model.generator)
    made = model.translate(source)
    assert equal(before, buffers(model.generator))

    for module in model.generator.modules():
        module.train(isinstance(module, nn.BatchNorm2d))
    with torch.no_grad():
        expected = torch.cat([model.generator(one[None]) for one in source])
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-5)


def test_without_instance_statistics_the_running_averages_are_used() -> None:
    model = trained(policy=Policy())
    source = images(4, 1, seed=3)
    made = model.translate(source)
    model.generator.eval()
    with torch.no_grad():
        assert torch.equal(made, model.generator(source))
    model.policy = Policy(batch_norm="instance")
    assert not torch.allclose(made, model.translate(source), atol=1e-3)


def test_a_run_with_other_data_beside_it_previews_what_it_generates() -> None:
    model = trained()
    batch = batch_for(model, count=6, seed=30)
    torch.manual_seed(2)
    shown, columns = model.preview(batch, 4)
    torch.manual_seed(2)
    fakes = model.generate(first(batch, 4))
    rows = shown.unflatten(0, (4, columns))
    assert torch.equal(rows[:, 0], batch.source[:4].expand(-1, 3, -1, -1))
    assert torch.equal(rows[:, 1], fakes)
    assert torch.equal(rows[:, 2], batch.target[:4])


def test_a_preview_shows_rgb_beside_rgba() -> None:
    model = Pix2Pix(UNetGenerator(3, 4, image_size=16, width=4), PatchGAN(7, width=4, receptive_field=16))
    shown, columns = model.preview(PairedBatch(images(2, 3, 0), images(2, 4, 1)), 2)
    assert (len(shown), columns) == (6, 3)


def test_images_need_not_be_square() -> None:
    model = pix2pix()
    batch = PairedBatch(torch.zeros(2, 1, 16, 48), torch.zeros(2, 3, 16, 48))
    model.check_batch(batch)
    assert model.generate(batch).shape == (2, 3, 16, 48)


@pytest.mark.parametrize(
    ("generator", "receptive_field"),
    [
        (["UNetGenerator", "image_size=128"], 70),
        (["UNetGenerator", "image_size=64"], 1),
        (["ResNetGenerator", "blocks=6"], 16),
        (["ResNetGenerator", "blocks=9"], 286),
    ],
)
def test_generators_and_receptive_fields_are_arguments(
    generator: list[str], receptive_field: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "cache"))
    for part, number in itertools.product(("train", "test"), range(2)):
        write_png(torch.randint(0, 256, (3, 128, 256), dtype=torch.uint8), tmp_path / part / f"{number}.png")
    network, size = generator
    cli = main(
        [
            "fit",
            f"--config={Path(__file__).parents[2] / 'configs' / 'pix2pix' / 'facades.yaml'}",
            f"--model.generator=gan_lightning.networks.{network}",
            f"--model.generator.{size}",
            "--model.generator.width=4",
            f"--model.discriminator.receptive_field={receptive_field}",
            "--model.discriminator.width=4",
            *(f"--data.{part}={tmp_path / part}" for part in ("train", "test")),
            "--data.image_size=128",
            "--data.load_size=null",
            "--evaluation.recipe=null",
            "--trainer.fast_dev_run=1",
            "--trainer.accelerator=cpu",
            f"--trainer.default_root_dir={tmp_path / 'run'}",
        ]
    )
    assert type(cli.model.generator).__name__ == network
    assert cli.model.batches_seen == 1
    side = {1: 128, 16: 62, 70: 14, 286: 2}[receptive_field]
    with torch.device("meta"):
        discriminator = PatchGAN(width=4, receptive_field=receptive_field)
        assert discriminator(torch.empty(1, 6, 128, 128)).shape[2:] == (side, side)
    assert describe(cli.model.discriminator)["init_args"]["receptive_field"] == receptive_field
