"""What is minimised: the loss with its width, the penalty, and the constants that scale with y."""

from functools import cache
from typing import Any

import numpy as np

from sklearn_sgdopt._lazy import kernels

SMOOTH_LOSSES = frozenset({"squared_error", "huber", "squared_epsilon_insensitive"})
# Width of a loss in robust standard deviations of y. 1.35 gives huber 95 % of the efficiency of
# squared error on normal residuals (Huber 1981); residuals are smaller than y.
AUTOMATIC_WIDTH = {"huber": 1.35, "epsilon_insensitive": 0.1, "squared_epsilon_insensitive": 0.1}


def weighted_quantile(values: np.ndarray, weight: np.ndarray, quantile: float) -> np.ndarray:
    """Return the least value of each column that at least ``quantile`` of the weight does not exceed.

    A weight of 2 counts as two rows do, which interpolating definitions do not grant.
    """
    order = np.argsort(values, axis=0, kind="stable")
    weights = np.broadcast_to(weight[:, None] if weight.size else 1.0, values.shape)
    mass = np.cumsum(np.take_along_axis(weights, order, axis=0), axis=0)
    first = np.argmax(mass >= quantile * mass[-1], axis=0)
    return np.take_along_axis(np.take_along_axis(values, order, axis=0), first[None], axis=0)[0]


def robust_spread(y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each target, from its median absolute deviation.

    Falls back on the mean absolute deviation where half of the targets are equal; 0 for a constant.
    """
    deviation = np.abs(y - weighted_quantile(y, weight, 0.5))
    spread = 1.4826 * weighted_quantile(deviation, weight, 0.5)
    mean = np.average(deviation, axis=0, weights=weight if weight.size else None)
    return np.where(spread > 0.0, spread, 1.2533 * mean)


def best_constant(loss: str, quantile: float, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the constant that training starts from: the mean, the median or the quantile of y."""
    if loss == "squared_error":
        return np.asarray(np.average(y, axis=0, weights=weight if weight.size else None))
    return weighted_quantile(y, weight, quantile if loss == "quantile" else 0.5)


def loss_width(est: Any, spread: np.ndarray, outputs: int) -> np.ndarray:
    """Return ``delta`` for each target, in units of y; 1 for a loss that has no width."""
    if est.loss not in AUTOMATIC_WIDTH:
        return np.ones(outputs)
    if est.delta != "auto":
        return np.full(outputs, float(est.delta))
    return AUTOMATIC_WIDTH[est.loss] * np.where(spread > 0.0, spread, 1.0)


def penalty_strengths(est: Any) -> tuple[float, float]:
    """Factors of ``|a|_1`` and of ``|a|^2 / 2`` in the objective."""
    if est.penalty is None:
        return 0.0, 0.0
    ratio = {"l1": 1.0, "l2": 0.0, "elasticnet": est.l1_ratio}[est.penalty]
    return float(est.alpha * ratio), float(est.alpha * (1.0 - ratio))


@cache
def alike(outputs: int) -> np.ndarray:
    """Return the balance of outputs that count alike; it is not written to."""
    return np.ones(outputs)


def make_objective(est: Any, width: np.ndarray) -> Any:
    """Return the record that the kernels take."""
    k = kernels()
    return k.Objective(k.LOSSES[est.loss], width, float(est.quantile), *penalty_strengths(est))
