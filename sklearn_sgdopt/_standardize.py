"""Running mean and variance of columns, and the change of variables made from them."""

from dataclasses import dataclass
from typing import NamedTuple

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
        moments = cls.empty(values.shape[1])
        work = np.empty((2, values.shape[1]))
        moments.mass = kernels().column_moments(values, weight, moments.mean, moments.variance, *work)
        return moments

    def merged(self, other: "RunningMoments") -> "RunningMoments":
        """Moments of both samples together (Chan, Golub and LeVeque 1983)."""
        mass = self.mass + other.mass
        share = other.mass / mass
        gap = other.mean - self.mean
        mean = self.mean + share * gap
        variance = self.variance + share * (other.variance - self.variance + (1.0 - share) * gap * gap)
        return RunningMoments(mean, variance, mass)

    def spread(self) -> np.ndarray:
        """Return the standard deviation; 0 where the variance is no more than rounding of the mean."""
        rounding = 16.0 * np.finfo(np.float64).eps * np.abs(self.mean)
        deviation = np.sqrt(self.variance)
        return np.where(deviation > rounding, deviation, 0.0)


class Coordinates(NamedTuple):
    """Coordinates ``(x - center) * inverse_scale`` in which the parameters are moved.

    ``inverse_scale`` is 0 for a constant column: its coefficient stays 0.
    """

    center: np.ndarray
    inverse_scale: np.ndarray

    @classmethod
    def plain(cls, columns: int) -> "Coordinates":
        """Return the coordinates of the data themselves."""
        return cls(np.zeros(columns), np.ones(columns))

    @classmethod
    def standard(cls, moments: RunningMoments, *, centered: bool, intercept: bool) -> "Coordinates":
        """Return standardised coordinates.

        Scaled by the standard deviation, or by the root mean square where no intercept can take
        up the mean.
        """
        scale = moments.spread()
        if not intercept:
            scale = np.hypot(scale, moments.mean)
        inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0.0)
        return cls(moments.mean.copy() if centered else np.zeros_like(scale), inverse)

    @property
    def scale(self) -> np.ndarray:
        """Return what ``inverse_scale`` divides by; 0 for a constant column."""
        return np.divide(
            1.0, self.inverse_scale, out=np.zeros_like(self.inverse_scale), where=self.inverse_scale > 0.0
        )

    def to_data_units(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (k, d) and intercepts (k,) in the data's units."""
        coef = theta[:, :-1] * self.inverse_scale
        return coef, theta[:, -1] - coef @ self.center

    def from_data_units(self, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
        """Parameters ``theta`` (k, d + 1) of the function ``x @ coef + intercept``."""
        return np.column_stack([coef * self.scale, intercept + coef @ self.center])
