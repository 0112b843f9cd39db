"""The lowest versions that may be installed lie above those with known holes."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
REQUIRED = {each.name: each for each in map(Requirement, PROJECT["dependencies"])}
HOLES = {  # the first version without it, and the hole
    "torch": ("2.10", "CVE-2026-24747: weights_only loading could be made to run code"),
    "torchvision": ("0.25", "the release for torch 2.10"),
    "lightning": ("2.6.6", "CVE-2026-58659; and 2.6.2 and 2.6.3 were malicious releases (Lightning issue 21691)"),
    "pillow": ("12.3", "several in decoders of images"),
}


@pytest.mark.parametrize("name", HOLES)
def test_no_version_with_a_known_hole_is_admitted(name: str) -> None:
    first, hole = HOLES[name]
    floors = [Version(each.version) for each in REQUIRED[name].specifier if each.operator in (">=", "==", "~=")]
    assert floors, f"{name} has no floor, and below {first}: {hole}"
    assert max(floors) >= Version(first), hole


@pytest.mark.parametrize("name", HOLES)
def test_what_is_installed_is_admitted(name: str) -> None:
    assert Version(version(name)).base_version in REQUIRED[name].specifier
