"""Initialisations of weights, by name."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

from gan_lightning.layers import ConditionalBatchNorm2d, init_normal

Initialisation = Literal["normal", "xavier", "kaiming"]
Start = Literal["orthogonal", "normal", "xavier"]


def initialise(module: nn.Module, kind: Initialisation) -> None:
    """Initialise convolutions and linear layers; batch-norm gains are N(1, 0.02), biases 0.

    "normal" is N(0, 0.02) everywhere (pix2pix, CycleGAN). "xavier" is N(0, s) with s = 0.02 √(2 / (fan_in + fan_out))
    (CUT, SPADE, BicycleGAN): many times smaller, so that Adam changes the weights sooner. "kaiming" is N(0, √(2 /
    fan_in)) (He et al. 2015, arXiv 1502.01852), which keeps the variance through ReLUs (UNIT, MUNIT).

    Raises:
        ValueError: `kind` is none of these.
    """
    starts: dict[str, Callable[[Tensor], object]] = {
        "normal": partial(nn.init.normal_, std=0.02),
        "xavier": partial(nn.init.xavier_normal_, gain=0.02),
        "kaiming": nn.init.kaiming_normal_,
    }
    if kind not in starts:
        raise ValueError(f'init must be "normal", "xavier" or "kaiming", not {kind!r}')
    init_normal(module)
    if kind != "normal":
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                starts[kind](part.weight)


def start_weights(module: nn.Module, kind: Start) -> None:
    """Initialise convolutions, linear layers and embeddings as SAGAN and BigGAN do. Norms do not change; biases are 0.

    "orthogonal": the rows of a weight as a matrix (outputs × others) are orthonormal, or its columns if they are fewer
    (Saxe et al. 2014, arXiv 1312.6120). "normal": N(0, 0.02). "xavier": Glorot & Bengio, 2010, uniform.

    Raises:
        ValueError: `kind` is none of these.
    """
    starts: dict[str, Callable[[Tensor], object]] = {
        "orthogonal": nn.init.orthogonal_,
        "normal": partial(nn.init.normal_, std=0.02),
        "xavier": nn.init.xavier_uniform_,
    }
    if kind not in starts:
        raise ValueError(f'init must be "orthogonal", "normal" or "xavier", not {kind!r}')
    norms = [part for part in module.modules() if isinstance(part, ConditionalBatchNorm2d)]
    of_norms = {part for norm in norms for part in norm.modules()}
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear | nn.Embedding) and part not in of_norms:
            starts[kind](part.weight)
            if (bias := getattr(part, "bias", None)) is not None:
                nn.init.zeros_(bias)
