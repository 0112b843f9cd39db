"""Semi-supervised GAN: both parts of D's loss by hand, matched features, accuracy, and data with few labels."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from datamodules import Digits
from gan_lightning.data.batches import ImageBatch
from gan_lightning.losses import Hinge
from gan_lightning.models import SSGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator, NoisyDiscriminator, SoftplusGenerator
from tiny import CLASSES, SIZE, SMALL, Batches, batch_for, data_for, images
from toys import equal, trainer, weights


def ssgan(**how: Any) -> SSGAN:
    """Return a model without the noise, so that each player alone overfits."""
    head = partial(nn.Linear, out_features=CLASSES)
    quiet: dict[str, Any] = {"input_noise": 0, "noise": 0, "head": head}
    networks = (
        SoftplusGenerator(6, SIZE, hidden=(16,)),
        NoisyDiscriminator(SIZE, hidden=(16, 16), **quiet),
    )
    return SSGAN(*networks, **how)


def ssgan_batch(count: int, seed: int) -> ImageBatch:
    """Return a batch in which every second image is labelled."""
    return ImageBatch(images(count, 1, seed), torch.arange(count).apply_(lambda i: i % CLASSES if i % 2 else -1))


def test_the_discriminators_loss_is_that_of_k_classes_and_a_fixed_fake_logit() -> None:
    torch.manual_seed(0)
    model = ssgan(lambda_unlabelled=0.7).eval()
    batch = batch_for(model)
    assert batch.labels.tolist() == [-1, 1, -1, 0]
    fake = model.draw_fakes(batch)
    terms = model.discriminator_loss(batch, fake)

    real, made = (F.pad(model.classify(images), (0, 1)) for images in (batch.images, fake))  # K + 1 logits, the last 0
    log_p_real, log_p_made = real.log_softmax(1), made.log_softmax(1)
    is_real = log_p_real[::2, :CLASSES].logsumexp(1)  # log p(y <= K) of the unlabelled
    expected = -0.5 * (is_real.mean() + log_p_made[:, CLASSES].mean())
    torch.testing.assert_close(terms["unlabelled"], 0.7 * expected)
    given_real = real[:, :CLASSES].log_softmax(1)
    torch.testing.assert_close(terms["labelled"], -(given_real[1, 1] + given_real[3, 0]) / 2)


def test_another_loss_judges_by_log_z() -> None:
    model = ssgan(loss=Hinge()).eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    log_z, fake_log_z = model.classify(batch.images[::2]).logsumexp(1), model.classify(fake).logsumexp(1)
    expected = 0.5 * Hinge().discriminator(log_z, fake_log_z)
    torch.testing.assert_close(model.discriminator_loss(batch, fake)["unlabelled"], expected)


def test_the_generator_matches_features_of_the_unlabelled() -> None:
    torch.manual_seed(0)
    model = ssgan().eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    difference = model.discriminator.features(batch.images[::2]).mean(0) - model.discriminator.features(fake).mean(0)
    assert model.generator_loss(batch, fake) == {"feature_matching": difference.square().sum()}


def test_the_supervised_baseline_learns_from_labelled_images_alone() -> None:
    def trained(unlabelled: float) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = ssgan(lambda_unlabelled=0)
        batch = batch_for(model)
        images = batch.images.clone()
        images[::2] *= unlabelled
        trainer(max_epochs=1).fit(model, Batches([ImageBatch(images, batch.labels)]))
        return weights(model.discriminator)

    assert equal(trained(1), trained(-1))


def test_accuracy_is_that_of_the_whole_reference_set_also_in_uneven_batches() -> None:
    torch.manual_seed(0)
    model = ssgan(discriminator_optimizer=partial(torch.optim.Adam, lr=0.02))
    with torch.no_grad():
        guesses = model.eval().classify(batch_for(model, 7).images).argmax(1)
    batches = []
    for part, wrong in ((slice(0, 5), 1), (slice(5, 7), 2)):
        labels = guesses[part].clone()
        labels[:wrong] = (labels[:wrong] + 1) % CLASSES
        batches.append(ImageBatch(batch_for(model, 7).images[part], labels))
    for run, stage in ((trainer().validate, "val"), (trainer().test, "test")):
        (values,) = run(model, Batches(batches), verbose=False)
        assert values[f"{stage}/accuracy"] == pytest.approx(4 / 7)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (None, "at least half has class labels.*set labels_per_class"),
        (torch.tensor([-1, -1, 0, -1]), "at least half has class labels.*set labels_per_class"),
        (torch.zeros(4, 7), "at least half has class labels"),
        (
            torch.tensor([-1, 0, -1, CLASSES]),
            rf"labels up to {CLASSES}, but .* head has {CLASSES} outputs",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused_before_the_first_step(labels: Any, match: str) -> None:
    model = ssgan()
    with pytest.raises(ValueError, match=match):
        trainer(max_epochs=1).fit(model, Batches([ImageBatch(batch_for(model).images, labels)]))
    assert model.batches_seen == 0


def test_the_defaults_are_the_papers_for_mnist() -> None:
    model = SSGAN()
    sizes = [m.out_features for m in model.discriminator.modules() if isinstance(m, nn.Linear)]
    assert sizes == [1000, 500, 250, 250, 250, 10]
    assert [m.out_features for m in model.generator.modules() if isinstance(m, nn.Linear)] == [500, 500, 784]
    model.check_batch(ImageBatch(torch.zeros(2, 1, 28, 28), torch.tensor([-1, 9])))


def test_noise_is_for_training_only_and_features_come_before_the_heads() -> None:
    torch.manual_seed(0)
    network, images = NoisyDiscriminator(SIZE, hidden=(8, 8)), torch.rand(2, 1, SIZE, SIZE)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))
    quiet = NoisyDiscriminator(SIZE, hidden=(8, 8), input_noise=0, noise=0)
    assert torch.equal(quiet(images), quiet(images))
    loud = NoisyDiscriminator(SIZE, hidden=(8, 8), input_noise=0, noise=0.5)
    first = loud.net[1].register_forward_hook(lambda m, i, out: torch.zeros_like(out))  # only the hidden layer's noise
    assert not torch.equal(loud.features(images), loud.features(images))
    first.remove()


def test_features_do_not_grow_with_the_weights() -> None:
    torch.manual_seed(0)
    network, images = NoisyDiscriminator(SIZE, hidden=(64, 64)).eval(), torch.rand(4, 1, SIZE, SIZE)
    before = network.features(images)
    with torch.no_grad():
        for name, p in network.net.named_parameters():
            if name.endswith("weight"):
                p.mul_(10)
    torch.testing.assert_close(network.features(images), before)


def test_the_generators_layers() -> None:
    generator = SoftplusGenerator(5, 6, 2, hidden=(7, 8))
    kinds = [type(m).__name__ for m in generator.net]
    assert kinds == ["Linear", "BatchNorm1d", "Softplus"] * 2 + ["Linear"]
    images = generator(torch.randn(3, 5) * 100)
    assert images.shape == (3, 2, 6, 6)
    assert 0 < images.abs().max() <= 1


# ------------------------------------------------------------------ data with few labels


def test_a_datamodule_hides_all_labels_but_a_few_and_serves_every_second_image_labelled() -> None:
    data = Digits(28, batch_size=100, labels_per_class=3)
    data.setup("fit")
    loader = data.train_dataloader()
    assert len(loader) == 2 * 8000 // 100
    batches = list(loader)
    labels = torch.stack([batch.labels for batch in batches])
    assert (labels[:, 1::2] >= 0).all()
    assert (labels[:, ::2] >= 0).sum() == 30  # each image comes by once
    known = torch.cat([batch.images[1::2] for batch in batches]).flatten(1).unique(dim=0)
    assert len(known) == 30
    assert labels[:, 1::2].flatten().bincount().min() >= 8000 // 30 * 3  # in rounds: none is favoured

    (reference,) = {batch.labels.min().item() for batch in data.val_dataloader()}
    assert reference == 0


def test_the_labels_given_are_the_true_ones_the_same_in_every_run_and_part_of_the_fingerprint() -> None:
    def storage(**how: Any) -> Any:
        data = Digits(28, batch_size=100, **how)
        data.setup("fit")
        return data.train_dataloader().storage

    whole, few, again = storage(), storage(labels_per_class=10), storage(labels_per_class=10, seed=5)
    rows = few.labelled
    assert len(rows) == 100
    assert torch.equal(few.labels[rows], whole.labels[rows])
    assert few.labels[rows].bincount().tolist() == [10] * 10
    assert (few.labels == -1).sum() == 8000 - 100
    assert few.fingerprint == again.fingerprint
    assert len({whole.fingerprint, few.fingerprint, storage(labels_per_class=9).fingerprint}) == 3
    other = storage(labels_per_class=10, label_set=1)
    assert (other.labels >= 0).sum() == (few.labels >= 0).sum()
    assert not torch.equal(other.labels, few.labels)


@pytest.mark.parametrize("count", [0, 10_000])
def test_more_labels_than_there_are_cannot_be_kept(count: int) -> None:
    with pytest.raises(
        ValueError, match=rf"labels_per_class={count}(, but class \d has \d+ images: make it 1 to| is out of range)"
    ):
        Digits(28, labels_per_class=count).setup("fit")


def test_the_reference_keeps_its_labels_where_it_is_the_training_set() -> None:
    data = Digits(28, labels_per_class=1, reference_split="train", num_reference=100)
    data.setup("fit")
    assert all((batch.labels >= 0).all() for batch in data.val_dataloader())


def test_mnist_hides_labels_too(real_data: Path) -> None:
    from datamodules import MNIST

    data = MNIST(real_data / "mnist", image_size=28, batch_size=10, download=False, labels_per_class=1)
    data.setup("fit")
    assert (next(iter(data.train_dataloader())).labels >= 0).sum() >= 5


def test_a_few_labels_and_a_convolutional_discriminator_train_and_resume_exactly(tmp_path: Path) -> None:
    def fit(epochs: int, **how: Any) -> SSGAN:
        torch.manual_seed(0)
        head = partial(nn.Linear, out_features=10)
        model = SSGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL, norm="layer", head=head))
        data = Digits(SIZE, batch_size=10, labels_per_class=1)
        run = trainer(tmp_path, max_epochs=epochs, limit_train_batches=3, limit_val_batches=0)
        run.fit(model, datamodule=data, weights_only=True, **how)
        run.save_checkpoint(tmp_path / f"{epochs}.ckpt")
        return model

    whole = fit(2)
    fit(1)
    assert equal(weights(whole), weights(fit(2, ckpt_path=tmp_path / "1.ckpt")))


def test_it_learns_to_classify() -> None:
    torch.manual_seed(0)
    fast = partial(torch.optim.Adam, lr=0.01)
    model = ssgan(discriminator_optimizer=fast, generator_optimizer=fast)
    data = data_for(model, batches=2, count=6)
    trainer(max_epochs=25).fit(model, data)
    for batch in data.batches:
        known = batch.labels >= 0
        assert torch.equal(model.eval().classify(batch.images[known]).argmax(1), batch.labels[known])
