"""Metrics of generated images, and the feature extractors they are computed from."""

from gan_lightning.metrics.base import FeatureMetric, TooFewSamplesError
from gan_lightning.metrics.digits import DigitClassifier
from gan_lightning.metrics.extractors import FeatureExtractor, Features, ModuleExtractor
from gan_lightning.metrics.fid import FrechetInceptionDistance
from gan_lightning.metrics.inception import InceptionV3
from gan_lightning.metrics.inception_score import InceptionScore
from gan_lightning.metrics.kid import KernelInceptionDistance
from gan_lightning.metrics.neighbours import DensityCoverage, PrecisionRecall

__all__ = [
    "DensityCoverage",
    "DigitClassifier",
    "FeatureExtractor",
    "FeatureMetric",
    "Features",
    "FrechetInceptionDistance",
    "InceptionScore",
    "InceptionV3",
    "KernelInceptionDistance",
    "ModuleExtractor",
    "PrecisionRecall",
    "TooFewSamplesError",
]
