"""`python -m minidocker` is the command `minidocker`, where the scripts folder is not on PATH."""

import sys

from minidocker.cli import main

if __name__ == "__main__":
    sys.exit(main())
