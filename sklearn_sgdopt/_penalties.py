"""The penalties: strengths, value, proximal map."""

from typing import NamedTuple

import numpy as np


class Penalty(NamedTuple):
    """``l1 |a|_1 + l2 / 2 |a|^2``, on standardised coefficients, never on the intercept."""

    l1: float = 0.0
    l2: float = 0.0

    @classmethod
    def named(cls, name: str | None, alpha: float, l1_ratio: float) -> "Penalty":
        """Return the penalty of scikit-learn's name."""
        if name is None:
            return cls()
        ratio = {"l1": 1.0, "l2": 0.0, "elasticnet": l1_ratio}[name]
        return cls(float(alpha * ratio), float(alpha * (1.0 - ratio)))

    def values(self, coef: np.ndarray) -> np.ndarray | float:
        """Return the penalty on the coefficients (k, d) of each output."""
        if self.l1 == 0.0 and self.l2 == 0.0:
            return 0.0
        return np.sum(self.l1 * np.abs(coef) + 0.5 * self.l2 * coef**2, axis=1)

    def proximal(self, coef: np.ndarray, rate: float) -> np.ndarray:
        """Return the proximal map of ``rate`` times the l1 part."""
        return np.sign(coef) * np.maximum(np.abs(coef) - rate * self.l1, 0.0)
