"""Images from a trained network: from latents, and from images. Nothing here needs Lightning."""

from gan_lightning.inference.latents import ImageName, LatentSampler, Sampler, Space
from gan_lightning.inference.modes import evaluating, frozen
from gan_lightning.inference.priors import CodesPrior, NormalPrior, Prior, UniformPrior
from gan_lightning.inference.standing import measure_standing_statistics
from gan_lightning.inference.translation import Policy, Segmenter, Translator

__all__ = [
    "CodesPrior",
    "ImageName",
    "LatentSampler",
    "NormalPrior",
    "Policy",
    "Prior",
    "Sampler",
    "Segmenter",
    "Space",
    "Translator",
    "UniformPrior",
    "evaluating",
    "frozen",
    "measure_standing_statistics",
]
