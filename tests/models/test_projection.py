"""The projection discriminator: losses given the label, the labels in each turn, and errors."""

from typing import Any

import pytest
import torch
from torch import Tensor

from gan_lightning.data.batches import ImageBatch
from gan_lightning.models import CGAN, ProjectionGAN
from gan_lightning.networks import ConditionalResidualGenerator, DCGANGenerator, SNResidualDiscriminator
from tiny import CLASSES, SMALL, Batches, batch_for, data_for, images
from toys import trainer


def projection(**how: Any) -> ProjectionGAN:
    conditional = {**SMALL, "num_classes": CLASSES}
    networks = ConditionalResidualGenerator(latent_dim=6, **conditional), SNResidualDiscriminator(**conditional)
    return ProjectionGAN(*networks, **how)


def projection_batch(count: int, seed: int) -> ImageBatch:
    return ImageBatch(images(count, 1, seed), torch.arange(count) % CLASSES)


def test_both_losses_by_hand() -> None:
    torch.manual_seed(0)
    model = projection().eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    real_logits, fake_logits = (model.discriminator(images, batch.labels) for images in (batch.images, fake))
    expected = (1 - real_logits).clamp(min=0).mean() + (1 + fake_logits).clamp(min=0).mean()
    torch.testing.assert_close(model.discriminator_loss(batch, fake), {"adversarial": expected})
    torch.testing.assert_close(model.generator_loss(batch, fake), {"adversarial": -fake_logits.mean()})
    other = model.discriminator(fake, (batch.labels + 1) % CLASSES)
    assert (other - fake_logits).abs().max() > 1e-5  # the label is seen


def test_the_discriminator_sees_each_fake_with_the_label_that_made_it() -> None:
    model = projection(n_critic=2)
    given: list[list[int]] = []
    seen: list[list[int]] = []
    model.generator.register_forward_hook(lambda m, args, _: given.append(args[1].tolist()) if m.training else None)
    model.discriminator.register_forward_hook(lambda m, args, _: seen.append(args[1].tolist()) if m.training else None)
    shuffled = [ImageBatch(batch_for(model).images, torch.tensor(y)) for y in ([2, 0, 2, 1], [1, 1, 0, 2])]
    trainer(max_epochs=1).fit(model, Batches(shuffled))
    assert given == [[2, 0, 2, 1], [1, 1, 0, 2], [1, 1, 0, 2]]  # drawn anew for the generator's turn
    assert seen == [[2, 0, 2, 1]] * 2 + [[1, 1, 0, 2]] * 3


def test_a_preview_has_a_class_a_column() -> None:
    model = projection()
    labels: list[Tensor] = []
    model.generator.register_forward_hook(lambda m, args, _: labels.append(args[1]))
    _, columns = model.preview(batch_for(model), 2 * CLASSES)
    assert columns == CLASSES
    assert labels[0].tolist() == [*range(CLASSES)] * 2


def test_its_networks_meet_another_game() -> None:
    sizes = {"num_classes": CLASSES, **SMALL}
    model = CGAN(ConditionalResidualGenerator(latent_dim=6, **sizes), SNResidualDiscriminator(**sizes))
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))
    assert model.sample(2, seed=0).isfinite().all()


def test_networks_without_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="ProjectionGAN needs networks that take labels"):
        ProjectionGAN(DCGANGenerator(6, **SMALL), SNResidualDiscriminator(**SMALL))
    with pytest.raises(ValueError, match=f"generator knows {CLASSES} classes and the discriminator 0"):
        ProjectionGAN(DCGANGenerator(6, **SMALL, num_classes=CLASSES), SNResidualDiscriminator(**SMALL))
