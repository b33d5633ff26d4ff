"""Second moments of the rows, on which epochs with full batches cost ``O(d^2)`` whatever n is."""

from typing import Any

import numpy as np

from sklearn_sgdopt._lazy import kernels
from sklearn_sgdopt._standardize import RunningMoments

ALWAYS_BELOW = 128  # features up to which moments are used whatever the number of epochs
MATRIX_PRODUCT_GAIN = 8.0  # how much faster a flop is in BLAS than in a pass over rows
BLOCK_VALUES = 1 << 17  # numbers of X centred at a time: 1 MiB of extra memory


def moments_pay(rows: int, features: int, epochs: int) -> bool:
    """Whether forming second moments is cheaper than passes over the rows.

    Up to `ALWAYS_BELOW` features the answer does not depend on ``epochs``, so that one fit of k
    epochs and k calls with one epoch do the same arithmetic.
    """
    if features <= ALWAYS_BELOW:
        return True
    pass_cost = 2.0 * rows * features
    moments_cost = rows * features**2 / MATRIX_PRODUCT_GAIN + epochs * features**2
    return features <= 0.3 * rows and moments_cost < epochs * pass_cost


@np.errstate(over="ignore", invalid="ignore")  # what overflows is refused by name later
def second_moments(rows: Any) -> Any:
    """Weighted means and covariances of the rows, about the means, in float64.

    X is read in blocks, each centred before the products are formed: means a million times the
    spread cost no digits, and the extra memory is bounded.
    """
    X, y, weight, mean_weight = rows.X, rows.y, rows.weight, rows.mean_weight
    total, features = X.shape
    mean_x, mean_y = RunningMoments.of(X, weight).mean, RunningMoments.of(y, weight).mean
    covariance = np.zeros((features, features))
    cross = np.zeros((y.shape[1], features))
    variance_y = np.zeros(y.shape[1])
    step = max(1, BLOCK_VALUES // features)
    for start in range(0, total, step):
        block = slice(start, start + step)
        x_block, y_block = X[block] - mean_x, y[block] - mean_y
        if weight.size:
            root = np.sqrt(weight[block])[:, None]
            x_block *= root
            y_block *= root
        covariance += x_block.T @ x_block
        cross += y_block.T @ x_block
        variance_y += (y_block * y_block).sum(axis=0)
    mass = total * mean_weight
    return kernels().Moments(mean_x, mean_y, covariance / mass, cross / mass, variance_y / mass)
