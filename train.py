"""`python train.py COMMAND` is `gan-lightning COMMAND`: `python train.py fit --config quickstart`."""

import sys

from gan_lightning.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
