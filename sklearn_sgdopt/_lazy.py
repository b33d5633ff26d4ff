"""The compiled loops, imported when the first fit needs them."""

from functools import cache
from types import ModuleType


@cache
def kernels() -> ModuleType:
    """Return the module of compiled loops; Numba takes longer to import than the whole package."""
    from sklearn_sgdopt import _kernels

    return _kernels
