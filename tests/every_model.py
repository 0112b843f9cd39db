"""Every model at its smallest, found by the test that stands beside it: a model without one fails here.

The test of `gan_lightning/models/NAME.py` is tests/models/test_NAME.py. It has a function NAME(**how) that builds the
tiny model and, where that takes other batches than grey images of 16x16, NAME_batch(count, seed).
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from gan_lightning import models
from gan_lightning.data.batches import DomainBatch, ImageBatch
from gan_lightning.families import FromLatents
from gan_lightning.training.adversarial import AdversarialModule
from gan_lightning.training.generative import GenerativeModule
from tiny import images


def _name(kind: type) -> str:
    return kind.__module__.rpartition(".")[2]


def builder_of(kind: type) -> Callable[..., Any]:
    """Return the function that builds a model's tiny version."""
    return getattr(import_module(f"models.test_{_name(kind)}"), _name(kind))


def batch_of(kind: type) -> Callable[[int, int], Any]:
    """Return a function from number of items and seed to a batch; toys, which have no builder, get grey images."""

    def grey(count: int, seed: int) -> ImageBatch:
        return ImageBatch(images(count, 1, seed))

    names = [_name(each) for each in kind.__mro__ if each.__module__.startswith("gan_lightning.models")]
    return getattr(import_module(f"models.test_{names[0]}"), f"{names[0]}_batch", grey) if names else grey


KINDS = [getattr(models, name) for name in models.__all__]
MODELS = [builder_of(kind) for kind in KINDS]
"""Builders of all of them."""
BUILDERS = [
    builder_of(kind)
    for kind in KINDS
    if issubclass(kind, AdversarialModule) and getattr(kind, "batch_type", None) is not DomainBatch
]
"""Builders of those with a game that makes images."""
PARTS = [
    getattr(import_module(module), name)
    for module, name in (
        ("networks.test_packed", "packed"),
        ("training.test_unrolling", "unrolled"),
        ("training.test_unrolling", "unrolled_wgan_gp"),
    )
]
"""Builders of games with a part that any model takes and that has work to share between processes."""
FROM_NOISE = [builder_of(kind) for kind in KINDS if kind.sampler is not GenerativeModule.sampler]
"""Builders of those that make images from noise."""
FROM_LATENTS = [builder_of(kind) for kind in KINDS if issubclass(kind, FromLatents)]
"""Builders of those that make images from latents, on which the tools of latents work."""
AFFINE = [build for build in FROM_LATENTS if build.__name__ != "realnvp"]
"""Builders of those whose latents enter an affine layer first: all but a flow, whose layers take parts of them."""
