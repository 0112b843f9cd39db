"""Where a user's own files are found, by which configs and checkpoints name classes of theirs."""

import sys
from pathlib import Path


def find_own_modules() -> None:
    """Have class paths find modules in the working directory, where no installed package has that name.

    A console script looks for modules in the folder of its own, and `python train.py` beside train.py.
    Python's own switch against it (`-P`, PYTHONSAFEPATH) is heeded.
    """
    folder = str(Path.cwd())
    if not sys.flags.safe_path and folder not in sys.path:
        sys.path.append(folder)  # last: a file of the user's hides no package
