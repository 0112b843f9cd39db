import math

import numpy as np
import pytest
import scipy.stats
import torch

from gan_lightning.extractors.base import Features
from gan_lightning.metrics.base import TooFewSamplesError
from gan_lightning.metrics.modes import ModesCovered, excess, mixture_coverage, nearest_modes


def logits_of(counts):
    """Logits of as many images of each class as `counts` says, in disorder."""
    classes = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.one_hot(classes[order], len(counts)) * 800.0


def modes(real, fake):
    metric = ModesCovered(2)
    for counts, is_real in (real, True), (fake, False):
        for part in logits_of(counts).split(7):
            metric.update(Features(torch.zeros(len(part), 2), part), real=is_real)
    return {name.removeprefix("modes_"): value.item() for name, value in metric.compute().items()}


def test_a_perfect_and_a_collapsed_generator():
    perfect = {"covered": 10, "covered_fairly": 10, "kl": 0, "kl_uniform": 0, "rarest": 0.1}
    found = modes([6] * 10, [9] * 10)
    floors = [found.pop(name) for name in ("kl_floor", "kl_uniform_floor")]
    assert found == pytest.approx(perfect, abs=1e-12)
    assert floors[0] == pytest.approx(float(excess(torch.full((10,), 0.1), 60) + excess(torch.full((10,), 0.1), 90)))
    assert floors[1] == 0  # of a real histogram without any deviation
    collapsed = {"covered": 1, "covered_fairly": 1, "kl": math.log(10), "kl_uniform": math.log(10), "rarest": 0}
    found = modes([6] * 10, [90] + [0] * 9)
    assert {name: found[name] for name in collapsed} == pytest.approx(collapsed)


def test_the_divergence_to_uniform_is_the_published_one():
    result = modes([50, 30, 20], [10, 5, 5])
    assert result["kl_uniform"] == pytest.approx(scipy.stats.entropy([10, 5, 5], [1] * 3), rel=1e-12)


def test_the_excess_of_few_draws_against_all_of_them():
    p = torch.tensor([0.7, 0.3])
    expected = sum(
        math.comb(3, k) * 0.7**k * 0.3 ** (3 - k) * scipy.stats.entropy([k, 3 - k], [0.7, 0.3]) for k in range(4)
    )
    assert float(excess(p, 3)) == pytest.approx(expected, rel=1e-6)
    assert float(excess(torch.tensor([1.0, 0.0]), 5)) == 0


