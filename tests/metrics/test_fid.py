import copy
import json
import math

import pytest
import scipy.linalg
import torch
import torch.distributed as dist
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance as TorchmetricsFID

import gan_lightning.metrics.fid as fid_module
from gan_lightning.extractors.base import Features
from gan_lightning.metrics.base import TooFewSamplesError
from gan_lightning.metrics.fid import ClasswiseFID, FIDInfinity, FrechetInceptionDistance
from gan_lightning.metrics.inception_score import InceptionScoreInfinity
from gan_lightning.metrics.modes import ModesCovered


def fed(metric, real, fake, parts=1):
    for part in real.chunk(parts):
        metric.update(Features(part), real=True)
    for part in fake.chunk(parts):
        metric.update(Features(part), real=False)
    return metric


def fid(real, fake, parts=1):
    return fed(FrechetInceptionDistance(real.shape[1]), real, fake, parts).compute()["fid"].item()


def with_moments(mean, covariance, count=64):
    """Float64 samples whose mean and covariance (divided by count - 1) are exactly these."""
    mean, covariance = torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64)
    x = torch.randn(count, len(mean), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = x - x.mean(dim=0)
    whiten = torch.linalg.inv(torch.linalg.cholesky(x.T.cov()))
    return x @ whiten.T @ torch.linalg.cholesky(covariance).T + mean


def by_torch_fidelity(real, fake):
    real, fake = (fid_features_to_statistics(features.double()) for features in (real, fake))
    return fid_statistics_to_metric(fake, real, verbose=False)["frechet_inception_distance"]


def by_torchmetrics(real, fake):
    given = torch.nn.Identity()
    given.num_features = real.shape[1]
    return fed_plain(TorchmetricsFID(feature=given), real.double(), fake.double()).compute().item()


def fed_plain(metric, real, fake):
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.3, 1.5), (10.0, 0.01)])
@pytest.mark.parametrize("theirs", [by_torch_fidelity, by_torchmetrics])
def test_agrees_with_others(shift, scale, theirs):
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(48, 48, generator=generator) / 7
    real = torch.randn(700, 48, generator=generator) @ mix
    fake = torch.randn(300, 48, generator=generator) * scale + shift
    assert fid(real, fake) == pytest.approx(theirs(real, fake), rel=1e-8)
    assert fid(real, fake, parts=7) == pytest.approx(theirs(real, fake), rel=1e-8)


def test_closed_forms():
    diagonal = with_moments([0, 0], [[1, 0], [0, 4]]), with_moments([3, 4], [[9, 0], [0, 16]])
    assert fid(*diagonal) == pytest.approx(33, rel=1e-10)
    tilted = with_moments([0, 0], [[2, 1], [1, 2]]), with_moments([0, 0], [[1, 0], [0, 4]])
    assert fid(*tilted) == pytest.approx(9 - 2 * math.sqrt(10 + 2 * math.sqrt(12)), rel=1e-10)
    assert fid(*reversed(tilted)) == pytest.approx(fid(*tilted), rel=1e-10)


def test_small_differences_far_from_the_origin():
    generator = torch.Generator().manual_seed(0)
    # what float32 makes of the values is not to be measured; in float32 their squares would leave nothing
    real, fake = (torch.randn(n, 16, generator=generator, dtype=torch.float64) for n in (500, 400))
    near = fid(real, fake * 1.2)
    assert fid(real * 0.003 + 10, fake * 1.2 * 0.003 + 10, parts=9) == pytest.approx(near * 0.003**2, rel=1e-9)
    assert fid(real * 1e-4 + 1e4, fake * 1.2e-4 + 1e4, parts=9) == pytest.approx(near * 1e-8, rel=1e-5)


