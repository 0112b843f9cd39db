"""Help comes at once, since slow imports wait until a command runs; programs are started from any folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("arguments", [["--help"], ["plot", "--help"], ["evalaute"]])
def test_neither_help_nor_a_wrong_command_imports_torch(arguments: list[str]) -> None:
    script = (
        "import sys; from gan_lightning.__main__ import main; code = main(sys.argv[1:]); "
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == (2 if "evalaute" in arguments else 0), done.stderr


def test_a_mistake_is_one_sentence_in_any_folder(tmp_path: Path) -> None:
    """By the program's absolute path, which is no code of the user's."""
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, str(root / "train.py"), "validate", f"--config={root / 'configs' / 'quickstart.yaml'}"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: validate needs --ckpt_path")
