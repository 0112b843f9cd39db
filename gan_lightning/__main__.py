"""`python -m gan_lightning COMMAND` is `gan-lightning COMMAND`."""

import sys

from gan_lightning.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
