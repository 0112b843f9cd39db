"""`python train.py fit --config configs/quickstart.yaml`."""

import sys
from importlib import import_module

from gan_lightning.errors import run

if __name__ == "__main__":
    # imported within `run`, where a Ctrl-C ends the program quietly
    sys.exit(run(lambda: import_module("gan_lightning.cli.training").main()))
