"""SPADE: its losses by hand, styles in training and in use, and running statistics."""

from functools import partial
from typing import Any

import pytest
import torch
from torch.nn.functional import interpolate, relu

from gan_lightning.data.batches import PairedBatch
from gan_lightning.data.images import to_float
from gan_lightning.inference import Choice
from gan_lightning.models import SPADE
from gan_lightning.networks import MultiScale, PatchGAN, SPADEEncoder, SPADEGenerator
from tiny import batch_for, data_for, images
from toys import trainer

CLASSES, STYLE = 3, 4


def spade(style_dim: int = STYLE, **how: Any) -> SPADE:
    """Three classes to RGB, with styles of four components."""
    generator = SPADEGenerator(
        CLASSES, width=2, hidden=4, style_dim=style_dim, image_size=32, encoder=SPADEEncoder(STYLE, 3, 16, 2)
    )
    patch = partial(PatchGAN, CLASSES + 3, width=4, receptive_field=16, norm="instance", padding=2, spectral=True)
    return SPADE(generator, MultiScale(patch, scales=2), **how)


def spade_batch(count: int, seed: int) -> PairedBatch:
    """Pictures of 32x32, and three classes by their brightness."""
    picture = interpolate(images(count, 3, seed), 32, mode="bilinear")
    classes = ((picture.mean(dim=1, keepdim=True) + 1) / 2 * CLASSES).long().clamp(0, CLASSES - 1)
    return PairedBatch(to_float(classes.to(torch.uint8)), picture)


def test_the_losses_are_those_of_the_paper() -> None:
    torch.manual_seed(0)
    model = spade().eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    planes = model.generator.planes(batch.source)
    real_logits, fake_logits = (
        model.discriminator(torch.cat([planes, x], 1)).logits for x in (batch.target, fake.images)
    )
    terms = model.discriminator_loss(batch, fake)
    hinges = [
        relu(1 - real).mean() + relu(1 + made).mean() for real, made in zip(real_logits, fake_logits, strict=True)
    ]
    torch.testing.assert_close(terms["adversarial"], torch.stack(hinges).mean())  # over scales, not halved

    terms = model.generator_loss(batch, fake)
    assert terms.keys() == {"adversarial", "layer_matching", "kl"}
    torch.testing.assert_close(terms["adversarial"], -torch.stack([each.mean() for each in fake_logits]).mean())
    normal = torch.distributions.Normal
    posterior = normal(fake.mean, (fake.log_variance / 2).exp())
    divergence = torch.distributions.kl_divergence(posterior, normal(0.0, 1.0)).sum(dim=1).mean()
    torch.testing.assert_close(terms["kl"], 0.05 * divergence)


def test_in_training_a_style_is_drawn_around_the_mean_of_the_target() -> None:
    torch.manual_seed(0)
    model, styles = spade().eval(), []
    batch = batch_for(model, count=2)
    model.generator.register_forward_hook(lambda _, args, __: styles.append(args[1]))
    for _ in range(100):
        fake = model.draw_fakes(batch)
    drawn = torch.stack(styles)
    torch.testing.assert_close(drawn.mean(0), fake.mean, atol=0.5, rtol=0)
    torch.testing.assert_close(drawn.std(0), (fake.log_variance / 2).exp(), atol=0.4, rtol=0)


def test_in_use_a_style_is_drawn_or_taken_from_an_example() -> None:
    torch.manual_seed(0)
    model, styles = spade(), []
    batch = batch_for(model)
    model.generator.register_forward_hook(lambda _, args, __: styles.append(args[1]))
    by_seed = [model.translate(batch.source, choice=Choice(style_seed=seed)) for seed in (1, 1, 2)]
    assert torch.equal(by_seed[0], by_seed[1])
    assert not torch.equal(styles[0], styles[2])
    assert torch.equal(styles[0][0], styles[0][1])
    model.translate(batch.source, choice=Choice(example=batch.target[:1]))
    model.eval()
    torch.testing.assert_close(styles[-1], model.generator.encoder(batch.target[:1])[0].expand(4, -1))
    model.translate(batch.source)
    assert not torch.equal(styles[-1][0], styles[-1][1])


def test_a_preview_has_two_styles_and_that_of_the_picture() -> None:
    torch.manual_seed(0)
    model = spade()
    batch = batch_for(model)
    shown, columns = model.preview(batch, 2)
    assert torch.equal(shown, model.preview(batch, 2)[0])
    rows = shown.unflatten(0, (2, columns))
    assert columns == 5
    assert not torch.equal(rows[:, 1], rows[:, 2])
    own = model.translate(batch.source[:1], choice=Choice(example=batch.target[:1]))
    torch.testing.assert_close(rows[:1, 3], own)
    assert torch.equal(rows[:, 4], batch.target[:2])


def test_without_styles_there_is_no_encoder_and_no_divergence() -> None:
    model = spade(style_dim=0)
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    assert fake.mean is None
    assert "kl" not in model.generator_loss(batch, fake)
    assert not hasattr(model.generator, "encoder")
    assert not model.translator.has_choice
    assert torch.equal(model.translate(batch.source), model.translate(batch.source))


def test_in_use_batch_norm_has_its_running_statistics() -> None:
    torch.manual_seed(0)
    model = spade(style_dim=0)
    trainer(max_epochs=2).fit(model, data_for(model, batches=2))
    source = batch_for(model).source
    torch.testing.assert_close(model.translate(source)[:1], model.translate(source[:1]))


def test_learning_rates_are_those_of_two_time_scales() -> None:
    discriminator, generator = spade().configure_optimizers()
    assert (discriminator.param_groups[0]["lr"], generator.param_groups[0]["lr"]) == (4e-4, 1e-4)
    assert discriminator.param_groups[0]["betas"] == generator.param_groups[0]["betas"] == (0.0, 0.9)


@pytest.mark.parametrize("size", [(32, 64), (64, 32)])
def test_images_need_not_be_square(size: tuple[int, int]) -> None:
    model = spade()
    batch = PairedBatch(torch.full((2, 1, *size), -1.0), torch.zeros(2, 3, *size))
    model.check_batch(batch)
    assert model.generate(batch).shape == (2, 3, *size)
