"""Shared code of model families besides the game: drawing fakes, making images, showing progress."""

from gan_lightning.families.autoregressive import Autoregressive, as_values
from gan_lightning.families.encoders import CodeGame, PairGame, Pairs, WithEncoder, code_contest
from gan_lightning.families.few_labels import FewLabels
from gan_lightning.families.labels import LabelTranslation
from gan_lightning.families.latents import FromLatents, NoiseToImage
from gan_lightning.families.noise import FromNoise
from gan_lightning.families.talking_heads import DrivenHeads
from gan_lightning.families.targets import DomainTranslation
from gan_lightning.families.texts import TextToImage
from gan_lightning.families.translation import (
    Direction,
    Exchanged,
    FromSources,
    OneWayTranslation,
    PairedTranslation,
    StyledPairedTranslation,
    StyledUnpairedTranslation,
    SuperResolution,
    Translates,
    Unpaired,
    UnpairedTranslation,
    check_parts,
    side_by_side,
)

__all__ = [
    "Autoregressive",
    "CodeGame",
    "Direction",
    "DomainTranslation",
    "DrivenHeads",
    "Exchanged",
    "FewLabels",
    "FromLatents",
    "FromNoise",
    "FromSources",
    "LabelTranslation",
    "NoiseToImage",
    "OneWayTranslation",
    "PairGame",
    "PairedTranslation",
    "Pairs",
    "StyledPairedTranslation",
    "StyledUnpairedTranslation",
    "SuperResolution",
    "TextToImage",
    "Translates",
    "Unpaired",
    "UnpairedTranslation",
    "WithEncoder",
    "as_values",
    "check_parts",
    "code_contest",
    "side_by_side",
]
