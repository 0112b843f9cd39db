"""Metrics of generated images, and the feature extractors they are computed from."""

from gan_lightning.extractors.base import FeatureExtractor, Features, ModuleExtractor, NoFeatures
from gan_lightning.extractors.digits import DigitClassifier, StackedDigitClassifier
from gan_lightning.extractors.efficientnet import EfficientNetLite0
from gan_lightning.extractors.inception import CleanInceptionV3, InceptionV3
from gan_lightning.extractors.timm_models import DINOv2, TimmExtractor
from gan_lightning.extractors.torchvision_models import VGG16, TorchvisionExtractor
from gan_lightning.metrics.base import (
    EvaluationMetric,
    FeatureMetric,
    GeneratorMetric,
    ImageMetric,
    LabelledImageMetric,
    OutputMetric,
    PairMetric,
    StyleMetric,
    TooFewSamplesError,
)
from gan_lightning.metrics.classification_accuracy import ClassificationAccuracy
from gan_lightning.metrics.distances import FeatureDistance, PixelDistance
from gan_lightning.metrics.fid import ClasswiseFID, FIDInfinity, FrechetInceptionDistance
from gan_lightning.metrics.inception_score import InceptionScore, InceptionScoreInfinity
from gan_lightning.metrics.kid import KernelInceptionDistance
from gan_lightning.metrics.likelihood import NegativeLogLikelihood
from gan_lightning.metrics.memorisation import Authenticity
from gan_lightning.metrics.modes import ModesCovered, mixture_coverage, nearest_modes
from gan_lightning.metrics.ms_ssim import MultiScaleSSIM
from gan_lightning.metrics.named import EXTRACTORS, make_extractor
from gan_lightning.metrics.neighbours import DensityCoverage, PrecisionRecall, nearest_neighbours, nearest_others
from gan_lightning.metrics.pairs import L1, PSNR, SSIM, PairedLPIPS
from gan_lightning.metrics.path_length import PerceptualPathLength
from gan_lightning.metrics.perceptual import LPIPS, LPIPSDiversity, PerceptualDistance
from gan_lightning.metrics.r_precision import RPrecision
from gan_lightning.metrics.segmentation import SegmentationScores
from gan_lightning.metrics.shapes import ShapeDistances, ShapeIoU
from gan_lightning.metrics.sliced_wasserstein import SlicedWasserstein
from gan_lightning.metrics.styles import ConditionalInceptionScore, StyleDiversity

__all__ = [
    "EXTRACTORS",
    "L1",
    "LPIPS",
    "PSNR",
    "SSIM",
    "VGG16",
    "Authenticity",
    "ClassificationAccuracy",
    "ClasswiseFID",
    "CleanInceptionV3",
    "ConditionalInceptionScore",
    "DINOv2",
    "DensityCoverage",
    "DigitClassifier",
    "EfficientNetLite0",
    "EvaluationMetric",
    "FIDInfinity",
    "FeatureDistance",
    "FeatureExtractor",
    "FeatureMetric",
    "Features",
    "FrechetInceptionDistance",
    "GeneratorMetric",
    "ImageMetric",
    "InceptionScore",
    "InceptionScoreInfinity",
    "InceptionV3",
    "KernelInceptionDistance",
    "LPIPSDiversity",
    "LabelledImageMetric",
    "ModesCovered",
    "ModuleExtractor",
    "MultiScaleSSIM",
    "NegativeLogLikelihood",
    "NoFeatures",
    "OutputMetric",
    "PairMetric",
    "PairedLPIPS",
    "PerceptualDistance",
    "PerceptualPathLength",
    "PixelDistance",
    "PrecisionRecall",
    "RPrecision",
    "SegmentationScores",
    "ShapeDistances",
    "ShapeIoU",
    "SlicedWasserstein",
    "StackedDigitClassifier",
    "StyleDiversity",
    "StyleMetric",
    "TimmExtractor",
    "TooFewSamplesError",
    "TorchvisionExtractor",
    "make_extractor",
    "mixture_coverage",
    "nearest_modes",
    "nearest_neighbours",
    "nearest_others",
]
