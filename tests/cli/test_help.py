"""Help comes at once: what takes seconds to import waits until a command runs."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("arguments", [["--help"], ["plot", "--help"], ["evalaute"]])
def test_neither_help_nor_a_wrong_command_imports_torch(arguments: list[str]) -> None:
    script = (
        "import sys; from gan_lightning.__main__ import main; code = main(sys.argv[1:]); "
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == (2 if "evalaute" in arguments else 0), done.stderr
