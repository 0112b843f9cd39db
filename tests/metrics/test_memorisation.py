import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from gan_lightning.metrics import Features, TooFewSamplesError
from gan_lightning.metrics.memorisation import Authenticity

N = 1500


def values(real, fake):
    metric = Authenticity(real.shape[1])
    metric.update(Features(real), real=True)
    metric.update(Features(fake), real=False)
    return {name: value.item() for name, value in metric.compute().items()}


def draw(d, seed, count=N):
    return torch.randn(count, d, generator=torch.Generator().manual_seed(seed))


def authentic(fake, real):
    """The definition, by whole matrices: the nearest real image's distance to its own nearest other is exceeded."""
    to_real = np.linalg.norm(fake[:, None] - real, axis=2)
    among = np.linalg.norm(real[:, None] - real, axis=2)
    np.fill_diagonal(among, np.inf)
    return to_real.min(axis=1) > among.min(axis=1)[to_real.argmin(axis=1)]


def test_definitions():
    real, fake = draw(3, 0, 60), torch.cat([draw(3, 1, 30), draw(3, 0, 60)[:20] + 1e-3])
    ours = values(real, fake)
    real, fake = real.double().numpy(), fake.double().numpy()
    assert ours["authenticity"] == authentic(fake, real).mean()
    left_out = [authentic(real[[i]], np.delete(real, i, axis=0)) for i in range(len(real))]
    assert ours["authenticity_baseline"] == np.mean(left_out)
    assert ours["memorised"] == pytest.approx(1 - ours["authenticity"] / ours["authenticity_baseline"], rel=1e-12)
    tree = KDTree(real)
    ratio = tree.query(fake)[0].mean() / tree.query(real, 2)[0][:, 1].mean()
    assert ours["nearest_distance_ratio"] == pytest.approx(ratio, rel=1e-9)
    assert 0 < ours["authenticity"] < ours["authenticity_baseline"] < 1  # the test can fail


@pytest.mark.parametrize(("d", "share"), [(2, 0.38), (16, 0.68), (64, 0.82)])
def test_new_images_of_the_same_distribution_score_as_real_ones(d, share):
    ours = values(draw(d, 0), draw(d, 1))
    assert ours["authenticity"] == pytest.approx(share, abs=0.04)
    assert ours["authenticity_baseline"] == pytest.approx(share, abs=0.04)
    assert ours["memorised"] < 0.1
    assert ours["nearest_distance_ratio"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("d", "share"), [(2, 0.19), (16, 0.33), (64, 0.41)])
def test_half_of_them_copies(d, share):
    real = draw(d, 0)
    ours = values(real, torch.cat([real[: N // 2], draw(d, 1, N // 2)]))
    assert ours["authenticity"] == pytest.approx(share, abs=0.03)
    assert ours["memorised"] == pytest.approx(0.5, abs=0.06)
    assert ours["nearest_distance_ratio"] == pytest.approx(0.5, abs=0.05)


def test_copies():
    real = draw(16, 0)
    ours = values(real, real[100:900])
    baseline = ours.pop("authenticity_baseline")
    assert ours == {"authenticity": 0, "memorised": 1, "nearest_distance_ratio": 0}
    assert 0.6 < baseline < 0.8
    nearly = values(real, real + 1e-3 * draw(16, 1))
    assert nearly["authenticity"] < 0.01
    assert nearly["memorised"] > 0.99
    assert nearly["nearest_distance_ratio"] < 0.01


def test_far_from_all_real_images_nothing_is_memorised():
    ours = values(draw(8, 0, 200), draw(8, 1, 200) + 100)
    assert ours["authenticity"] == 1
    assert ours["memorised"] == 0
    assert ours["nearest_distance_ratio"] > 10


def test_duplicates_among_real_images():
    real = draw(4, 0, 100)
    some = torch.cat([real, real[:50]])
    ours = values(some, real[:50])
    assert ours["authenticity"] == 0
    assert all(np.isfinite(list(ours.values())))
    with pytest.raises(ValueError, match="each real image has a copy among the real ones"):
        values(real.repeat(2, 1), draw(4, 1, 100))


def test_a_baseline_of_zero():
    # alone in pairs: each real image is as near to its nearest as that is without it, or nearer
    ours = values(torch.tensor([[0.0], [1.0], [10.0], [11.0]]), torch.tensor([[5.0], [0.5], [1.2]]))
    assert ours["authenticity_baseline"] == 0
    assert ours["memorised"] == 0
    assert ours["authenticity"] == pytest.approx(1 / 3)


def test_too_few_images():
    with pytest.raises(
        TooFewSamplesError, match=r"Authenticity needs at least 3 .*needs a neighbour that has.* only 2"
    ):
        values(draw(2, 0, 5), draw(2, 1, 2))
