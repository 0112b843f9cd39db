"""Every metric on the inputs that break metrics: finite values or a clear error, never a silent NaN."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from gan_lightning import metrics
from gan_lightning.metrics import FeatureMetric, Features, LabelledImageMetric, PairMetric, TooFewSamplesError

D, K = 6, 4
OF_FEATURES = {
    "fid": metrics.FrechetInceptionDistance,
    "class_fid": metrics.ClasswiseFID,
    "fid_infinity": metrics.FIDInfinity,
    "is": partial(metrics.InceptionScore, splits=2),
    "is_infinity": metrics.InceptionScoreInfinity,
    "kid": partial(metrics.KernelInceptionDistance, subsets=3, subset_size=5),
    "pr": metrics.PrecisionRecall,
    "dc": metrics.DensityCoverage,
    "distance": partial(metrics.FeatureDistance, pairs=50),
    "authenticity": metrics.Authenticity,
    "modes": metrics.ModesCovered,
}
OF_IMAGES = {
    "pixels": partial(metrics.PixelDistance, pairs=50),
    "swd": metrics.SlicedWasserstein,
    "ms_ssim": metrics.MultiScaleSSIM,
    "lpips": lambda: metrics.LPIPSDiversity(distance=lambda a, b: (a - b).square().mean(dim=(1, 2, 3))),
    "cas": partial(metrics.ClassificationAccuracy, network=lambda c, k: nn.Sequential(nn.Flatten(), nn.LazyLinear(k))),
}
OF_PAIRS = {
    "psnr": metrics.PSNR,
    "psnr_y": partial(metrics.PSNR, "y", border=4),
    "ssim": metrics.SSIM,
    "l1": metrics.L1,
    "lpips_pairs": lambda: metrics.PairedLPIPS(lambda a, b: (a - b).square().mean(dim=(1, 2, 3))),
}


def draw(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pooled = torch.randn(count, D, generator=generator)
    return Features(pooled, torch.randn(count, K, generator=generator), torch.arange(count) % K)


def pictures(count, seed=0):
    return torch.randint(0, 256, (count, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def constant(features):
    return Features(*(None if field is None else field[:1].expand_as(field).clone() for field in features))


FEATURES = {
    "constant fakes": (draw(100), constant(draw(100, 1))),
    "constant reals": (constant(draw(100)), draw(100, 1)),
    "both constant": (constant(draw(100)), constant(draw(100))),
    "equal": (draw(100), draw(100)),
    "fewer than features": (draw(5), draw(5, 1)),
    "unequal sizes": (draw(100), draw(70, 1)),
    "no fakes": (draw(100), draw(0)),
    "nothing": (draw(0), draw(0)),
    "one": (draw(1), draw(1, 1)),
    "huge": (Features(draw(100).pooled * 1e15, draw(100).logits * 1e4, draw(100).labels), draw(100, 1)),
}
IMAGES = {
    "constant fakes": (pictures(40), torch.full((40, 1, 32, 32), 7, dtype=torch.uint8)),
    "constant reals": (torch.zeros(40, 1, 32, 32, dtype=torch.uint8), pictures(40)),
    "both black": (torch.zeros(40, 1, 32, 32, dtype=torch.uint8),) * 2,
    "equal": (pictures(40), pictures(40)),
    "unequal numbers": (pictures(40), pictures(24, 1)),
    "nothing": (pictures(0), pictures(0)),
    "one": (pictures(1), pictures(1, 1)),
}


def finite_or_refused(metric):
    values, message = {}, ""
    try:
        values = metric.compute()
    except ValueError as error:  # TooFewSamplesError is one
        message = str(error)
    assert values or len(message) > 30
    assert all(math.isfinite(value) for value in values.values()), values


@pytest.mark.parametrize("case", FEATURES)
@pytest.mark.parametrize("name", OF_FEATURES)
def test_features(name, case):
    metric = OF_FEATURES[name](D)
    assert isinstance(metric, FeatureMetric)
    for features, real in zip(FEATURES[case], (True, False), strict=True):
        metric.update(features, real=real)
    finite_or_refused(metric)


@pytest.mark.parametrize("case", IMAGES)
@pytest.mark.parametrize("name", OF_IMAGES)
def test_images(name, case):
    metric = OF_IMAGES[name]()
    assert isinstance(metric, LabelledImageMetric)
    for images, real in zip(IMAGES[case], (True, False), strict=True):
        metric.update(images, real=real, labels=torch.arange(len(images)) % K)
    finite_or_refused(metric)


@pytest.mark.parametrize("case", [case for case in IMAGES if case != "unequal numbers"])
@pytest.mark.parametrize("name", OF_PAIRS)
def test_pairs(name, case):
    metric = OF_PAIRS[name]()
    assert isinstance(metric, PairMetric)
    metric.update(*IMAGES[case])
    finite_or_refused(metric)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_nan_is_refused_where_it_comes_in(name):
    metric, features = OF_FEATURES[name](D), draw(20)
    features.pooled[3, 1] = features.logits[3, 1] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        metric.update(features, real=False)


@pytest.mark.parametrize("name", OF_IMAGES)
def test_sizes_that_differ_are_refused(name):
    metric = OF_IMAGES[name]()
    labels = torch.arange(40) % K
    metric.update(pictures(40), real=True, labels=labels)
    with pytest.raises(ValueError, match="size"):
        metric.update(pictures(40)[:, :, :28], real=True, labels=labels)
    metric.update(pictures(40)[:, :, :28], real=False, labels=labels)
    with pytest.raises(ValueError, match="size"):
        metric.compute()


@pytest.mark.parametrize("name", [*OF_FEATURES, *OF_IMAGES, *OF_PAIRS])
def test_nothing_at_all_is_too_few(name):
    metric = OF_FEATURES[name](D) if name in OF_FEATURES else (OF_IMAGES | OF_PAIRS)[name]()
    with pytest.raises(TooFewSamplesError, match="needs at least"):
        metric.compute()