def test_merging_parts_is_one_pass():
    x = torch.randn(90, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 3
    parts = []
    for part in (x[:40], x[:0], x[40:41], x[41:]):
        parts.append(fid_module._no_moments(5))
        fid_module._add(parts[-1], part)
    mean, covariance = fid_module._gaussian(fid_module._merged(torch.stack(parts)))
    torch.testing.assert_close(mean, x.mean(dim=0), rtol=1e-13, atol=0)
    torch.testing.assert_close(covariance, x.T.cov(), rtol=1e-12, atol=1e-15)
    assert fid_module._merged(torch.stack([fid_module._no_moments(5)] * 2)).eq(0).all()


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_fewer_images_than_features(scale):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(50, 256, generator=generator) * scale, torch.randn(40, 256, generator=generator) * scale
    assert abs(fid(x, x)) < 1e-9 * scale**2
    a, b = ((z - z.mean(dim=0)).double().numpy() / math.sqrt(len(z) - 1) for z in (x, y))
    product = scipy.linalg.svdvals(a @ b.T).sum()
    means = (x.double().mean(dim=0) - y.double().mean(dim=0)).square().sum().item()
    assert fid(x, y) == pytest.approx(means + (a**2).sum() + (b**2).sum() - 2 * product, rel=1e-6)


def test_constant_images():
    grey, noise = torch.full((30, 6), 0.3), with_moments([0.0] * 6, torch.eye(6).tolist())
    assert fid(grey, grey) == pytest.approx(0, abs=1e-12)
    assert fid(grey, grey + 1) == pytest.approx(6, rel=1e-6)
    assert fid(noise, grey) == pytest.approx(6 + 6 * 0.09, rel=1e-6)
    assert fid(grey, noise) == pytest.approx(6 + 6 * 0.09, rel=1e-6)


def test_too_few_images():
    x = torch.randn(5, 3)
    with pytest.raises(TooFewSamplesError, match=r"FrechetInceptionDistance needs at least 2 .* only 1"):
        fid(x, x[:1])


def test_the_root_of_the_reals_is_computed_once(monkeypatch):
    rooted = []
    root = fid_module._root
    monkeypatch.setattr(fid_module, "_root", lambda covariance: rooted.append(0) or root(covariance))
    real, fake = torch.randn(40, 4), torch.randn(30, 4)
    metric = fed(FrechetInceptionDistance(4), real, fake)
    first = metric.compute()["fid"]
    metric.reset(keep_real=True)
    metric.update(Features(fake), real=False)
    assert metric.compute()["fid"] == first
    assert len(rooted) == 1
    assert copy.deepcopy(metric).compute()["fid"] == first

    metric.update(Features(real[:1] + 3), real=True)
    assert metric.compute()["fid"].item() == pytest.approx(fid(torch.cat([real, real[:1] + 3]), fake), rel=1e-9)
    metric.reset()
    assert fed(metric, real * 2, fake).compute()["fid"].item() == fid(real * 2, fake)


def infinity(real, fake, **arguments):
    return fed(FIDInfinity(real.shape[1], **arguments), real, fake, parts=3).compute()["fid_infinity"].item()


def test_fid_infinity_takes_the_bias_of_few_images_away():
    generator = torch.Generator().manual_seed(0)
    real = with_moments([0.0] * 64, torch.eye(64).tolist(), count=500)
    fake = torch.randn(6400, 64, generator=generator)
    finite = fid(real, fake)
    assert finite == pytest.approx((64 + 64 * 65 / 4) / 6400, rel=0.05)
    assert abs(infinity(real, fake)) < finite / 5


def test_fid_infinity_is_the_line_through_fids_of_subsets():
    generator = torch.Generator().manual_seed(3)
    real, fake = torch.randn(60, 4, generator=generator), torch.randn(150, 4, generator=generator) * 1.3
    draws = torch.Generator().manual_seed(7)
    sizes = [round(15 + i * 135 / 14) for i in range(15)]
    fids = [fid(real, fake[torch.randperm(150, generator=draws)[:size]]) for size in sizes]
    design = torch.tensor([[1, 1 / size] for size in sizes], dtype=torch.float64)
    intercept = torch.linalg.lstsq(design, torch.tensor(fids, dtype=torch.float64).unsqueeze(1)).solution[0].item()
    before = torch.get_rng_state()
    assert infinity(real, fake, seed=7) == pytest.approx(intercept, rel=1e-8)
    assert torch.equal(torch.get_rng_state(), before)
    assert infinity(real, fake, seed=8) != pytest.approx(intercept, rel=1e-3)


def test_fid_infinity_needs_more_images_than_features_in_its_smallest_subset():
    with pytest.raises(TooFewSamplesError, match=r"FIDInfinity needs at least 50 .* only 49"):
        infinity(torch.randn(30, 4), torch.randn(49, 4))
    with pytest.raises(TooFewSamplesError, match=r"FIDInfinity needs at least 2 .* only 1"):
        infinity(torch.randn(1, 4), torch.randn(50, 4))
    assert math.isfinite(infinity(torch.ones(30, 4), torch.ones(50, 4)))


def classwise(real, real_labels, fake, fake_labels):
    metric = ClasswiseFID(real.shape[1])
    for x, labels, is_real in (real, real_labels, True), (fake, fake_labels, False):
        for part, some in zip(x.split(64), torch.as_tensor(labels).split(64), strict=True):
            metric.update(Features(part, labels=some), real=is_real)
    return {name: value.item() for name, value in metric.compute().items()}


def test_a_generator_that_ignores_the_label():
    labels = torch.arange(400) % 2
    real = with_moments([0.0] * 3, torch.eye(3).tolist(), count=400) + 10 * labels.unsqueeze(1)
    swapped = with_moments([0.0] * 3, torch.eye(3).tolist(), count=400) + 10 * (1 - labels).unsqueeze(1)
    assert fid(real, swapped) < 0.1
    assert classwise(real, labels, real, labels)["class_fid"] == pytest.approx(0, abs=1e-9)
    assert classwise(real, labels, swapped, labels)["class_fid"] == pytest.approx(300, rel=0.05)
    assert classwise(real, labels, swapped, 1 - labels)["class_fid"] < 0.1


@pytest.mark.parametrize("width", [5, 60])  # fewer than the images of a class, and more
def test_class_fid_agrees_with_torch_fidelity_on_each_class(width):
    generator = torch.Generator().manual_seed(0)
    real_labels, fake_labels = (
        torch.randint(3, (120,), generator=generator),
        torch.randint(3, (90,), generator=generator),
    )
    real = torch.randn(120, width, generator=generator)
    fake = torch.randn(90, width, generator=generator) + fake_labels.unsqueeze(1) % 2
    each = [by_torch_fidelity(real[real_labels == c], fake[fake_labels == c]) for c in range(3)]
    assert classwise(real, real_labels, fake, fake_labels) == pytest.approx(
        {"class_fid": sum(each) / 3, "class_fid_worst": max(each), "class_fid_worst_class": 1, "class_fid_classes": 3},
        rel=1e-6,
    )


def test_equal_small_classes_have_a_class_fid_of_zero():
    x, labels = torch.randn(30, 200) * 100, torch.arange(30) % 3
    assert classwise(x, labels, x, labels)["class_fid"] == pytest.approx(0, abs=1e-6)


def test_classes_with_too_few_images():
    x = torch.randn(10, 3)
    real_labels = [0] * 4 + [1] * 5 + [2]  # a single real image of class 2
    result = classwise(x, real_labels, x, [0] * 4 + [1] * 2 + [3] * 4)
    assert result["class_fid_classes"] == 2
    for missing in ([0] * 10, [0] * 9 + [1]):
        with pytest.raises(TooFewSamplesError, match=r"ClasswiseFID needs at least 2 .*class 1, which 5 real.* only"):
            classwise(x, real_labels, x, missing)
    with pytest.raises(TooFewSamplesError, match="of at least one class"):
        classwise(x, list(range(10)), x, real_labels)


def test_class_fid_without_labels():
    for real, whose in (True, "real"), (False, "generated"):
        with pytest.raises(ValueError, match=f"class of each image, and these {whose} ones have none: use labelled"):
            ClasswiseFID(3).update(Features(torch.zeros(2, 3)), real=real)


GATHERED = [FrechetInceptionDistance, ClasswiseFID, FIDInfinity, InceptionScoreInfinity, ModesCovered]


@pytest.mark.parametrize("kind", GATHERED)
def test_features_that_are_not_finite_are_refused(kind):
    broken = Features(torch.full((2, 8), torch.nan), torch.full((2, 4), torch.inf), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match=f"{kind.__name__} was given NaN or infinite features"):
        kind(8).update(broken, real=False)


def numbers(kind, share):
    """Return a metric's values of a share of 60 real and 80 generated images, in a first and a second evaluation."""
    generator = torch.Generator().manual_seed(0)
    metric = kind(4)

    def see(count, real):
        x, logits = torch.randn(count, 4, generator=generator) + real, torch.randn(count, 3, generator=generator)
        if len(x[share]):
            metric.update(Features(x[share], logits[share], torch.arange(count)[share] % 2), real=real)

    see(60, real=True)
    results = []
    for _ in range(2):
        see(80, real=False)
        results.append({name: value.item() for name, value in metric.compute().items()})
        metric.reset(keep_real=True)
    return results


def on_rank(rank, place):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{place}/meet", rank=rank, world_size=2)
    cuts = (slice(0, 45), slice(45, None)), (slice(0, None), slice(0, 0))  # uneven shares; rank 1 has none
    results = [[numbers(kind, cut[rank]) for kind in GATHERED] for cut in cuts]
    (place / f"{rank}.json").write_text(json.dumps(results))
    dist.destroy_process_group()


def test_two_processes_get_what_one_gets(tmp_path):
    torch.multiprocessing.spawn(on_rank, (tmp_path,), nprocs=2)
    expected = [numbers(kind, slice(None)) for kind in GATHERED]
    for rank in range(2):
        for results in json.loads((tmp_path / f"{rank}.json").read_text()):
            for result, values in zip(results, expected, strict=True):
                assert [*map(pytest.approx, values)] == result
