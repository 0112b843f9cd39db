import numpy as np
import pytest
import torch
from torch_fidelity.metric_prc import prc_features_to_metric

from gan_lightning.metrics import DensityCoverage, Features, PrecisionRecall, TooFewSamplesError, neighbours


def values(metric, real, fake):
    metric.update(Features(real), real=True)
    metric.update(Features(fake), real=False)
    return {name: value.item() for name, value in metric.compute().items()}


def column(*numbers):
    return torch.tensor(numbers).view(-1, 1)


def brute_force(real, fake, k_ball, k_density):
    """The definitions, with whole matrices in numpy."""

    def distances(x, y):
        return np.linalg.norm(x[:, None] - y[None], axis=2)

    def radii(x, k):
        return np.sort(distances(x, x) + np.diag([np.inf] * len(x)), axis=1)[:, k - 1]

    real, fake = real.double().numpy(), fake.double().numpy()
    between, reach = distances(fake, real), radii(real, k_density)
    within = between < reach
    return {
        "precision": (between <= radii(real, k_ball)).any(axis=1).mean(),
        "recall": (radii(fake, k_ball) >= between.T).any(axis=1).mean(),
        "density": within.sum() / (k_density * len(fake)),
        "coverage": within.any(axis=0).mean(),
    }


@pytest.mark.parametrize("block", [2**24, 300])
def test_definitions(block, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    torch.manual_seed(0)
    real, fake = torch.randn(150, 6), torch.randn(90, 6) * 0.8 + 0.3
    ours = values(PrecisionRecall(6), real, fake) | values(DensityCoverage(6), real, fake)
    assert ours == pytest.approx(brute_force(real, fake, 3, 5), rel=1e-12)
    assert 0.1 < ours["precision"] < 1  # the test can fail
    assert 0.1 < ours["recall"] < 1
    theirs = prc_features_to_metric(fake.double(), real.double(), verbose=False)
    assert (ours["precision"], ours["recall"]) == pytest.approx((theirs["precision"], theirs["recall"]), rel=1e-6)


def test_hand_values():
    real, fake = column(0.0, 1.0, 3.0, 6.0), column(0.5, 2.2, 10.0)
    assert values(PrecisionRecall(1, k=1), real, fake) == pytest.approx({"precision": 2 / 3, "recall": 1})
    assert values(DensityCoverage(1, k=1), real, fake) == pytest.approx({"density": 1, "coverage": 3 / 4})


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_extremes(offset):
    torch.manual_seed(0)
    real = torch.randn(100, 16) + offset
    assert values(PrecisionRecall(16), real, real) == {"precision": 1, "recall": 1}
    # open balls: on equal sets an image is in as many balls as it is others' 1st to 4th neighbour, and in its own
    assert values(DensityCoverage(16), real, real)["density"] == pytest.approx(1)
    far = real + 50
    assert values(PrecisionRecall(16), real, far) == {"precision": 0, "recall": 0}
    assert values(DensityCoverage(16), real, far) == {"density": 0, "coverage": 0}
    repeated = real[:1].repeat(100, 1)  # closed balls of radius 0 around it hold the one real image it repeats
    assert values(PrecisionRecall(16), real, repeated) == pytest.approx({"precision": 1, "recall": 0.01})


def test_copies_are_on_the_edge_of_balls_whatever_the_rounding(monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 5000)
    torch.manual_seed(0)
    real = torch.randn(333, 16) * 3 + 1
    copies = real[7:-30].flip(0)  # distances and radii are the same numbers, from products of other shapes
    ours = values(PrecisionRecall(16), real, copies) | values(DensityCoverage(16), real, copies)
    assert ours == pytest.approx(brute_force(real, copies, 3, 5), rel=1e-12)


def test_too_few_images():
    x = torch.randn(3, 2)
    with pytest.raises(TooFewSamplesError, match=r"PrecisionRecall needs at least 4 .*k: 3.* only 3"):
        values(PrecisionRecall(2), x, x)
    with pytest.raises(TooFewSamplesError, match="DensityCoverage needs at least 6"):
        values(DensityCoverage(2), x, x)
