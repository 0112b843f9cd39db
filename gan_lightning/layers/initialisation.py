"""Initialisations of a translator's weights, by name."""

from typing import Literal

from torch import nn

from gan_lightning.layers import init_normal

Initialisation = Literal["normal", "xavier"]


def initialise(module: nn.Module, kind: Initialisation) -> None:
    """Initialise convolutions and linear layers; batch-norm gains are N(1, 0.02), biases 0.

    "normal" is N(0, 0.02) everywhere (pix2pix, CycleGAN). "xavier" is N(0, s) with s = 0.02 √(2 / (fan_in + fan_out))
    (CUT, SPADE, BicycleGAN): many times smaller, so that Adam changes the weights sooner.

    Raises:
        ValueError: `kind` is neither.
    """
    if kind not in ("normal", "xavier"):
        raise ValueError(f'init must be "normal" or "xavier", not {kind!r}')
    init_normal(module)
    if kind == "xavier":
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.xavier_normal_(part.weight, gain=0.02)
