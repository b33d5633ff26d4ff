"""Running mean and variance of columns, and the change of variables made from them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgdopt._lazy import kernels


@dataclass
class RunningMoments:
    """Weighted mean and population variance of columns, over all chunks seen.

    Merging a chunk with the very moments already held leaves them as they are, to the last bit:
    repeated passes over the same rows do not drift.
    """

    mean: np.ndarray
    variance: np.ndarray
    mass: float = 0.0

    @classmethod
    def empty(cls, columns: int) -> "RunningMoments":
        """Moments of no rows."""
        return cls(np.zeros(columns), np.zeros(columns))

    @classmethod
    def of(cls, values: np.ndarray, weight: np.ndarray) -> "RunningMoments":
        """Moments of the rows of ``values`` (n, columns); an empty ``weight`` means all ones."""
        return cls.empty(values.shape[1]).with_rows(values, weight)

    def with_rows(self, values: np.ndarray, weight: np.ndarray) -> "RunningMoments":
        """Moments of the rows seen and those of ``values`` together."""
        mean, variance, work = self.mean.copy(), self.variance.copy(), np.empty((4, len(self.mean)))
        mass = kernels().take_in(values, weight, mean, variance, self.mass, work)
        return RunningMoments(mean, variance, mass)

    def merged(self, other: "RunningMoments") -> "RunningMoments":
        """Moments of both samples together."""
        mass = self.mass + other.mass
        mean, variance = self.mean.copy(), self.variance.copy()
        kernels().merge_moments(mean, variance, other.mass / mass, other.mean, other.variance)
        return RunningMoments(mean, variance, mass)

    def spread(self) -> np.ndarray:
        """Return the standard deviation; 0 where the variance is no more than rounding of the mean."""
        deviation = np.empty_like(self.mean)
        kernels().spreads(self.mean, self.variance, deviation)
        return deviation


class Coordinates(NamedTuple):
    """Coordinates ``(x - center) * inverse_scale`` in which the parameters are moved.

    ``center`` is (d,). ``inverse_scale`` is (d + 1,): 0 for a constant column, whose coefficient stays 0,
    and a last 1 for the intercept.
    """

    center: np.ndarray
    inverse_scale: np.ndarray

    @classmethod
    def plain(cls, columns: int) -> "Coordinates":
        """Return the coordinates of the data themselves."""
        return cls(np.zeros(columns), np.ones(columns + 1))

    @classmethod
    def standard(cls, moments: RunningMoments, *, centered: bool, intercept: bool) -> "Coordinates":
        """Return standardised coordinates.

        Scaled by the standard deviation, or by the root mean square where no intercept can take
        up the mean.
        """
        mean = moments.mean
        inverse = np.empty(len(mean) + 1)
        kernels().standard_scale(mean, moments.variance, intercept, inverse)
        return cls(mean if centered else np.zeros(len(mean)), inverse)

    def record(self) -> Any:
        """Return the coordinates as the compiled loops take them."""
        return kernels().Coordinates(*self)

    def to_data_units(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (k, d) and intercepts (k,) in the data's units."""
        coef = theta[:, :-1] * self.inverse_scale[:-1]
        return coef, theta[:, -1] - coef @ self.center

    def from_data_units(self, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
        """Parameters ``theta`` (k, d + 1) of the function ``x @ coef + intercept``."""
        scale = _reciprocal(self.inverse_scale[:-1])
        return np.column_stack([coef * scale, intercept + coef @ self.center])


def _reciprocal(values: np.ndarray) -> np.ndarray:
    """1 / values, and 0 for 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0.0)
