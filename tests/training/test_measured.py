"""Means that models measure in evaluations: exact for batches of any lengths, and for processes without one."""

from types import SimpleNamespace

import pytest
import torch

from gan_lightning.models import SSGAN


def evaluated(monkeypatch: pytest.MonkeyPatch, given: list[tuple[float, int]], others: list[float]) -> dict:
    """What is logged by a process that measured these means, while the other processes have a sum and a count."""
    model, logged = SSGAN(), {}
    strategy = SimpleNamespace(reduce=lambda totals, reduce_op: totals + torch.tensor([others]))
    trainer = SimpleNamespace(testing=False, sanity_checking=False, strategy=strategy)
    monkeypatch.setattr(SSGAN, "trainer", trainer)
    monkeypatch.setattr(model, "log", lambda name, value, **_: logged.update({name: float(value)}))
    for mean, count in given:
        model.measure("accuracy", torch.tensor(mean), count)
    model.on_validation_epoch_end()
    logged_before = dict(logged)
    logged.clear()
    trainer.strategy = SimpleNamespace(reduce=lambda totals, reduce_op: totals)
    model.on_validation_epoch_end()
    assert not logged, "the next evaluation starts anew"
    return logged_before


def test_batches_count_by_their_lengths(monkeypatch):
    assert evaluated(monkeypatch, [(1.0, 3), (0.5, 2)], [0.0, 0.0]) == pytest.approx({"val/accuracy": 4 / 5})


def test_a_process_without_a_batch_logs_the_mean_of_the_others(monkeypatch):
    assert evaluated(monkeypatch, [], [2.0, 8.0]) == pytest.approx({"val/accuracy": 0.25})


def test_nothing_measured_is_nothing_logged(monkeypatch):
    assert evaluated(monkeypatch, [], [0.0, 0.0]) == {}
