"""What a config cannot do, whatever it says."""

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from gan_lightning.cli.parsing import Parser
from gan_lightning.errors import UsageError


def built(value: Any) -> Any:
    parser = Parser(exit_on_error=True)
    parser.add_subclass_arguments(nn.Module, "network")
    arguments = {"in_features": 1, "out_features": 1, "device": value}
    config = parser.parse_object({"network": {"class_path": "torch.nn.Linear", "init_args": arguments}})
    return parser.instantiate(config).network


def test_an_argument_without_a_type_takes_no_object(tmp_path: Path) -> None:
    assert built("cpu").weight.shape == (1, 1)
    file = tmp_path / "written"
    with pytest.raises(ValueError, match=r"network: torch\.nn\.Linear does not take these settings"):
        built({"class_path": "torch.package.PackageExporter", "init_args": {"f": str(file)}})
    assert not file.exists()


@pytest.mark.parametrize("path", ["subprocess.Popen", "io.FileIO", "multiprocessing.Process", "pickle.Unpickler"])
def test_modules_that_run_programs_are_not_named(path: str) -> None:
    parser = Parser()
    parser.add_subclass_arguments(nn.Module, "network")
    with pytest.raises(UsageError, match=f"{path} is nothing that a config may name"):
        parser.parse_args([f"--network={path}"])
