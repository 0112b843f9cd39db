"""Shared code of model families besides the game: drawing fakes, making images, showing progress."""

from gan_lightning.families.labels import LabelTranslation
from gan_lightning.families.latents import FromLatents, NoiseToImage
from gan_lightning.families.talking_heads import DrivenHeads
from gan_lightning.families.targets import DomainTranslation
from gan_lightning.families.translation import (
    Direction,
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
    "Direction",
    "DomainTranslation",
    "DrivenHeads",
    "FromLatents",
    "FromSources",
    "LabelTranslation",
    "NoiseToImage",
    "OneWayTranslation",
    "PairedTranslation",
    "StyledPairedTranslation",
    "StyledUnpairedTranslation",
    "SuperResolution",
    "Translates",
    "Unpaired",
    "UnpairedTranslation",
    "check_parts",
    "side_by_side",
]
