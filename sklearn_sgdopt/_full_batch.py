"""Second moments of the rows, on which epochs with full batches cost ``O(d^2)`` whatever n is."""

from typing import Any

import numpy as np

from sklearn_sgdopt._lazy import kernels
from sklearn_sgdopt._standardize import RunningMoments

ALWAYS_BELOW = 128  # features up to which moments are used whatever the number of epochs
MATRIX_PRODUCT_GAIN = 8.0  # how much faster a flop is in BLAS than in a pass over rows
CENTRED_VALUES = 1 << 18  # of X at a time: 2 MiB


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


def second_moments(rows: Any) -> Any:
    """Weighted means and covariances of the rows, about the means, in float64.

    X is read once, in blocks that stay in cache: each is centred before its products are formed, and
    they are merged (Chan, Golub and LeVeque 1983). Means a million times the spread cost no digits, and
    the extra memory is a few times 2 MiB or d^2. BLAS uses the cores for the products.
    """
    total, features = rows.X.shape
    # At least as many rows as features: the products are not to weigh more than what they are made of.
    step = max(features, CENTRED_VALUES // features)
    mass, moments = _block_moments(rows, slice(0, step))
    for start in range(step, total, step):
        more, block = _block_moments(rows, slice(start, start + step))
        mass += more
        moments = _merged(moments, block, more / mass if mass > 0.0 else 0.0)
    return moments


def _block_moments(rows: Any, block: slice) -> tuple[float, Any]:
    """Mass and moments of the rows of a block."""
    X, y, weight = rows.X[block], rows.y[block], rows.weight[block]
    of_x, of_y = RunningMoments.of(X, weight), RunningMoments.of(y, weight)
    X, y = X - of_x.mean, y - of_y.mean
    if weight.size:
        root = np.sqrt(weight)[:, None]
        X *= root
        y *= root
    share = 1.0 / max(of_x.mass, np.finfo(np.float64).tiny)
    moments = kernels().Moments(of_x.mean, of_y.mean, (X.T @ X) * share, (y.T @ X) * share, of_y.variance)
    return of_x.mass, moments


def _merged(one: Any, other: Any, share: float) -> Any:
    """Moments of two sets of rows together, of which ``other`` makes up ``share``."""
    x, y = other.mean_x - one.mean_x, other.mean_y - one.mean_y

    def joined(a: np.ndarray, b: np.ndarray, gaps: np.ndarray) -> np.ndarray:
        return np.asarray(a + share * (b - a + (1.0 - share) * gaps))

    return kernels().Moments(
        mean_x=one.mean_x + share * x,
        mean_y=one.mean_y + share * y,
        covariance=joined(one.covariance, other.covariance, np.multiply.outer(x, x)),
        cross=joined(one.cross, other.cross, np.multiply.outer(y, x)),
        variance_y=joined(one.variance_y, other.variance_y, y * y),
    )
