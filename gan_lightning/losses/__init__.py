"""Losses and penalties: functions of tensors, and small objects that hold a loss's labels."""

from gan_lightning.losses.adversarial import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Wasserstein,
)
from gan_lightning.losses.penalties import gradient_penalty, r1, r2

__all__ = [
    "AdversarialLoss",
    "Hinge",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "Wasserstein",
    "gradient_penalty",
    "r1",
    "r2",
]
