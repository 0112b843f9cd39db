"""`python train.py fit --config configs/quickstart.yaml`."""

import sys

from gan_lightning.errors import start

if __name__ == "__main__":
    sys.exit(start("gan_lightning.cli.training"))
