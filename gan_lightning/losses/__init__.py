"""Losses and penalties: functions of tensors, and small objects that hold a loss's labels."""

from gan_lightning.losses.adversarial import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Wasserstein,
    ZeroSum,
)
from gan_lightning.losses.contrastive import patch_nce
from gan_lightning.losses.divergences import (
    KL,
    AlternativeUpdate,
    FDivergence,
    GANDivergence,
    JensenShannon,
    NeymanChiSquared,
    PearsonChiSquared,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from gan_lightning.losses.feature_matching import feature_matching, layer_matching
from gan_lightning.losses.information import categorical_information, continuous_information
from gan_lightning.losses.kernels import mmd2, safe_sqrt, unbiased_mmd2
from gan_lightning.losses.likelihoods import Bernoulli, Gaussian, Likelihood
from gan_lightning.losses.penalties import gradient_penalty, r1, r2
from gan_lightning.losses.perceptual import (
    DISTANCES,
    Distance,
    DomainInvariantLoss,
    EfficientNetLoss,
    FeatureDistance,
    FeatureLoss,
    PerceptualLoss,
    VGG19Loss,
    VGGFaceLoss,
    gram_distance,
)
from gan_lightning.losses.relativistic import RelativisticAverage, RelativisticPairing
from gan_lightning.losses.segmentation import PixelCrossEntropy, border_weights
from gan_lightning.losses.weighted import WeightedGenerator

__all__ = [
    "DISTANCES",
    "KL",
    "AdversarialLoss",
    "AlternativeUpdate",
    "Bernoulli",
    "Distance",
    "DomainInvariantLoss",
    "EfficientNetLoss",
    "FDivergence",
    "FeatureDistance",
    "FeatureLoss",
    "GANDivergence",
    "Gaussian",
    "Hinge",
    "JensenShannon",
    "LeastSquares",
    "Likelihood",
    "Minimax",
    "NeymanChiSquared",
    "NonSaturating",
    "PearsonChiSquared",
    "PerceptualLoss",
    "PixelCrossEntropy",
    "RelativisticAverage",
    "RelativisticPairing",
    "ReverseKL",
    "SquaredHellinger",
    "TotalVariation",
    "VGG19Loss",
    "VGGFaceLoss",
    "Wasserstein",
    "WeightedGenerator",
    "ZeroSum",
    "border_weights",
    "categorical_information",
    "continuous_information",
    "feature_matching",
    "gradient_penalty",
    "gram_distance",
    "layer_matching",
    "mmd2",
    "patch_nce",
    "r1",
    "r2",
    "safe_sqrt",
    "unbiased_mmd2",
]
