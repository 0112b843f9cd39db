"""CoGAN for domain adaptation: every term by hand, the classifier's domains, accuracies, sentences about classes."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_lightning.data.batches import DomainBatch
from gan_lightning.models import CoGANAdaptation
from gan_lightning.networks import CoGANDiscriminator, CoGANGenerator
from tiny import CLASSES, SMALL, Batches, batch_for, data_for, images
from toys import equal, trainer, weights


def cogan_adaptation(**how: Any) -> CoGANAdaptation:
    return CoGANAdaptation(CoGANGenerator(6, **SMALL), CoGANDiscriminator(**SMALL), **{"classes": CLASSES} | how)


def cogan_adaptation_batch(count: int, seed: int) -> DomainBatch:
    labels = torch.arange(count) % CLASSES
    return DomainBatch(images(count, 1, seed), labels, -images(count, 1, seed + 1), labels.flip(0))


def test_every_term_by_hand() -> None:
    torch.manual_seed(0)
    model = cogan_adaptation(lambda_class=3.0, lambda_features=0.5).eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    source, target = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    judge = model.discriminator
    of = {
        name: judge.features(shown, domain)
        for name, shown, domain in (
            ("x1", batch.source, source),
            ("x2", batch.target, target),
            ("g1", fake[0::2], source),
            ("g2", fake[1::2], target),
        )
    }
    logits = {name: judge.judge(features) for name, features in of.items()}
    ones, zeros = torch.ones(4), torch.zeros(4)
    adversarial = [bce(logits["x1"], ones), bce(logits["x2"], ones), bce(logits["g1"], zeros), bce(logits["g2"], zeros)]
    terms = model.discriminator_loss(batch, fake)
    torch.testing.assert_close(terms["adversarial"], sum(adversarial) / 2)  # a mean over both domains
    expected = 3.0 * F.cross_entropy(model.classifier(of["x1"]), batch.source_labels)
    torch.testing.assert_close(terms["class"], expected)
    # the authors' mean squared error times the number of features
    distance = F.mse_loss(of["g1"], of["g2"]) * of["g1"].shape[1]
    torch.testing.assert_close(terms["features"], 0.5 * distance)
    of_generators = (bce(logits["g1"], ones) + bce(logits["g2"], ones)) / 2
    torch.testing.assert_close(model.generator_loss(batch, fake)["adversarial"], of_generators)
    assert "features" not in cogan_adaptation(lambda_features=0).discriminator_loss(batch, fake)


def test_the_classifier_reads_an_image_by_the_layers_of_its_domain() -> None:
    torch.manual_seed(0)
    model = cogan_adaptation()
    shown = images(3, 1, 0)
    assert (model.classify(shown, 0) - model.classify(shown)).abs().max() > 1e-4
    model.discriminator.private[1].load_state_dict(model.discriminator.private[0].state_dict())
    torch.testing.assert_close(model.classify(shown, 0), model.classify(shown))


def test_training_reaches_all_networks_and_validation_counts_right_answers() -> None:
    model = cogan_adaptation(ema_half_life=10)
    before = weights(model)
    trainer(max_epochs=1, limit_val_batches=0).fit(model, data_for(model, batches=2))
    after = weights(model)
    assert not {name for name in before if torch.equal(before[name], after[name])}
    batches = [batch_for(model, 6), batch_for(model, 4, seed=7)]
    (found,) = trainer().validate(model, Batches(batches), verbose=False)
    for name, field, domain in (("accuracy", "target", 1), ("source_accuracy", "source", 0)):
        right = [model.classify(getattr(b, field), domain).argmax(1) == getattr(b, f"{field}_labels") for b in batches]
        assert found[f"val/{name}"] == pytest.approx(float(torch.cat(right).float().mean()))


def test_two_runs_end_equal_where_one_was_stopped_and_loaded(tmp_path: Any) -> None:
    whole = cogan_adaptation()
    trainer(max_epochs=2, limit_val_batches=0).fit(whole, data_for(whole))
    first = cogan_adaptation()
    fit = trainer(tmp_path, max_epochs=1, limit_val_batches=0)
    fit.fit(first, data_for(first))
    fit.save_checkpoint(tmp_path / "stopped.ckpt")
    second = CoGANAdaptation.load_from_checkpoint(tmp_path / "stopped.ckpt")
    assert equal(dict(first.state_dict()), dict(second.state_dict()))
    assert second.sampler.class_names == ("source", "target")


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: cogan_adaptation(classes=2), "labels from 0 to 2, but the classifier knows the classes 0 to 1"),
        (lambda: CoGANAdaptation(CoGANGenerator(num_classes=3)), "two domains, source and target"),
    ],
)
def test_wrong_numbers_of_classes_are_refused(build: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        trainer(max_epochs=1).fit(build(), Batches([cogan_adaptation_batch(6, 0)]))