def test_floors_are_the_means_of_perfect_samples():
    random = np.random.default_rng(0)
    digits = random.dirichlet(np.full(10, 200.0))
    p = np.einsum("i,j,k->ijk", digits, digits, digits).ravel()
    published = 26_000  # images of stacked MNIST
    floor = float(excess(torch.from_numpy(p), published))
    draws = random.multinomial(published, p, size=200) / published
    assert floor == pytest.approx(np.mean([scipy.stats.entropy(q, p) for q in draws]), rel=0.01)
    assert floor == pytest.approx(999 / 2 / published, rel=0.02)
    values = []
    for _ in range(30):
        metric = ModesCovered(2)
        for count, kept in ((published, metric.real_counts), (published // 2, metric.fake_counts)):
            kept.append(torch.tensor(random.multinomial(count, p)[None]))
        values.append({name: value.item() for name, value in metric.compute().items()})
    for name in ("modes_kl", "modes_kl_uniform"):
        mean, floor = (np.mean([each[key] for each in values]) for key in (name, f"{name}_floor"))
        assert floor == pytest.approx(mean, rel=0.05), name


def test_a_stray_image_is_no_fair_share():
    result = modes([25] * 4, [60, 30, 9, 1])
    assert (result["covered"], result["covered_fairly"]) == (4, 3)
    assert result["kl"] == pytest.approx(scipy.stats.entropy([60, 30, 9, 1], [25] * 4), rel=1e-12)
    assert result["rarest"] == 0.01
    # exactly a third of its share is enough
    assert modes([1, 1, 1], [4, 4, 1])["covered_fairly"] == 3
    assert modes([1, 1, 1], [40, 41, 9])["covered_fairly"] == 2


def test_a_fair_share_is_that_of_the_real_images():
    assert modes([90, 10], [95, 5])["covered_fairly"] == 2
    assert modes([50, 50], [95, 5])["covered_fairly"] == 1


def test_a_mode_without_real_images():
    result = modes([10, 10, 0], [10, 5, 5])
    assert (result["covered"], result["covered_fairly"]) == (3, 2)
    assert result["kl"] == pytest.approx(scipy.stats.entropy([10, 5, 5], [10, 10, 1]), rel=1e-12)


def test_bad_logits():
    metric = ModesCovered(2)
    with pytest.raises(ValueError, match="ModesCovered needs class logits"):
        metric.update(Features(torch.zeros(3, 2)), real=False)
    metric.update(Features(torch.zeros(3, 2), torch.zeros(3, 4)), real=True)
    with pytest.raises(ValueError, match=r"made for features \(N, 4\), and was given \(3, 5\)"):
        metric.update(Features(torch.zeros(3, 2), torch.zeros(3, 5)), real=False)
    with pytest.raises(TooFewSamplesError, match=r"ModesCovered needs at least 1 .* only 0"):
        metric.compute()


def ring(modes_count=8):
    angles = torch.arange(modes_count) * 2 * math.pi / modes_count
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def sampled(means, std, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(means), (count,), generator=generator)
    return means[chosen] + std * torch.randn(count, 2, generator=generator)


def mixture(samples, means, std):
    return {name: value.item() for name, value in mixture_coverage(samples, means, std).items()}


def test_the_mixture_itself():
    result = mixture(sampled(ring(), 0.01, 100_000), ring(), 0.01)
    assert (result["modes_covered"], result["modes_covered_fairly"]) == (8, 8)
    assert result["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=1e-3)
    assert 0 <= result["modes_kl"] < 1e-3


def test_one_mode_and_a_stray():
    means = ring()
    one = mixture(means[:1].repeat(100, 1), means, 0.01)
    assert one == pytest.approx(
        {"modes_covered": 1, "modes_covered_fairly": 1, "high_quality": 1, "modes_kl": math.log(8)}
    )
    stray = mixture(torch.cat([means[:1].repeat(99, 1), means[3:4]]), means, 0.01)
    assert (stray["modes_covered"], stray["modes_covered_fairly"]) == (2, 1)
    assert stray["modes_kl"] == pytest.approx(scipy.stats.entropy([99, 1, 0, 0, 0, 0, 0, 0], [1] * 8), rel=1e-12)


def test_agrees_with_counting_by_hand():
    grid = torch.cartesian_prod(torch.arange(-4.0, 5, 2), torch.arange(-4.0, 5, 2))
    samples = sampled(grid, 0.08, 400)
    hits = [0] * 25
    for x, y in samples.tolist():
        distance, mode = min((math.hypot(x - a, y - b), k) for k, (a, b) in enumerate(grid.tolist()))
        hits[mode] += distance < 3 * 0.05
    result = mixture(samples, grid, 0.05)
    assert result["modes_covered"] == sum(hit > 0 for hit in hits)
    assert result["modes_covered_fairly"] == sum(hit >= 400 / 25 / 3 for hit in hits)
    assert result["high_quality"] == sum(hits) / 400
    assert result["modes_kl"] == pytest.approx(scipy.stats.entropy(hits, [1] * 25), rel=1e-12)


def test_a_uniform_square_is_of_low_quality():
    samples = torch.rand(2500, 2, generator=torch.Generator().manual_seed(0)) * 2.4 - 1.2
    assert mixture(samples, ring(), 0.01)["high_quality"] < 0.01


def test_no_sample_of_high_quality():
    nowhere = {"modes_covered": 0, "modes_covered_fairly": 0, "high_quality": 0, "modes_kl": math.log(8)}
    assert mixture(torch.full((100, 2), 50.0), ring(), 0.01) == pytest.approx(nowhere)


def test_the_radius_of_high_quality():
    samples = torch.tensor([[1.02, 0.0], [1.05, 0.0], [0.0, 1.2]])  # 2, 5 and 20 deviations away
    found = [float(mixture_coverage(samples, ring(), 0.01, radius)["high_quality"]) for radius in (3, 10, 25)]
    assert found == pytest.approx([1 / 3, 2 / 3, 1])


def test_modes_of_unequal_width_are_separated_in_their_own_standard_deviations():
    means, std = torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([0.01, 0.5])
    modes, distances = nearest_modes(torch.tensor([[0.02, 0.0], [0.2, 0.0]]), means, std)
    assert modes.tolist() == [1, 1]
    assert distances.tolist() == pytest.approx([1.96, 1.6], rel=1e-6)


def test_bad_samples():
    with pytest.raises(ValueError, match="NaN or infinite samples: the generator has diverged"):
        mixture_coverage(torch.tensor([[0.0, torch.nan]]), ring(), 0.01)
    with pytest.raises(TooFewSamplesError, match="at least 1 sample"):
        mixture_coverage(torch.empty(0, 2), ring(), 0.01)
