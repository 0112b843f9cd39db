import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from gan_lightning.metrics import Features, KernelInceptionDistance, TooFewSamplesError


def kid(real, fake, **arguments):
    metric = KernelInceptionDistance(real.shape[1], **arguments)
    metric.update(Features(real), real=True)
    for part in fake.split(50):
        metric.update(Features(part), real=False)
    values = metric.compute()
    return values["kid"].item(), values["kid_std"].item()


def test_agrees_with_torch_fidelity():
    torch.manual_seed(0)
    real, fake = torch.randn(300, 24), torch.randn(230, 24) * 1.1 + 0.2
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    ours = kid(real, fake, subsets=20, subset_size=100)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    arguments = {"kid_subsets": 20, "kid_subset_size": 100, "verbose": False}
    assert ours == pytest.approx(
        tuple(kid_features_to_metric(fake.double(), real.double(), **arguments).values()), rel=1e-10
    )
    # on float32 features torch-fidelity's own sums are float32
    assert ours == pytest.approx(tuple(kid_features_to_metric(fake, real, **arguments).values()), rel=1e-4)


def test_hand_values():
    real, fake = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [1.0]])
    assert kid(real, fake, subsets=1, subset_size=2)[0] == pytest.approx(9.5, rel=1e-12)


def test_population_value():
    torch.manual_seed(0)
    real, fake = torch.randn(2000, 32), torch.randn(2000, 32) + 1
    assert kid(real, fake, subsets=20, subset_size=500)[0] == pytest.approx(7.28711, rel=0.05)


def test_a_subset_larger_than_a_set():
    x = torch.randn(30, 4)
    with pytest.raises(TooFewSamplesError, match=r"at least 40 .*subset_size: 40.* only 30"):
        kid(x, torch.randn(50, 4), subset_size=40)


def test_small_sets_take_a_quicker_way_to_the_same_number(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    real, fake = (Features(torch.randn(60, 8, generator=generator) * scale) for scale in (1.0, 1.5))

    def computed(real, fake):
        metric = KernelInceptionDistance(8, subsets=5, subset_size=30)
        metric.update(real, real=True)
        metric.update(fake, real=False)
        return metric.compute()

    monkeypatch.setattr("gan_lightning.metrics.kid.BLOCK", 7)
    quick = computed(real, fake)
    monkeypatch.setattr(KernelInceptionDistance, "_from_whole_kernels", lambda *_: pytest.fail("the other way"))
    monkeypatch.setattr("gan_lightning.metrics.kid.max", lambda *_: 10**6, raising=False)
    for name, value in computed(real, fake).items():
        torch.testing.assert_close(quick[name], value, rtol=1e-12, atol=0)
