"""The tests of numbers on a CPU with the narrowest vectors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_numbers_hold_without_avx() -> None:
    narrow = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
    folders = [
        str(TESTS / name) for name in ("metrics", "extractors", "losses", "layers", "networks", "callbacks", "models")
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *folders]
    done = subprocess.run(
        command, cwd=TESTS.parent, env=os.environ | narrow, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]
