import numpy as np
import pytest
import torch
from torch_fidelity.metric_prc import prc_features_to_metric

from gan_lightning.metrics import DensityCoverage, Features, PrecisionRecall, TooFewSamplesError, neighbours
from gan_lightning.metrics.neighbours import nearest_neighbours, nearest_others


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch):
    monkeypatch.setattr(neighbours, "_searches", type(neighbours._searches)())


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


@pytest.mark.parametrize("block", [2048, 37])
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
    monkeypatch.setattr(neighbours, "BLOCK", 71)
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


@pytest.mark.parametrize("block", [2048, 13])
@pytest.mark.parametrize("k", [1, 7])
def test_neighbours_are_those_of_the_whole_matrix(block, k, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    torch.manual_seed(0)
    fake, real = torch.randn(40, 5) + 100, torch.randn(60, 5) + 100
    whole = np.linalg.norm(fake.double().numpy()[:, None] - real.double().numpy(), axis=2)
    distances, indices = nearest_neighbours(fake, real, k)
    assert np.allclose(distances, np.sort(whole, axis=1)[:, :k], rtol=1e-12, atol=0)
    assert (indices.numpy() == whole.argsort(axis=1)[:, :k]).all()
    among = np.linalg.norm(real.double().numpy()[:, None] - real.double().numpy(), axis=2)
    np.fill_diagonal(among, np.inf)
    distances, indices = nearest_others(real, k)
    assert np.allclose(distances, np.sort(among, axis=1)[:, :k], rtol=1e-12, atol=0)
    assert (indices.numpy() == among.argsort(axis=1)[:, :k]).all()


def test_copies_are_nearest_and_at_distance_zero():
    real = torch.randn(300, 64, generator=torch.Generator().manual_seed(0)) * 1e3 + 1e5
    distances, indices = nearest_neighbours(real[50:80], real, 2)
    assert (distances[:, 0] == 0).all()
    assert indices[:, 0].tolist() == list(range(50, 80))
    assert (distances[:, 1] > 0).all()


def test_near_copies_that_have_equal_products_are_separated():
    real = torch.randn(40, 64, generator=torch.Generator().manual_seed(0)) * 1e6
    nudges = torch.tensor([4e-4, 3e-4, 2e-4, 1e-4, 0.0])  # a few units in the last place of float32
    near = real[:1].repeat(5, 1)
    near[:, 0] = 1000 + nudges
    distances, indices = nearest_neighbours(near[-1:], torch.cat([real[1:], near]), 5)
    assert indices[0, 0] == 43
    assert distances[0].diff().min() > 0
    assert distances[0].tolist() == pytest.approx((near[:, 0].double() - 1000).flip(0).tolist(), rel=1e-12)


def test_another_with_the_same_features_is_another():
    distances, indices = nearest_others(column(3.0, 1.0, 3.0))
    assert distances.flatten().tolist() == [0, 2, 0]
    assert indices[[0, 2]].flatten().tolist() == [2, 0]


def test_what_cannot_be_searched_says_so():
    x = torch.randn(4, 3)
    with pytest.raises(ValueError, match="k: 5 nearest of 4 real images cannot be found: choose k from 1 to 4"):
        nearest_neighbours(x, x, 5)
    with pytest.raises(ValueError, match=r"not among \(4, 3\) for \(4, 2\)"):
        nearest_neighbours(x[:, :2], x)
    with pytest.raises(ValueError, match="NaN or infinite features"):
        nearest_neighbours(x, x * torch.nan)


def searched(monkeypatch):
    """The sets that are searched from now on."""
    sets, search = [], neighbours._nearest
    monkeypatch.setattr(neighbours, "_nearest", lambda x, y, k: sets.append(x) or search(x, y, k))
    return sets


def test_real_images_are_searched_once_for_all_metrics_and_evaluations(monkeypatch):
    sets = searched(monkeypatch)
    torch.manual_seed(0)
    real = torch.randn(50, 4)
    metrics = PrecisionRecall(4), PrecisionRecall(4, k=4), DensityCoverage(4)
    for metric in metrics:
        metric.update(Features(real), real=True)
    for _ in range(2):
        fake = torch.randn(30, 4)
        for metric in metrics:
            metric.update(Features(fake), real=False)
            metric.compute()
            metric.reset(keep_real=True)
    assert [len(x) for x in sets] == [50, 30, 30]


def test_what_was_found_is_not_taken_for_another_sets(monkeypatch):
    sets = searched(monkeypatch)
    torch.manual_seed(0)
    real, fake = torch.randn(50, 4), torch.randn(30, 4)
    first = values(PrecisionRecall(4), real, fake)
    assert values(PrecisionRecall(4), real * 2, fake) != first  # as many, of other content
    more = nearest_others(real, 9)[0]  # more neighbours than were looked for
    assert more.shape == (50, 9)
    more.zero_()  # the caller's own
    assert values(PrecisionRecall(4), real, fake) == first
    assert len(sets) == 4
    for shift in range(1, 20):
        nearest_others(real + shift)
    assert len(neighbours._searches) == neighbours.REMEMBERED
    nearest_others(real)
    assert len(sets) == 4 + 19 + 1
