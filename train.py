"""`python train.py fit --config configs/quickstart.yaml`."""

import sys

from gan_lightning.cli import main
from gan_lightning.errors import run

if __name__ == "__main__":
    sys.exit(run(main))
