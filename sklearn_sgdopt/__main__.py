"""``python -m sklearn_sgdopt [FILE]``: the same as the command ``sgdopt``."""

import sys

from sklearn_sgdopt._cli import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m sklearn_sgdopt"))
