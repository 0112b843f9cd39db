"""AC-GAN: cross-entropies on real and on fake images, the discriminator's classifier, and errors."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import cross_entropy
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.losses import Hinge
from gan_lightning.models import ACGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, SNResidualDiscriminator
from gan_lightning.training.adversarial import AdversarialModule
from tiny import CLASSES, SMALL, batch_for, data_for, images
from toys import equal, trainer, weights


def acgan(**how: Any) -> ACGAN:
    return ACGAN(DCGANGenerator(6, **SMALL, num_classes=CLASSES), DCGANDiscriminator(**SMALL), **how)


def acgan_batch(count: int, seed: int) -> ImageBatch:
    return ImageBatch(images(count, 1, seed), torch.arange(count) % CLASSES)


def generator() -> DCGANGenerator:
    return DCGANGenerator(6, **SMALL, num_classes=CLASSES)


@pytest.mark.parametrize("weight", [1.0, 0.1])
def test_all_terms_by_hand(weight: float) -> None:
    torch.manual_seed(0)
    model = acgan(lambda_class=weight).eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    features = [model.discriminator.judge.features(images) for images in (batch.images, fake)]
    real_logits, fake_logits = (model.discriminator.judge.head(f).flatten() for f in features)
    real_classes, fake_classes = (model.discriminator.classifier(f) for f in features)
    assert torch.equal(model.discriminate(fake).logits[0], fake_logits)
    torch.testing.assert_close(
        model.discriminator_loss(batch, fake),
        {
            "adversarial": bce(real_logits, torch.ones(4)) + bce(fake_logits, torch.zeros(4)),
            "class_real": weight * cross_entropy(real_classes, batch.labels),
            "class_fake": weight * cross_entropy(fake_classes, batch.labels),
        },
    )
    torch.testing.assert_close(
        model.generator_loss(batch, fake),
        {
            "adversarial": bce(fake_logits, torch.ones(4)),
            "class": weight * cross_entropy(fake_classes, batch.labels),
        },
    )


def test_the_classifier_learns_in_the_discriminators_turn_from_one_pass_an_image() -> None:
    model = acgan(discriminator_optimizer=partial(Adam, lr=1e-2))
    (optimizer, _) = model.configure_optimizers()
    learned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert {id(p) for p in model.discriminator.classifier.parameters()} <= learned
    passes: list[bool] = []
    curve: list[float] = []
    first = next(m for m in model.discriminator.modules() if isinstance(m, nn.Conv2d))
    first.register_forward_hook(lambda m, *_: passes.append(True) if m.training else None)
    finish = model.finish_step
    model.finish_step = lambda *a, **k: (
        curve.append(float(model._terms["loss/discriminator/class_real"])),
        finish(*a, **k),
    )  # type: ignore[method-assign]
    trainer(max_epochs=20).fit(model, data_for(model))
    assert len(passes) == 20 * 3  # real, fake; and fake in the generator's turn
    assert curve[-1] < 0.3 * curve[0]


def test_the_augmentation_stands_in_front_of_both_answers() -> None:
    class Black(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(images)

    model = acgan(augmentation=Black()).eval()
    (logits,), _, classes = model.discriminate(batch_for(model).images)
    assert (logits == logits[0]).all()
    assert (classes == classes[0]).all()


@pytest.mark.parametrize(
    "discriminator",
    [
        DCGANDiscriminator(**SMALL),
        SNResidualDiscriminator(**SMALL),
        MLPDiscriminator(image_size=16, channels=1, hidden=[8]),
    ],
)
def test_any_discriminator_with_features_and_any_loss(discriminator: Any) -> None:
    model = ACGAN(generator(), discriminator, Hinge(), n_critic=2, channels_last=True)
    before = weights(model)
    trainer(max_epochs=1, precision="bf16-mixed").fit(model, data_for(model, batches=4))
    assert not equal(before, weights(model))
    assert model.sample(3, seed=0).isfinite().all()


def test_a_checkpoint_brings_the_classifier(tmp_path: Path) -> None:
    model = acgan()
    run = trainer(tmp_path, max_epochs=1)
    run.fit(model, data_for(model, batches=2))
    run.save_checkpoint(tmp_path / "model.ckpt")
    loaded = AdversarialModule.load_from_checkpoint(tmp_path / "model.ckpt")
    assert type(loaded) is ACGAN
    assert equal(dict(loaded.state_dict()), dict(model.state_dict()))


@pytest.mark.parametrize(
    "networks",
    [
        (DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL)),
        (generator(), DCGANDiscriminator(**SMALL, num_classes=CLASSES)),
        (generator(), nn.Sequential(nn.Flatten(), nn.Linear(256, 1), nn.Flatten(0))),
    ],
)
def test_networks_that_do_not_make_the_game_are_refused(networks: Any) -> None:
    with pytest.raises(ValueError, match=r"ACGAN needs a generator that takes labels .* discriminator that does not"):
        ACGAN(*networks)
