"""What the models of a family share besides the game: how fakes are drawn, images made, and progress shown."""

from gan_lightning.families.latents import FromLatents, NoiseToImage
from gan_lightning.families.translation import (
    Direction,
    FromSources,
    OneWayTranslation,
    PairedTranslation,
    SuperResolution,
    Translates,
    UnpairedTranslation,
    side_by_side,
)

__all__ = [
    "Direction",
    "FromLatents",
    "FromSources",
    "NoiseToImage",
    "OneWayTranslation",
    "PairedTranslation",
    "SuperResolution",
    "Translates",
    "UnpairedTranslation",
    "side_by_side",
]
