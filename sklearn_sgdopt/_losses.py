"""The losses: one record each, and the constants that scale with y.

To add a loss: a record here, and its value with its derivative in ``_kernels/losses.h``.
"""

from typing import Any, NamedTuple

import numpy as np

from sklearn_sgdopt import _kernels
from sklearn_sgdopt._penalties import Penalty


class Loss(NamedTuple):
    """A loss of the residual ``r``, prediction minus target.

    Parameters
    ----------
    code : int
        Its number in the kernels.
    slopes : float
        Range of its derivative where it has kinks and no curvature; 0 for a loss that is smooth, whose second
        derivative is at most 2.
    degree : int
        The power of r that it grows with: its unit is that power of y's.
    width : float
        ``delta="auto"`` in robust standard deviations of y; 0 for a loss without a width.
    label : str
        What pictures call its mean.
    """

    code: int
    slopes: float
    degree: int
    width: float
    label: str

    @property
    def is_smooth(self) -> bool:
        """Whether the derivative is continuous."""
        return self.slopes == 0.0

    @property
    def needs_width(self) -> bool:
        """Whether it is 0 everywhere at a width of 0: smooth at 0, and bounded in its slope by the width."""
        return self.width > 0.0 and self.is_smooth and self.degree == 1


# 1.35 gives huber 95 % of the efficiency of squared error on normal residuals (Huber 1981).
LOSSES = {
    "squared_error": Loss(0, 0.0, 2, 0.0, "mean squared error (units of y squared)"),
    "huber": Loss(1, 0.0, 1, 1.35, "mean huber loss (units of y squared)"),
    "epsilon_insensitive": Loss(2, 2.0, 1, 0.1, "mean epsilon-insensitive loss (units of y)"),
    "squared_epsilon_insensitive": Loss(
        3, 0.0, 2, 0.1, "mean squared epsilon-insensitive loss (units of y squared)"
    ),
    "quantile": Loss(4, 1.0, 1, 0.0, "mean quantile loss (units of y)"),
}


class Target(NamedTuple):
    """What is minimised: a loss with its ``delta`` (or None for "auto") and quantile, and a penalty."""

    loss: Loss
    name: str
    delta: float | None
    quantile: float
    penalty: Penalty

    @property
    def is_squared(self) -> bool:
        """Whether the loss is plain squared error, for which second moments say all."""
        return self.name == "squared_error"

    def widths(self, spread: np.ndarray) -> np.ndarray:
        """Return ``delta`` of each output, in units of y, from the robust spreads of y."""
        if self.loss.width == 0.0:
            return np.ones(len(spread))
        if self.delta is not None:
            return np.full(len(spread), self.delta)
        return self.loss.width * np.where(spread > 0.0, spread, 1.0)

    def slowness(self, spread: np.ndarray) -> float:
        """Return by what factor huber's delta makes first steps shorter than those of squared error."""
        if self.loss.degree == 2 or not self.loss.is_smooth:
            return 1.0
        return float(max(1.0, (spread / self.widths(spread)).max()))

    def objective(self, spread: np.ndarray) -> Any:
        """Return the record that the kernels take."""
        return _kernels.Objective(self.loss.code, self.widths(spread), self.quantile, *self.penalty)

    def best_constant(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """Return the constant (k,) that training starts from: the mean, the median or the quantile of y."""
        if self.is_squared:
            return np.asarray(np.add.reduce(y) / len(y) if weight is None else weight @ y / weight.sum())
        return weighted_quantile(y, weight, self.quantile if self.name == "quantile" else 0.5)


def weighted_quantile(values: np.ndarray, weight: np.ndarray | None, quantile: float) -> np.ndarray:
    """Return the least value of each column that at least ``quantile`` of the weight does not exceed.

    A weight of 2 counts as two samples do, which interpolating definitions do not grant.
    """
    order = np.argsort(values, axis=0, kind="stable")
    weights = np.broadcast_to(1.0 if weight is None else weight[:, None], values.shape)
    mass = np.cumsum(np.take_along_axis(weights, order, axis=0), axis=0)
    first = np.argmax(mass >= quantile * mass[-1], axis=0)
    return np.take_along_axis(np.take_along_axis(values, order, axis=0), first[None], axis=0)[0]


def robust_spread(y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the standard deviation of each target, from its median absolute deviation.

    Falls back on the mean absolute deviation where half of the targets are equal; 0 for a constant.
    """
    deviation = np.abs(y - weighted_quantile(y, weight, 0.5))
    spread = 1.4826 * weighted_quantile(deviation, weight, 0.5)
    return np.where(spread > 0.0, spread, 1.2533 * np.average(deviation, axis=0, weights=weight))
