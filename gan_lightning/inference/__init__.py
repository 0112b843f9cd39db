"""Images from a trained network: from latents, and from images. Nothing here needs Lightning."""

from gan_lightning.inference.autoregressive import AutoregressiveSampler
from gan_lightning.inference.choices import DomainTranslator, StyleTranslator
from gan_lightning.inference.labels import LabelTranslator
from gan_lightning.inference.latents import ImageName, Kind, LatentSampler, Sampler, Space
from gan_lightning.inference.modes import evaluating, frozen
from gan_lightning.inference.priors import CodesPrior, IntervalPrior, NormalPrior, Prior, UniformPrior
from gan_lightning.inference.standing import measure_standing_statistics
from gan_lightning.inference.texts import Prompts, TextSampler
from gan_lightning.inference.translation import Choice, Policy, Segmenter, Translator

__all__ = [
    "AutoregressiveSampler",
    "Choice",
    "CodesPrior",
    "DomainTranslator",
    "ImageName",
    "IntervalPrior",
    "Kind",
    "LabelTranslator",
    "LatentSampler",
    "NormalPrior",
    "Policy",
    "Prior",
    "Prompts",
    "Sampler",
    "Segmenter",
    "Space",
    "StyleTranslator",
    "TextSampler",
    "Translator",
    "UniformPrior",
    "evaluating",
    "frozen",
    "measure_standing_statistics",
]
