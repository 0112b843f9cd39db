import pytest
import torch
from torch import nn

from gan_lightning.evaluation import Evaluator
from gan_lightning.metrics import (
    FeatureMetric,
    FrechetInceptionDistance,
    GeneratorMetric,
    ImageMetric,
    LabelledImageMetric,
    ModuleExtractor,
    PrecisionRecall,
    TooFewSamplesError,
)

EXTRACTOR = ModuleExtractor(nn.AvgPool2d(2), num_features=3)  # of 4x4 images: the mean of each channel


class Noted(FeatureMetric):
    """A metric that keeps its features."""

    def __init__(self, num_features):
        super().__init__(num_features)
        self.add_state("real_fed", [])
        self.add_state("fake_fed", [])

    def update(self, features, real):
        (self.real_fed if real else self.fake_fed).append(features)

    def compute(self):
        return {"fed": torch.tensor(float(len(self.fake_fed)))}


class Looked(ImageMetric):
    def __init__(self):
        super().__init__()
        self.shown = []

    def update(self, images, real):
        self.shown.append((images, real))

    def compute(self):
        return {"shown": torch.tensor(float(len(self.shown)))}


class Classified(LabelledImageMetric):
    def update(self, images, real, labels=None):
        self.labels = labels

    def compute(self):
        return {}


class Probed(GeneratorMetric):
    def update(self, model):
        self.model = model

    def compute(self):
        return {"probed": torch.tensor(1.0)}


def images(count, seed=0):
    return torch.randint(0, 256, (count, 3, 4, 4), generator=torch.Generator().manual_seed(seed)).byte()


def test_each_metric_gets_what_it_is_made_for():
    evaluator = Evaluator(EXTRACTOR, [Noted, Looked(), Probed(), Classified()])
    noted, looked, probed, classified = evaluator.metrics
    assert noted.num_features == 3
    pixels, labels = images(5), torch.arange(5)
    features = evaluator.features(pixels, labels)
    assert torch.allclose(features.pooled, pixels.float().mean((2, 3)) / 127.5 - 1, atol=1e-6)
    assert features.labels is labels
    assert evaluator.features(pixels).labels is None
    evaluator.feed(features, real=False)
    assert noted.fake_fed == [features]
    assert not looked.shown
    evaluator.show(pixels, real=True, labels=labels)
    assert looked.shown == [(pixels, True)]
    assert classified.labels is labels
    evaluator.show(pixels, real=False)
    assert classified.labels is None
    model = object()
    evaluator.probe(model)
    assert probed.model is model
    assert evaluator.compute() == {"fed": 1, "shown": 2, "probed": 1}


def test_it_says_whether_images_are_needed():
    assert Evaluator(EXTRACTOR, [Noted, Looked()]).looks_at_images
    assert not Evaluator(EXTRACTOR, [Noted, Probed()]).looks_at_images


def test_one_pass_gives_what_metrics_by_themselves_give():
    evaluator = Evaluator(EXTRACTOR, [FrechetInceptionDistance, PrecisionRecall])
    alone = [FrechetInceptionDistance(3), PrecisionRecall(3)]
    for seed, real in ((0, True), (1, False), (2, True)):
        features = evaluator.features(images(10, seed))
        evaluator.feed(features, real)
        for metric in alone:
            metric.update(features, real)
    assert evaluator.compute() == {**alone[0].compute(), **alone[1].compute()}


def test_a_metric_with_too_few_images_is_an_error_or_left_out():
    evaluator = Evaluator(EXTRACTOR, [FrechetInceptionDistance, PrecisionRecall])
    for real in (True, False):
        evaluator.feed(evaluator.features(images(3, seed=int(real))), real)
    with pytest.raises(TooFewSamplesError, match="PrecisionRecall needs at least 4"):
        evaluator.compute()
    left_out = []
    assert set(evaluator.compute(left_out.append)) == {"fid"}
    assert [str(error).split()[0] for error in left_out] == ["PrecisionRecall"]


def test_reals_are_kept_or_forgotten():
    evaluator = Evaluator(EXTRACTOR, [FrechetInceptionDistance])

    def fid(seed):
        evaluator.feed(evaluator.features(images(10, seed)), real=False)
        return float(evaluator.compute()["fid"])

    evaluator.feed(evaluator.features(images(10, seed=9)), real=True)
    first = fid(1)
    evaluator.reset(keep_real=True)
    assert fid(2) != first
    evaluator.reset(keep_real=True)
    assert fid(1) == first
    evaluator.reset()
    with pytest.raises(TooFewSamplesError):
        fid(1)


def test_it_moves_with_all_its_metrics():
    evaluator = Evaluator(ModuleExtractor(nn.AvgPool2d(2), num_features=3), [FrechetInceptionDistance, Looked()])
    assert evaluator.to("meta") is evaluator
    assert evaluator.extractor.mean.device.type == "meta"
    assert {metric.device.type for metric in evaluator.metrics} == {"meta"}


def test_evaluators_of_the_same_choice_share_no_state():
    choice = Looked()
    first, second = Evaluator(EXTRACTOR, [choice]), Evaluator(EXTRACTOR, [choice])
    first.show(images(2), real=True)
    assert first.compute() == {"shown": 1}
    assert second.compute() == {"shown": 0}
