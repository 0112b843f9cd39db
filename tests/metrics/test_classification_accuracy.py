import pytest
import torch
from torch import nn

from datamodules import Digits
from gan_lightning.data.images import to_float
from gan_lightning.metrics.base import TooFewSamplesError
from gan_lightning.metrics.classification_accuracy import ClassificationAccuracy
from gan_lightning.networks.classifier import SmallClassifier


@pytest.fixture(scope="module")
def digits():
    """Real (reference) and further (training) digits, 14x14: (images, labels) of each."""
    data = Digits(image_size=28)
    sets = []
    for storage, count in (data.reference_storage(), 1200), (data.training_storage(), 600):
        images, labels = storage.batch(torch.arange(count))
        sets.append((images[:, :, ::2, ::2].contiguous(), labels))
    return sets


def fed(real, fake, **settings):
    metric = ClassificationAccuracy(**{"epochs": 5, "batch_size": 30} | settings)
    for (images, labels), is_real in ((real, True), (fake, False)):
        metric.update(images, real=is_real, labels=labels)
    return metric


def values(real, fake, **settings):
    return {name: value.item() for name, value in fed(real, fake, **settings).compute().items()}


def stripes(count, classes=2, size=12):
    """Return images whose bright row is their class."""
    labels = torch.arange(count) % classes
    images = torch.zeros(count, 1, size, size, dtype=torch.uint8)
    images[torch.arange(count), 0, labels] = 255
    return images, labels


def test_replayed_data_match_the_real_arm_and_shuffled_labels_are_chance(digits):
    real, more = digits
    replayed = values(real, more)
    assert replayed["cas_real"] > 0.9
    assert replayed["cas"] == pytest.approx(replayed["cas_real"], abs=0.06)
    assert 0.5 < replayed["cas_worst_class"] < replayed["cas"]
    order = torch.randperm(len(more[1]), generator=torch.Generator().manual_seed(0))
    shuffled = values(real, (more[0], more[1][order]))
    assert shuffled["cas"] == pytest.approx(0.1, abs=0.06)
    assert shuffled["cas_real"] == replayed["cas_real"]


def test_against_the_recipe_written_out():
    """Train the classifier of generated images by hand, with the metric's steps."""
    (images, labels), size = stripes(60, 3), 10
    noise = torch.randint(0, 120, images.shape, generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    real, fake = (images.clamp_max(100) + noise, labels), (images.clamp_max(60) + noise.flip(0), labels)
    measured = values(real, fake, epochs=2, batch_size=size)

    random = torch.Generator().manual_seed(0)
    order = torch.randperm(60, generator=random)
    test = torch.cat([order[labels[order] == c][10:] for c in range(3)])
    chosen = torch.randperm(60, generator=random)[:30]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SmallClassifier(1, 3)
        optimizer = torch.optim.AdamW(network.parameters(), 5e-3, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, 6)
        for _ in range(2):
            for batch in torch.randperm(30).split(size):
                part = chosen[batch]
                loss = nn.functional.cross_entropy(network(to_float(fake[0][part])), labels[part])
                network.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    right = network.eval()(to_float(real[0][test])).argmax(dim=1) == labels[test]
    assert measured["cas"] == pytest.approx(right.double().mean().item())
    assert measured["cas_worst_class"] == pytest.approx(right.view(3, 10).double().mean(dim=1).min().item())


def test_a_dropped_class_shows(digits):
    real, (images, labels) = digits
    kept = labels != 3
    measured = values(real, (images[kept], labels[kept]), epochs=3)
    assert measured["cas_worst_class"] == 0
    assert measured["cas"] < measured["cas_real"]


def test_trains_in_any_context_alike():
    real, fake = stripes(40), stripes(30)
    expected = values(real, fake, epochs=2)
    before = torch.get_rng_state()
    for context in torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        with context:
            copies = [tuple(part.clone() for part in images) for images in (real, fake)]
            assert values(*copies, epochs=2) == expected
    assert torch.equal(torch.get_rng_state(), before)


def test_both_arms_train_on_equally_many_images_and_never_on_the_test_set():
    seen = []

    class Recording(SmallClassifier):
        def forward(self, x):
            seen.append((self.training, x[:, 0, -1, -1].add(1).mul(127.5).round().int().tolist()))
            return super().forward(x)

    (real, labels), (fake, fake_labels) = stripes(50), stripes(80)
    real[:, 0, -1, -1] = torch.arange(50)  # each its own number
    fake[:, 0, -1, -1] = 100 + torch.arange(80)
    values((real, labels), (fake, fake_labels), network=Recording, epochs=1, batch_size=8)
    tested = {number for training, numbers in seen if not training for number in numbers}
    trained = [number for training, numbers in seen if training for number in numbers]
    assert len(tested) == 26  # of 25 in each class
    assert not tested & set(trained)
    assert sum(number >= 100 for number in trained) == sum(number < 100 for number in trained) == 24


def test_small_and_constant_sets():
    constant = torch.full((12, 3, 9, 8), 70, dtype=torch.uint8), torch.arange(12) % 2
    measured = values(constant, constant)
    assert measured["cas"] == measured["cas_real"] == 0.5
    assert measured["cas_worst_class"] == 0
    few = stripes(4)
    assert 0 <= values(few, few, epochs=1)["cas"] <= 1


def test_what_it_cannot_work_with_is_refused():
    real = stripes(20)
    with pytest.raises(ValueError, match="classes of all images, and the generated ones have none"):
        fed(real, (real[0], None)).compute()
    with pytest.raises(ValueError, match="all 20 real images are of class 1"):
        fed((real[0], torch.ones(20, dtype=torch.long)), real).compute()
    with pytest.raises(TooFewSamplesError, match=r"of each class, .* only 1"):
        fed((real[0], torch.tensor([*[0] * 10, *[1] * 9, 5])), real).compute()

    class Broken(SmallClassifier):
        def forward(self, x):
            return super().forward(x) * torch.nan

    with pytest.raises(ValueError, match="Broken learnt to give NaN"):
        fed(real, real, network=Broken, epochs=1).compute()
