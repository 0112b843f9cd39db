"""Semi-supervised AAE: its terms, labels that are few, accuracy, latents, mistakes."""

from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.optim import SGD

from gan_lightning.augmentation import DiffAugment
from gan_lightning.data.batches import ImageBatch
from gan_lightning.models import SemiSupervisedAAE
from gan_lightning.networks import AAEDecoder, AAEEncoder, CodeDiscriminator
from tiny import CLASSES, SIZE, Batches, batch_for, data_for, images
from toys import equal, trainer, weights

HOW: dict[str, Any] = {"image_size": SIZE, "hidden": (32,)}
STYLES = 4


def semi_supervised_aae(**how: Any) -> SemiSupervisedAAE:
    length = STYLES + CLASSES
    judges = [CodeDiscriminator(count, hidden=(128, 128)) for count in (STYLES, CLASSES)]
    networks = AAEDecoder(length, **HOW), AAEEncoder(length, **HOW), *judges
    return SemiSupervisedAAE(*networks, classes=CLASSES, **how)


def semi_supervised_aae_batch(count: int = 4, seed: int = 0) -> ImageBatch:
    """Every second image is labelled."""
    labels = torch.arange(count) % CLASSES
    return ImageBatch(images(count, 1, seed), torch.where(torch.arange(count) % 2 == 0, -1, labels))


def test_the_terms_by_hand() -> None:
    torch.manual_seed(0)
    model = semi_supervised_aae(lambda_adversarial=3.0, lambda_class=2.0)
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    codes = model.encoder(batch.images)
    shares = codes[:, STYLES:].softmax(1)
    decoded = model.generator(torch.cat([codes[:, :STYLES], shares], 1))
    torch.testing.assert_close(fake.reconstructed, decoded)
    torch.manual_seed(1)
    terms = model.discriminator_loss(batch, fake)
    torch.manual_seed(1)
    z = model.latents(4)
    assert torch.equal(z[:, STYLES:].sort(1).values, F.one_hot(torch.full((4,), CLASSES - 1), CLASSES).float())
    judged = {
        kind: (model.discriminator[kind](real), model.discriminator[kind](made))
        for kind, real, made in (("style", z[:, :STYLES], codes[:, :STYLES]), ("class", z[:, STYLES:], shares))
    }
    for kind, (real, made) in judged.items():
        torch.testing.assert_close(terms[kind], bce(real, torch.ones(4)) + bce(made, torch.zeros(4)))
    model.playing = "generator"
    terms = model.generator_loss(batch, fake)
    torch.testing.assert_close(terms["reconstruction"], (batch.images - decoded).square().sum() / 8 / 4)
    for kind, (_, made) in judged.items():
        torch.testing.assert_close(terms[f"adversarial_{kind}"], 3 * bce(made, torch.ones(4)))
    torch.testing.assert_close(terms["class"], 2 * F.cross_entropy(codes[1::2, STYLES:], batch.labels[1::2]))


def test_classes_learn_from_labelled_images_alone() -> None:
    sgd = {f"{player}_optimizer": partial(SGD, lr=0.1) for player in ("generator", "discriminator")}

    def trained(labels: list[int]) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = semi_supervised_aae(**sgd)
        trainer(max_epochs=1).fit(model, Batches([ImageBatch(images(4, 1, 0), torch.tensor(labels))]))
        return weights(model.encoder)

    assert not equal(trained([-1, 1, -1, 0]), trained([-1, 1, -1, 2]))


def test_accuracy_of_the_reference_and_pictures() -> None:
    model = semi_supervised_aae(ema_half_life=10)
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))
    pictures = images(7, 1, 5)
    labels = model.classify(pictures).argmax(1)
    labels[:2] = (labels[:2] + 1) % CLASSES
    parts = [ImageBatch(pictures[:5], labels[:5]), ImageBatch(pictures[5:], labels[5:])]
    (values,) = trainer().validate(model, Batches(parts), verbose=False)
    assert values["val/accuracy"] == pytest.approx(5 / 7)
    shown, columns = model.preview(batch_for(model), 4)
    assert columns == 3
    assert torch.equal(shown[1::3], model.reconstruct(batch_for(model).images))


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="none is left for the style"):
        SemiSupervisedAAE(AAEDecoder(3, **HOW), classes=3)
    length = STYLES + CLASSES
    with pytest.raises(ValueError, match=f"class_discriminator states 5: set its latent_dim to {CLASSES}"):
        SemiSupervisedAAE(
            AAEDecoder(length, **HOW),
            AAEEncoder(length, **HOW),
            class_discriminator=CodeDiscriminator(5),
            classes=CLASSES,
        )
    with pytest.raises(ValueError, match="judges codes, not images"):
        semi_supervised_aae(augmentation=DiffAugment())
    for labels, match in (
        (None, "at least half has class labels, but the data serve none"),
        ([0, 9, -1, 0], "labels up to 9"),
    ):
        batch = ImageBatch(images(4, 1, 0), None if labels is None else torch.tensor(labels))
        model = semi_supervised_aae()
        with pytest.raises(ValueError, match=match):
            trainer(max_epochs=1).fit(model, Batches([batch]))
        assert model.batches_seen == 0
