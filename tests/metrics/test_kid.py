import math

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

import gan_lightning.metrics.kid as kid_module
from gan_lightning.extractors.base import Features
from gan_lightning.metrics.base import TooFewSamplesError
from gan_lightning.metrics.kid import KernelInceptionDistance


def fed(metric, real, fake):
    metric.update(Features(real), real=True)
    for part in fake.split(50):
        metric.update(Features(part), real=False)
    return metric


def kid(real, fake, **arguments):
    values = fed(KernelInceptionDistance(real.shape[1], **arguments), real, fake).compute()
    return values["kid"].item(), values["kid_std"].item()


def by_torch_fidelity(real, fake, subsets, subset_size):
    return tuple(
        kid_features_to_metric(fake, real, kid_subsets=subsets, kid_subset_size=subset_size, verbose=False).values()
    )


@pytest.mark.parametrize(("subsets", "way"), [(20, "all pairs at once"), (3, "subset by subset")])
def test_agrees_with_torch_fidelity(subsets, way, monkeypatch):
    monkeypatch.setattr(kid_module, "BLOCK", 37)
    together = []
    parts = kid_module._parts
    monkeypatch.setattr(
        kid_module, "_parts", lambda x, chosen, small: together.append(small) or parts(x, chosen, small)
    )
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(300, 24, generator=generator)
    fake = torch.randn(230, 24, generator=generator) * 1.1 + 0.2
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    ours = kid(real, fake, subsets=subsets, subset_size=100)
    assert set(together) == {way == "all pairs at once"}
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert ours == pytest.approx(by_torch_fidelity(real.double(), fake.double(), subsets, 100), rel=1e-10)
    # on float32 features torch-fidelity's own sums are float32
    assert ours == pytest.approx(by_torch_fidelity(real, fake, subsets, 100), rel=1e-4)


def test_small_differences_far_from_the_origin():
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(80, 24, generator=generator).double() * 0.003 + 10 for _ in range(2))
    theirs = by_torch_fidelity(real, fake * 1.001, 20, 40)
    assert kid(real, fake * 1.001, subsets=20, subset_size=40) == pytest.approx(theirs, rel=1e-5)


def test_hand_values():
    real, fake = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [1.0]])
    assert kid(real, fake, subsets=1, subset_size=2)[0] == pytest.approx(9.5, rel=1e-12)


def test_all_images_at_once():
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(60, 8, generator=generator), torch.randn(60, 8, generator=generator) + 0.3
    values = fed(KernelInceptionDistance(8, subset_size=None), real, fake).compute()
    assert values.keys() == {"kid"}
    whole, _ = by_torch_fidelity(real.double(), fake.double(), 1, 60)
    assert values["kid"].item() == pytest.approx(whole, rel=1e-10)

    x, y = fake[:20].double(), real.double()  # sets of two sizes

    def kernel(a, b):
        return (a @ b.T / 8 + 1) ** 3

    within = [(kernel(z, z).sum() - kernel(z, z).trace()) / (len(z) * (len(z) - 1)) for z in (x, y)]
    expected = sum(within) - 2 * kernel(x, y).mean()
    (value,) = fed(KernelInceptionDistance(8, subset_size=None), real, fake[:20]).compute().values()
    assert value.item() == pytest.approx(expected.item(), rel=1e-10)
    with pytest.raises(TooFewSamplesError, match="at least 2"):
        fed(KernelInceptionDistance(8, subset_size=None), real[:1], fake).compute()


def test_equal_sets_are_a_little_below_zero():
    x = torch.randn(40, 8, generator=torch.Generator().manual_seed(0)).double()
    kernel = (x @ x.T / 8 + 1) ** 3
    expected = 2 / 39 * (kernel.mean() - kernel.diagonal().mean()).item()
    assert kid(x, x, subsets=4, subset_size=40) == pytest.approx((expected, 0), rel=1e-10, abs=1e-12)


def test_population_value():
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(2000, 32, generator=generator) for _ in range(2))
    assert kid(real, fake + 1, subsets=20, subset_size=500)[0] == pytest.approx(7.28711, rel=0.05)


def test_constant_images():
    grey = torch.full((20, 4), 0.5)
    assert kid(grey, grey, subsets=3, subset_size=10) == pytest.approx((0, 0), abs=1e-12)
    mean, spread = kid(grey, torch.randn(20, 4), subsets=3, subset_size=10)
    assert math.isfinite(mean)
    assert math.isfinite(spread)


def test_a_subset_larger_than_a_set():
    x = torch.randn(30, 4)
    with pytest.raises(TooFewSamplesError, match=r"at least 40 .*subset_size: 40.* only 30"):
        kid(x, torch.randn(50, 4), subset_size=40)


@pytest.mark.parametrize("arguments", [{"subset_size": 1}, {"subsets": 0}])
def test_what_has_no_pairs_is_refused(arguments):
    with pytest.raises(ValueError, match=r"out of range: make it|at least 1 subset of at least 2 images"):
        KernelInceptionDistance(4, **arguments)


@pytest.mark.parametrize("subsets", [2, 9])
def test_what_reals_have_with_each_other_is_computed_once(subsets, monkeypatch):
    calls = []
    sum_within = kid_module._sum_within
    monkeypatch.setattr(kid_module, "_sum_within", lambda *part: calls.append(0) or sum_within(*part))
    generator = torch.Generator().manual_seed(0)
    real, fake, more = (torch.randn(n, 8, generator=generator) for n in (60, 60, 10))
    settings = {"subsets": subsets, "subset_size": 30}
    metric = fed(KernelInceptionDistance(8, **settings), real, fake)
    first, both = metric.compute(), len(calls)
    metric.reset(keep_real=True)
    metric.update(Features(fake), real=False)
    assert metric.compute() == first
    assert len(calls) == both * 1.5

    metric.update(Features(more), real=False)  # more generated images: other draws of the real ones too
    assert metric.compute()["kid"].item() == kid(real, torch.cat([fake, more]), **settings)[0]
    metric.update(Features(more + 1), real=True)
    expected = kid(torch.cat([real, more + 1]), torch.cat([fake, more]), **settings)[0]
    assert metric.compute()["kid"].item() == pytest.approx(expected, rel=1e-9)
