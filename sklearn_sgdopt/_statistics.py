"""Statistics of samples: moments of columns, second moments, curvature. Everything merges."""

from typing import Any, NamedTuple

import numpy as np

from sklearn_sgdopt._kernels import Samples, column_moments, second_moments

EPS, TINY = float(np.finfo(np.float64).eps), float(np.finfo(np.float64).tiny)
NARROW = 64  # columns up to which BLAS has more to prepare than to do
BLOCK_VALUES = 1 << 15  # of X that are centred at a time: 256 KiB


class Moments(NamedTuple):
    """Weighted mean (c,) of columns, their variances (c,) or covariance (c, c) about it, and the weight.

    The columns are those of X and then those of y. Merging moments with the very same leaves them as they
    are, to the last bit, and returns the same arrays: repeated passes over the same samples do not drift.
    """

    mean: np.ndarray
    second: np.ndarray
    mass: float

    @classmethod
    def of(cls, samples: Samples, *, full: bool) -> "Moments":
        """Return the moments of samples; ``full`` asks for covariances."""
        if not full:
            of_x = column_moments(samples)
            of_y = column_moments(Samples(samples.y, samples.y, samples.weight))
            mean, variance = (np.concatenate([of_x[i], of_y[i]]) for i in (0, 1))
            return cls(mean, variance, of_x[2])
        features, total = samples.features, samples.total
        if not samples.is_sparse and features + samples.outputs <= NARROW:
            return cls(*second_moments(samples))
        # At least as many samples as features: products are not to weigh more than what they are made of.
        step = max(features, BLOCK_VALUES // features)
        result = _block_moments(samples, slice(0, step))
        for start in range(step, total, step):
            result = result.merged(_block_moments(samples, slice(start, start + step)))
        return result

    @property
    def is_full(self) -> bool:
        """Whether covariances are known."""
        return self.second.ndim == 2

    @property
    def variance(self) -> np.ndarray:
        """Population variance (c,)."""
        return self.second.diagonal() if self.is_full else self.second

    def merged(self, other: "Moments") -> "Moments":
        """Moments of both sets of samples (Chan, Golub and LeVeque 1983)."""
        mass = self.mass + other.mass
        share = other.mass / mass if mass > 0.0 else 0.0
        gap = other.mean - self.mean
        one, two = self.second, other.second
        if self.is_full != other.is_full:  # of the rest no covariances are known
            one, two = (np.diag(x) if x.ndim == 1 else x for x in (one, two))
        change = two - one
        if not (gap.any() or change.any()):
            return self._replace(mass=mass)
        gaps = np.multiply.outer(gap, gap) if one.ndim == 2 else gap * gap
        return Moments(self.mean + share * gap, one + share * (change + (1.0 - share) * gaps), mass)

    def spread(self) -> np.ndarray:
        """Return the standard deviations; 0 where a variance is no more than rounding of the mean."""
        deviation = np.sqrt(self.variance)
        return deviation * (deviation > 16.0 * EPS * np.abs(self.mean))


def _block_moments(samples: Samples, block: slice) -> Moments:
    """Moments of a block that stays in cache. Means a million times the spread cost no digits."""
    X, y = samples.X[block], samples.y[block]
    X = X.toarray() if samples.is_sparse else X
    weight = None if samples.weight is None else samples.weight[block]
    if len(X) == 1:
        return Moments(
            np.concatenate([X[0], y[0]], dtype=np.float64),
            np.zeros((X.shape[1] + y.shape[1],) * 2),
            1.0 if weight is None else float(weight[0]),
        )
    columns = np.concatenate([X, y], axis=1)  # in float64, as y is
    mass = float(len(columns)) if weight is None else float(np.add.reduce(weight))
    if mass == 0.0:
        return Moments(columns[0], np.zeros((columns.shape[1],) * 2), 0.0)
    if weight is None:
        mean = np.add.reduce(columns, axis=0) / mass
        columns -= mean
        return Moments(mean, columns.T @ columns / mass, mass)
    origin = columns[np.argmax(weight > 0.0)]  # a constant of samples that count is exactly constant
    mean = origin + weight @ (columns - origin) / mass
    columns -= mean
    return Moments(mean, columns.T @ (columns * weight[:, None]) / mass, mass)


class SecondMoments(NamedTuple):
    """What descent on all samples needs of them, as the kernels take it."""

    mean_x: np.ndarray
    mean_y: np.ndarray
    covariance: np.ndarray
    cross: np.ndarray
    variance_y: np.ndarray

    @classmethod
    def of(cls, moments: Moments, features: int) -> "SecondMoments":
        """Split moments of X and y."""
        second = moments.second
        return cls(
            moments.mean[:features].copy(),
            moments.mean[features:].copy(),
            np.ascontiguousarray(second[:features, :features]),
            np.ascontiguousarray(second[features:, :features]),
            second.diagonal()[features:].copy(),
        )


class Curvature(NamedTuple):
    """Curvature of the mean squared error in the coordinates of training.

    Parameters
    ----------
    shared : float
        L, twice the largest eigenvalue of the second moments of all samples, the intercept's column of ones
        counted in.
    single : float
        L_max, the same of the steepest single sample: ``2 max_i (weight_i / mean weight) (|x~_i|^2 + 1)``.
    typical : float
        L_mean, the same with the mean in place of the largest.
    excess : float
        What the latest samples of a stream have beyond L.
    """

    shared: float
    single: float = 0.0
    typical: float = 0.0
    excess: float = 0.0


def blocks(samples: Samples) -> Any:
    """Yield slices of samples that stay in cache."""
    step = max(1, BLOCK_VALUES // samples.features)
    for start in range(0, samples.total, step):
        yield slice(start, start + step)
