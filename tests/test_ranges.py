"""Arguments lie in the ranges that their types state, defaults among them, from YAML and Python alike."""

import importlib
import inspect
import math
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import datamodules
import gan_lightning
from gan_lightning.networks import DCGANGenerator, PatchGAN
from gan_lightning.ranges import Checked, PositiveFloat, Share, check_arguments, checked
from gan_lightning.schedules import LinearToZero
from models.test_dcgan import dcgan


def classes() -> Iterator[type]:
    """All classes of the project that check their arguments."""
    for package in (gan_lightning, datamodules):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__"):
                continue
            module = importlib.import_module(found.name)
            for kind in vars(module).values():
                if inspect.isclass(kind) and issubclass(kind, Checked) and kind.__module__ == module.__name__:
                    yield kind


def test_every_default_is_in_its_own_range() -> None:
    kinds = list(classes())
    assert len(kinds) > 100
    for kind in kinds:
        parameters = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
        check_arguments(kind, {p.name: p.default for p in parameters if p.default is not p.empty})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"generator_clip_norm": -1}, "DCGAN: generator_clip_norm=-1 is out of range: make it above 0"),
        ({"ema_half_life": -5}, "DCGAN: ema_half_life=-5 is out of range: make it 0 or more"),
        ({"n_critic": 0}, "DCGAN: n_critic=0 is out of range: make it 1 or more"),
        ({"accumulate": 0}, "DCGAN: accumulate=0 is out of range: make it 1 or more"),
        ({"ema_half_life": math.nan}, "DCGAN: ema_half_life=nan is out of range"),
    ],
)
def test_a_model_refuses_what_lies_outside(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dcgan(**settings)


@pytest.mark.parametrize("settings", [{"width": 0}, {"channels": -1}, {"latent_dim": 0}, {"num_classes": -1}])
def test_a_network_refuses_what_lies_outside(settings: dict[str, int]) -> None:
    ((name, value),) = settings.items()
    with pytest.raises(ValueError, match=f"DCGANGenerator: {name}={value} is out of range: make it"):
        DCGANGenerator(**settings)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(TypeError, match=r"PatchGAN: width=1\.5 is not a whole number: make it 1 or more"):
        PatchGAN(in_channels=3, width=1.5)
    with pytest.raises(TypeError, match="width=True is not a whole number"):
        PatchGAN(in_channels=3, width=True)


def test_a_schedule_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="start"):
        LinearToZero(start=-1, end=3)


def test_functions_are_checked_as_well() -> None:
    @checked
    def shrink(factor: PositiveFloat, share: Share = 0.5) -> float:
        return factor * share

    assert shrink(2.0) == 1.0
    with pytest.raises(ValueError, match="shrink: factor=0 is out of range: make it above 0"):
        shrink(0)
    with pytest.raises(ValueError, match=r"shrink: share=1\.5 is out of range: make it 0 to 1"):
        shrink(1.0, share=1.5)
