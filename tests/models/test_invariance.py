"""Controllable invariance: the features' conditions, and the weight of the adversary."""

from typing import Any

import pytest
import torch

from gan_lightning.data.batches import DomainBatch
from gan_lightning.models import ControllableInvariance
from gan_lightning.networks import DomainClassifier, LeNetClassifier
from tiny import Batches, images
from toys import trainer, weights

SMALL: dict[str, Any] = {"image_size": 16, "channels": 3, "widths": (4, 6), "hidden": (8,), "classes": 3}


def invariance(**how: Any) -> ControllableInvariance:
    return ControllableInvariance(LeNetClassifier(**SMALL, num_domains=2), DomainClassifier(6, (5,)), **how)


def invariance_batch(count: int = 6, seed: int = 0) -> DomainBatch:
    labels = torch.arange(count) % 3
    return DomainBatch(images(count, 3, seed), labels, -images(count, 3, seed + 1), labels.flip(0))


def test_turns_are_taken_and_each_moves_its_own_player() -> None:
    model = invariance(n_critic=2)
    moved: list[list[str]] = []
    minimize = model.minimize

    def watched(player: Any, *losses: Any) -> None:
        before = weights(model)
        minimize(player, *losses)
        moved.append(sorted({n.split(".")[0] for n, p in weights(model).items() if not torch.equal(before[n], p)}))

    model.minimize = watched  # type: ignore[method-assign]
    trainer(max_epochs=1, limit_val_batches=0).fit(model, Batches([invariance_batch()] * 4))
    assert moved == [["discriminator"], ["discriminator"], ["generator"]] * 2


def test_the_features_depend_on_the_domain() -> None:
    model = invariance()
    domains: list[list[float]] = []
    model.generator.net[0].register_forward_pre_hook(lambda m, args: domains.append(args[0][0, 3:, 0, 0].tolist()))
    model.draw_fakes(invariance_batch())
    model.classify(invariance_batch().target)
    assert domains == [[1, 0], [0, 1], [0, 1]]
    with pytest.raises(ValueError, match="num_domains: 2"):
        ControllableInvariance(LeNetClassifier(**SMALL), DomainClassifier(6))


def test_gamma_weighs_the_domain_and_none_leaves_the_labels_alone() -> None:
    torch.manual_seed(0)
    model, data = invariance(gamma=0), invariance_batch()
    features = model.draw_fakes(data)
    parameters = [*model.generator.net.parameters()]
    terms = model.generator_loss(data, features)
    alone = torch.autograd.grad(terms["label"], parameters, retain_graph=True)
    together = torch.autograd.grad(torch.stack([*terms.values()]).sum(), parameters, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    model.gamma = 3.0
    expected = -3 * model.discriminator_loss(data, features)["domain"]
    torch.testing.assert_close(model.generator_loss(data, features)["domain"], expected)
