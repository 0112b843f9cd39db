"""Losses and penalties: functions of tensors, and small objects that hold a loss's labels."""

from gan_lightning.losses.adversarial import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Wasserstein,
)
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
from gan_lightning.losses.feature_matching import feature_matching
from gan_lightning.losses.information import categorical_information, continuous_information
from gan_lightning.losses.kernels import mmd2, safe_sqrt, unbiased_mmd2
from gan_lightning.losses.likelihoods import Bernoulli, Gaussian, Likelihood
from gan_lightning.losses.penalties import gradient_penalty, r1, r2
from gan_lightning.losses.relativistic import RelativisticAverage, RelativisticPairing
from gan_lightning.losses.weighted import WeightedGenerator

__all__ = [
    "KL",
    "AdversarialLoss",
    "AlternativeUpdate",
    "Bernoulli",
    "FDivergence",
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
    "RelativisticAverage",
    "RelativisticPairing",
    "ReverseKL",
    "SquaredHellinger",
    "TotalVariation",
    "Wasserstein",
    "WeightedGenerator",
    "categorical_information",
    "continuous_information",
    "feature_matching",
    "gradient_penalty",
    "mmd2",
    "r1",
    "r2",
    "safe_sqrt",
    "unbiased_mmd2",
]
