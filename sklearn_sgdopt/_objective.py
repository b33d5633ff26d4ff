"""What is minimised: the loss with its width, the penalty, and the constants that scale with y."""

from typing import Any

import numpy as np

from sklearn_sgdopt._lazy import kernels

SMOOTH_LOSSES = frozenset({"squared_error", "huber", "squared_epsilon_insensitive"})
# Width of a loss in robust standard deviations of y. 1.35 gives huber 95 % of the efficiency of
# squared error on normal residuals (Huber 1981); residuals are smaller than y.
AUTOMATIC_WIDTH = {"huber": 1.35, "epsilon_insensitive": 0.1, "squared_epsilon_insensitive": 0.1}


def robust_spread(y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each target, from its median absolute deviation.

    Falls back on the mean absolute deviation where half of the targets are equal; 0 for a constant.
    """
    y = y[weight > 0.0] if weight.size else y
    deviation = np.abs(y - np.median(y, axis=0))
    spread = 1.4826 * np.median(deviation, axis=0)
    return np.where(spread > 0.0, spread, 1.2533 * deviation.mean(axis=0))


def best_constant(loss: str, quantile: float, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the constant that training starts from: the mean, the median or the quantile of y."""
    if loss == "squared_error":
        return np.asarray(np.average(y, axis=0, weights=weight if weight.size else None))
    y = y[weight > 0.0] if weight.size else y
    return np.asarray(np.quantile(y, quantile if loss == "quantile" else 0.5, axis=0))


def loss_width(est: Any, spread: np.ndarray) -> np.ndarray:
    """Return ``delta`` for each target, in units of y."""
    if est.delta != "auto":
        return np.full(spread.shape, float(est.delta))
    return AUTOMATIC_WIDTH.get(est.loss, 1.0) * np.where(spread > 0.0, spread, 1.0)


def penalty_strengths(est: Any) -> tuple[float, float]:
    """Factors of ``|a|_1`` and of ``|a|^2 / 2`` in the objective."""
    if est.penalty is None:
        return 0.0, 0.0
    ratio = {"l1": 1.0, "l2": 0.0, "elasticnet": est.l1_ratio}[est.penalty]
    return float(est.alpha * ratio), float(est.alpha * (1.0 - ratio))


def make_objective(est: Any, width: np.ndarray) -> Any:
    """Return the record that the kernels take."""
    k = kernels()
    return k.Objective(k.LOSSES[est.loss], width, float(est.quantile), *penalty_strengths(est))
