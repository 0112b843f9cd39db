"""DANN and controllable invariance: the reversal layer rebuilt, domains, accuracies, and errors."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD

from gan_lightning.callbacks import SampleGrid
from gan_lightning.data.batches import DomainBatch, ImageBatch
from gan_lightning.families.domains import DomainInvariance
from gan_lightning.layers.gradients import scale_gradient
from gan_lightning.models import DANN
from gan_lightning.networks import DomainClassifier, LeNetClassifier
from gan_lightning.schedules import InversePower, SigmoidRamp
from models.test_invariance import invariance
from tiny import Batches, images
from toys import equal, read_png, trainer, weights

SMALL: dict[str, Any] = {"image_size": 16, "channels": 3, "widths": (4, 6), "hidden": (8,), "classes": 3}


def dann(**how: Any) -> DANN:
    return DANN(LeNetClassifier(**SMALL), DomainClassifier(6, (5,)), **how)


both = pytest.mark.parametrize("build", [dann, invariance])


def dann_batch(count: int = 6, seed: int = 0, labelled: bool = True) -> DomainBatch:
    labels = torch.arange(count) % 3
    target = -images(count, 3, seed + 1)
    return DomainBatch(images(count, 3, seed), labels, target, labels.flip(0) if labelled else None)


# ------------------------------------------------------------------ DANN


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("strength", [0.0, 0.7])
def test_a_step_is_one_of_gradient_descent_through_a_reversal_layer(strength: float, accumulate: int) -> None:
    torch.manual_seed(0)
    descend = partial(SGD, lr=0.1, momentum=0.9)
    model = dann(
        lambda_domain=strength,
        generator_optimizer=descend,
        discriminator_optimizer=descend,
        accumulate=accumulate,
    )
    classifier, judge = LeNetClassifier(**SMALL), DomainClassifier(6, (5,))
    classifier.load_state_dict(model.generator.state_dict())
    judge.load_state_dict(model.discriminator.state_dict())
    optimizer = descend([*classifier.parameters(), *judge.parameters()])
    data = [dann_batch(seed=10 * i, labelled=False) for i in range(4)]
    for source, labels, target, _ in data:
        f = torch.cat([classifier.features(source), classifier.features(target)])
        label = F.cross_entropy(classifier.labeller(f[:6]), labels)
        domain = F.binary_cross_entropy_with_logits(
            judge(scale_gradient(f, -strength)), torch.tensor([1.0] * 6 + [0.0] * 6)
        )
        optimizer.zero_grad()
        (label + domain).backward()
        optimizer.step()
    trainer(max_epochs=1, limit_val_batches=0).fit(model, Batches(data))
    for ours, reference in ((model.generator, classifier), (model.discriminator, judge)):
        for a, b in zip(ours.parameters(), reference.parameters(), strict=True):
            torch.testing.assert_close(a, b)
    assert model.batches_seen == 4


def test_one_forward_of_the_features_serves_both_turns() -> None:
    model = dann()
    seen: list[int] = []
    model.generator.net.register_forward_hook(lambda m, args, _: seen.append(len(args[0])) if m.training else None)
    trainer(max_epochs=1, limit_val_batches=0).fit(model, Batches([dann_batch()] * 3))
    assert seen == [6] * 6  # source and target, three times


def test_the_logged_terms_are_the_papers() -> None:
    torch.manual_seed(0)
    model, data = dann(lambda_domain=0.25), dann_batch()
    features = model.draw_fakes(data)
    logits = model.discriminator(torch.cat([features.source, features.target]))
    domain = F.binary_cross_entropy_with_logits(logits, torch.tensor([1.0] * 6 + [0.0] * 6))
    torch.testing.assert_close(model.discriminator_loss(data, features)["domain"], domain)
    terms = model.generator_loss(data, features)
    torch.testing.assert_close(terms["domain"], -0.25 * domain)
    torch.testing.assert_close(terms["label"], F.cross_entropy(model.generator(data.source), data.source_labels))


def test_the_adversary_comes_in_by_the_papers_schedule() -> None:
    ramp, decay = SigmoidRamp(200, "batch"), InversePower(200, "batch")
    for p in (0.0, 0.1, 0.5, 1.0):
        assert ramp(200 * p) == pytest.approx(2 / (1 + math.exp(-10 * p)) - 1)
        assert decay(200 * p) == pytest.approx(1 / (1 + 10 * p) ** 0.75)
    model = dann(lambda_domain=2.0, lambda_schedule=SigmoidRamp(4, "batch"))
    seen = []
    model.domain_weight = lambda: seen.append(w := DANN.domain_weight(model)) or w  # type: ignore
    trainer(max_epochs=1, limit_val_batches=0).fit(model, Batches([dann_batch()] * 3))
    assert seen == [2 * math.tanh(5 * i / 4) for i in range(3)]
    for schedule in (SigmoidRamp, InversePower):
        with pytest.raises(ValueError, match="end=0 is out of range"):
            schedule(0)


# ------------------------------------------------------------------ what both do


class Brightness(nn.Module):
    """A classifier that says 1 of bright images and 0 of dark ones, and 2 of none."""

    num_domains = 0
    labeller = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        bright = images.mean((1, 2, 3))
        return torch.stack([-bright, bright, 0 * bright - 9], dim=1)


@both
def test_accuracies_are_over_all_images_and_of_their_own_domain(build: Any) -> None:
    model = build()
    model.generator = Brightness()
    white, black = torch.ones(4, 3, 16, 16), -torch.ones(4, 3, 16, 16)
    ones = torch.ones(4, dtype=torch.int64)
    data = [
        DomainBatch(white, ones, black, ones),  # 4 of 4; 0 of 4
        DomainBatch(white[:2], 0 * ones[:2], white[:2], ones[:2]),  # 0 of 2; 2 of 2
    ]
    model.check_batch = lambda batch: None
    run = trainer()
    run.validate(model, Batches(data), verbose=False)
    assert run.callback_metrics["val/source_accuracy"] == pytest.approx(4 / 6)
    assert run.callback_metrics["val/accuracy"] == pytest.approx(2 / 6)
    run.test(model, Batches(data), verbose=False)
    assert run.callback_metrics["test/accuracy"] == pytest.approx(2 / 6)
    assert torch.cat(run.predict(model, Batches(data))).tolist() == [0] * 4 + [1] * 2


@both
def test_it_trains_and_validates_by_averaged_weights_and_shows_both_domains(build: Any, tmp_path: Path) -> None:
    model = build(ema_half_life=10)
    run = trainer(tmp_path, max_epochs=2, callbacks=[SampleGrid(count=5)])
    run.fit(model, Batches([dann_batch(), dann_batch(seed=5)]))
    assert model.batches_seen == 4
    assert {"val/accuracy", "val/source_accuracy"} <= run.callback_metrics.keys()
    assert len(list((tmp_path / "samples").glob("*.png"))) == 2
    assert read_png(next(tmp_path.glob("samples/*.png"))).shape == (3, 2 + 18, 2 + 10 * 18)
    shown, columns = model.preview(dann_batch(), 5)
    assert (shown.shape, columns) == ((10, 3, 16, 16), 10)
    assert torch.equal(shown[::2], dann_batch().source[:5])
    assert torch.equal(shown[1::2], dann_batch().target[:5])


@both
def test_target_labels_are_not_used_in_training(build: Any) -> None:
    ends = []
    for labelled in (True, False):
        torch.manual_seed(0)
        model = build()
        trainer(max_epochs=1, limit_val_batches=0).fit(model, Batches([dann_batch(labelled=labelled)] * 3))
        ends.append(weights(model))
    assert equal(*ends)


@both
@pytest.mark.parametrize(
    ("wrong", "kind", "match"),
    [
        (
            ImageBatch(images(2, 3, 0)),
            TypeError,
            r"of the kind DomainBatch \(source.* serve ImageBatch",
        ),
        (DomainBatch(*[torch.zeros(2, 3, 16, 16), torch.tensor([0, 3])] * 2), ValueError, "labels from 0 to 3, but"),
        (DomainBatch(*[torch.zeros(2, 1, 16, 16), torch.tensor([0, 1])] * 2), ValueError, "1x16x16 and 1x16x16"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(build: Any, wrong: Any, kind: Any, match: str) -> None:
    model: DomainInvariance = build()
    with pytest.raises(kind, match=match):
        trainer(max_epochs=1, limit_val_batches=0).fit(model, Batches([wrong]))
    assert model.batches_seen == 0


def test_validation_needs_the_targets_labels() -> None:
    with pytest.raises(ValueError, match="needs its labels"):
        trainer().validate(dann(), Batches([dann_batch(labelled=False)]), verbose=False)


def test_features_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="makes 6 features of an image, but the discriminator takes 7"):
        DANN(LeNetClassifier(**SMALL), DomainClassifier(7))


def test_nothing_is_generated() -> None:
    with pytest.raises(TypeError, match="DANN classifies images and makes none"):
        dann().generate(dann_batch())
