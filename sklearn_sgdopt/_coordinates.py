"""The coordinates in which training runs: the data's own, scaled columns, or white ones."""

from typing import Any, NamedTuple

import numpy as np

from sklearn_sgdopt import _kernels
from sklearn_sgdopt._statistics import TINY, Moments

EIGENVALUE_FLOOR = 1e-13  # part of the largest below which an eigenvalue is rounding
WIDEST_WHITE = 256  # features up to which whitening costs an update no more than its samples do


class Frame(NamedTuple):
    """Which coordinates are asked for.

    Parameters
    ----------
    standardize, fit_intercept : bool
        The parameters of that name.
    whiten : bool or None
        None stands for "auto".
    """

    standardize: bool
    whiten: bool | None
    fit_intercept: bool

    def whitens(self, features: int, *, is_sparse: bool, l1: float) -> bool:
        """Whether training is to run in white coordinates."""
        if self.whiten is None:
            return self.standardize and not is_sparse and l1 == 0.0 and features <= WIDEST_WHITE
        if self.whiten and not self.standardize:
            raise ValueError("whiten=True needs standardize=True; got standardize=False.")
        if self.whiten and is_sparse:
            raise ValueError(
                "whiten=True needs dense X, as whitened samples are not sparse; got a sparse matrix. "
                "Use whiten='auto', which scales the columns of sparse X, or pass X.toarray()."
            )
        if self.whiten and l1 > 0.0:
            raise ValueError(
                "whiten=True does not go with an l1 penalty, which has no proximal step in white "
                "coordinates. "
                "Use whiten='auto', which scales columns then, or penalty='l2'."
            )
        return self.whiten


class Coordinates(NamedTuple):
    """Coordinates ``x~ = M ((x - center) * scale)``.

    Parameters
    ----------
    center : ndarray of shape (d,)
        What the intercept is about.
    scale : ndarray of shape (d + 1,)
        Inverse standard deviations, 0 for a constant column, whose coefficient stays; a last 1 for the
        intercept.
    whitening, inverse, coloring : ndarray of shape (d, d) or None
        The symmetric M, its square, and its pseudo-inverse. None: columns are scaled alone.
    """

    center: np.ndarray
    scale: np.ndarray
    whitening: np.ndarray | None = None
    inverse: np.ndarray | None = None
    coloring: np.ndarray | None = None

    @classmethod
    def plain(cls, features: int) -> "Coordinates":
        """Return the coordinates of the data themselves."""
        return cls(np.zeros(features), np.ones(features + 1))

    @classmethod
    def standard(
        cls, moments: Moments, features: int, *, intercept: bool, least: float = 0.0
    ) -> "Coordinates":
        """Return scaled coordinates about zero.

        Scaled by the standard deviation, or by the root mean square where no intercept can take up the mean.
        Columns below ``least`` count as constant.
        """
        size = moments.spread()[:features]
        if not intercept:
            size = np.hypot(size, moments.mean[:features])
        scale = np.ones(features + 1)
        real = (size * size >= TINY) & (size >= least)  # else the square of the inverse would overflow
        scale[:-1] = np.divide(1.0, size, out=np.zeros(features), where=real)
        return cls(np.zeros(features), scale)

    def whitened(self, moments: Moments, *, intercept: bool, l2: float, least: float) -> "Coordinates":
        """Return white coordinates with this scale.

        With ``R = V diag(l) V'`` the correlation matrix, or the second moments of scaled columns where there
        is no intercept, ``M = V diag(l)^(-1/2) V'`` (ZCA-cor; Kessy, Lewin and Strimmer 2018): it moves
        continuously with the data, and is the identity where columns are uncorrelated. An l2 penalty adds
        half its strength to l: the penalised squared error has curvature 2 in all directions as well.
        Eigenvalues below ``least`` are taken as that.
        """
        features, inverse = len(self.center), self.scale[:-1]
        second = moments.second[:features, :features]
        if not intercept:
            second = second + np.multiply.outer(moments.mean[:features], moments.mean[:features])
        values, vectors = np.linalg.eigh(second * np.multiply.outer(inverse, inverse))
        real = values > EIGENVALUE_FLOOR * max(values[-1], TINY)
        root = np.sqrt(np.where(real, np.maximum(values, least) + 0.5 * l2, 1.0))
        whitening = (vectors * (real / root)) @ vectors.T
        coloring = (vectors * (real * root)) @ vectors.T
        square = (vectors * (real / root**2)) @ vectors.T
        return self._replace(whitening=whitening, inverse=square, coloring=coloring)

    def record(self) -> Any:
        """Return the coordinates as the kernels take them."""
        return _kernels.Coordinates(self.center, self.scale, self.whitening, self.inverse)

    def of(self, X: np.ndarray) -> np.ndarray:
        """Return dense samples (n, d) in these coordinates."""
        scaled = (X - self.center) * self.scale[:-1]
        return scaled if self.whitening is None else scaled @ self.whitening

    def standardized(self, slope: np.ndarray) -> np.ndarray:
        """Return the standardised coefficients (k, d), on which penalties act, of slopes (k, d + 1)."""
        scale = self.scale[:-1]
        return slope[:, :-1] * np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0.0)

    def gradients_from(self, other: "Coordinates") -> np.ndarray:
        """Return what turns gradients in ``other`` coordinates into ones here: a matrix, or factors (d,)."""
        before = other.scale[:-1]
        ratio = np.divide(self.scale[:-1], before, out=np.ones_like(before), where=before > 0.0)
        if self.whitening is None and other.whitening is None:
            return ratio
        matrix = np.diag(ratio) if other.coloring is None else ratio[:, None] * other.coloring
        return matrix if self.whitening is None else self.whitening @ matrix
