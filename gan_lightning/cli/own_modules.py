"""Find the modules of the user, so that configs and checkpoints can name classes in them."""

import sys
from pathlib import Path


def find_own_modules() -> None:
    """Let class paths name modules in the working directory, after all installed packages.

    A console script looks for modules in the folder of its own, and `python train.py` beside train.py.
    Python's own switch against it (`-P`, PYTHONSAFEPATH) is obeyed.
    """
    folder = str(Path.cwd())
    if not sys.flags.safe_path and folder not in sys.path:
        sys.path.append(folder)  # last: a file of the user's hides no package
