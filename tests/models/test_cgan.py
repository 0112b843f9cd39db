"""cGAN: the same label to both networks, a class a column, and sentences about labels."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_lightning.data.batches import ImageBatch
from gan_lightning.draws import ImageDraws
from gan_lightning.models import CGAN
from gan_lightning.networks import (
    ConditionalMLPDiscriminator,
    ConditionalMLPGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
)
from tiny import CLASSES, SMALL, Batches, batch_for, data_for, images
from toys import equal, trainer, weights


def cgan(**how: Any) -> CGAN:
    conditional = {**SMALL, "num_classes": CLASSES}
    return CGAN(DCGANGenerator(6, **conditional), DCGANDiscriminator(**conditional), **how)


def cgan_batch(count: int, seed: int) -> ImageBatch:
    return ImageBatch(images(count, 1, seed), torch.arange(count) % CLASSES)


def test_both_losses_are_cross_entropies_given_the_label() -> None:
    torch.manual_seed(0)
    model = cgan().eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    real_logits, fake_logits = (model.discriminator(images, batch.labels) for images in (batch.images, fake))
    expected = bce(real_logits, torch.ones(4)) + bce(fake_logits, torch.zeros(4))
    torch.testing.assert_close(model.discriminator_loss(batch, fake)["adversarial"], expected)
    torch.testing.assert_close(model.generator_loss(batch, fake)["adversarial"], bce(fake_logits, torch.ones(4)))

    other = model.discriminator(fake, (batch.labels + 1) % CLASSES)
    assert (other - fake_logits).abs().max() > 1e-5  # the label is seen


def test_the_discriminator_sees_each_fake_with_the_label_that_made_it() -> None:
    model = cgan()
    given: list[Tensor] = []
    seen: list[Tensor] = []
    model.generator.register_forward_hook(lambda m, args, _: given.append(args[1]) if m.training else None)
    model.discriminator.register_forward_hook(lambda m, args, _: seen.append(args[1]) if m.training else None)
    shuffled = ImageBatch(batch_for(model).images, torch.tensor([2, 0, 2, 1]))
    trainer(max_epochs=1).fit(model, Batches([shuffled]))
    assert [labels.tolist() for labels in given] == [[2, 0, 2, 1]]
    assert [labels.tolist() for labels in seen] == [[2, 0, 2, 1]] * 3  # real, fake; and fake in the generator's turn


def test_the_papers_own_networks_train() -> None:
    sizes: dict[str, Any] = {"image_size": 16, "joint_units": 16, "label_units": 8}
    generator = ConditionalMLPGenerator(CLASSES, 6, latent_units=8, **sizes)
    model = CGAN(generator, ConditionalMLPDiscriminator(CLASSES, image_units=16, **sizes))
    before = weights(model)
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))
    assert not equal(before, weights(model))
    assert model.sample(4, seed=0).shape == (4, 1, 16, 16)


def test_a_preview_has_a_class_a_column_in_order() -> None:
    model = cgan()
    labels: list[Tensor] = []
    model.generator.register_forward_hook(lambda m, args, _: labels.append(args[1]))
    shown, columns = model.preview(batch_for(model), 3 * CLASSES)
    assert columns == CLASSES
    assert labels[0].view(3, columns).tolist() == [list(range(CLASSES))] * 3
    with ImageDraws(0, range(3 * CLASSES)):
        z = model.latents(3 * CLASSES)
    model.eval()
    torch.testing.assert_close(shown[1::columns], model.generator(z[1::columns], torch.ones(3, dtype=torch.int64)))


def test_ten_digits_are_the_columns_of_the_default() -> None:
    model = CGAN()
    labels: list[Tensor] = []
    model.generator.register_forward_hook(lambda m, args, _: labels.append(args[1]))
    _, columns = model.preview(ImageBatch(torch.zeros(2, 1, 32, 32)), 20)
    assert columns == 10
    assert labels[0].tolist() == [*range(10)] * 2


def test_samples_are_of_the_wanted_class() -> None:
    model = cgan().eval()
    wanted = torch.tensor([2, 2, 0])
    with ImageDraws(4, range(3)):
        z = model.latents(3)
    torch.testing.assert_close(model.sample(3, labels=wanted, seed=4), model.generator(z, wanted))
    assert not torch.equal(
        model.sample(3, labels=wanted, seed=4), model.sample(3, labels=torch.tensor([1, 1, 1]), seed=4)
    )


def test_images_stand_against_the_labels_of_the_reference_batch() -> None:
    model = cgan()
    seen: list[Tensor] = []
    model.generator.register_forward_hook(lambda m, args, _: seen.append(args[1]))
    batch = ImageBatch(batch_for(model).images, torch.tensor([1, 1, 2, 0]))
    model.generate(batch)
    assert seen[0].tolist() == [1, 1, 2, 0]


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (None, "CGAN needs a class label for each image, but the data serve none: choose labelled data"),
        (torch.zeros(2, 40), r"serve attributes of shape \(40,\)"),
        (torch.tensor([0, 3]), "labels from 0 to 3, but the networks know the classes 0 to 2: set num_classes"),
        (torch.tensor([-1, 2]), "labels from -1 to 2"),
        (torch.tensor([0.0, 1.0]), "labels must be class indices, int64"),
    ],
)
def test_labels_that_do_not_fit_are_refused_before_the_first_step(labels: Tensor | None, match: str) -> None:
    model = cgan()
    before = weights(model)
    with pytest.raises(ValueError, match=match):
        trainer(max_epochs=1).fit(model, Batches([ImageBatch(torch.zeros(2, 1, 16, 16), labels)]))
    assert equal(before, weights(model))
    assert model.batches_seen == 0


def test_a_generator_without_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="CGAN needs networks that take labels"):
        CGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL))


@pytest.mark.parametrize("num_classes", [0, CLASSES - 1, CLASSES + 1])
def test_a_discriminator_of_other_classes_is_refused(num_classes: int) -> None:
    discriminator = DCGANDiscriminator(**SMALL, num_classes=num_classes)
    with pytest.raises(ValueError, match=f"generator knows {CLASSES} classes and the discriminator {num_classes}"):
        CGAN(DCGANGenerator(6, **SMALL, num_classes=CLASSES), discriminator)
