"""The four solvers compared from the shell: ``sgdopt [FILE]`` or ``python -m sklearn_sgdopt [FILE]``."""

from sklearn_sgdopt._cli.command import main

__all__ = ["main"]
