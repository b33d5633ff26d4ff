"""Step sizes from curvature: the bounds behind ``learning_rate="auto"``."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_sgdopt._lazy import kernels
from sklearn_sgdopt._objective import SMOOTH_LOSSES, penalty_strengths

ADAM_RATE = 0.02  # in standard deviations of y, for batches of one row
ADAM_MOST = 0.07
GD_STEP = 1.5
NONSMOOTH_RESIDUAL = 0.5
# What the largest eigenvalue is taken from. Fewer rows than features make it too large: safe.
SAMPLED_VALUES, LEAST_ROWS, MOST_ROWS = 1 << 18, 512, 4096


@dataclass
class Curvature:
    """Curvature of the mean squared error in the coordinates of training, over all chunks seen.

    mean : L = 2 lambda_max(second moments of the rows, intercept included)
    largest : L_max = 2 max_i(weight_i (|x_i|^2 + 1) / mean weight), the same of a single row
    columns : 2 max_i(weight_i x_ij^2 / mean weight) of each feature, in the data's units

    Chunks are joined by their row-weighted mean of L, which bounds the L of all rows from above
    (the largest eigenvalue is convex), and by the largest of the others.
    """

    mean: float = 0.0
    largest: float = 0.0
    columns: np.ndarray | float = 0.0
    mass: float = 0.0

    @classmethod
    def of(cls, rows: Any, coordinates: Any, *, intercept: bool) -> "Curvature":
        """Measure the rows."""
        total, features = len(rows.y), rows.features
        stride = max(1, total // int(np.clip(SAMPLED_VALUES // features, LEAST_ROWS, MOST_ROWS)))
        slope, image, columns = np.empty((1, features)), np.empty((1, features + 1)), np.empty(features)
        mean = kernels().largest_eigenvalue(rows, coordinates, float(intercept), stride, slope, image)
        largest = kernels().largest_squares(rows, coordinates, float(intercept), columns)
        return cls(2.0 * mean, 2.0 * largest, 2.0 * columns, rows.mean_weight * total)

    def merged(self, other: "Curvature") -> "Curvature":
        """Curvature bounds of both samples together."""
        mass = self.mass + other.mass
        mean = self.mean + other.mass / mass * (other.mean - self.mean)
        return Curvature(
            mean, max(self.largest, other.largest), np.maximum(self.columns, other.columns), mass
        )

    def expected_smoothness(self, batch_size: int) -> float:
        """Smoothness of batches of m rows: ``L_max / m + (1 - 1 / m) L``.

        Gower, Loizou, Qian, Sailanbayev, Shulgin and Richtarik (2019), "SGD: general analysis
        and improved rates", for m independent rows.
        """
        return self.largest / batch_size + (1.0 - 1.0 / batch_size) * self.mean


def automatic_rate(
    est: Any, curvature: Curvature, *, batch_size: int, exact: bool, spread: np.ndarray
) -> np.ndarray:
    """Learning rate for each output.

    With ``L`` and ``L_max`` of `Curvature` and batches of m rows, ``L_b = (1 - 1/m) L`` is the
    curvature that all batches share and ``L_max / m`` that of a single one:

    - gd: ``1.5 / L``, in a stream with chunks of m rows ``1.5 / (L_b + 2 L_max / m)``: shorter than the
      ``2 / L`` at which descent stops, and faster than 1 / L along all but the steepest directions
    - sgd: ``1 / (L_b + 2 L_max / m)``, between 1 and 2 over the expected smoothness
    - momentum: ``1 / (L_b + 2 L_max / ((1 - eta) m))``. Shared curvature needs no smaller steps
      for the inertia, which damps itself there; the noise of a batch stays in the velocity for
      ``1 / (1 - eta)`` updates.
    - adam: ``0.02 sqrt(m)``, at most 0.07, standard deviations of y: the square-root scaling rule
      of Malladi, Lyu, Panigrahi and Arora (2022).

    ``exact`` says that every batch holds all rows: then there is no noise. A loss without
    curvature gets the rate at which its steps are as long as those of squared error at residuals
    of half the spread of y.
    """
    if est.solver == "adam":
        # In data units a step of one parameter moves predictions by up to the norm of a row.
        norm = 1.0 if est.standardize else max(1.0, np.sqrt(0.5 * curvature.largest))
        return np.asarray(min(ADAM_RATE * np.sqrt(batch_size), ADAM_MOST) / norm * spread)
    shared, noise = curvature.mean, 0.0
    if not exact:
        shared *= 1.0 - 1.0 / batch_size
        noise = curvature.largest / batch_size
    if est.solver == "momentum":
        noise /= 1.0 - est.momentum
    smoothness = shared + 2.0 * noise + penalty_strengths(est)[1]
    if smoothness == 0.0:  # nothing to learn from: no intercept, no feature that varies
        return np.ones_like(spread)
    if est.loss not in SMOOTH_LOSSES:
        return NONSMOOTH_RESIDUAL * 2.0 * spread / smoothness
    return np.full_like(spread, (GD_STEP if est.solver == "gd" else 1.0) / smoothness)


def automatic_epsilon(
    est: Any,
    curvature: Curvature,
    inverse_scale: np.ndarray,
    rate: np.ndarray,
    *,
    batch_size: int,
    exact: bool,
) -> np.ndarray:
    """Adam's epsilon (k, d + 1) under ``learning_rate="auto"``, in the coordinates of training.

    Adam enlarges the steps of a parameter whose gradients are small, to ``rate / sqrt(epsilon)`` at the
    most. That is kept within what plain descent with this inertia can bear, ``(1 + beta_1) / (1 - beta_1)
    / L``, so that rounding noise cannot grow where gradients vanish, and for each feature within
    ``m / (2 max_i x_ij^2)``, so that a value that stands in one row of many is not overshot.
    """
    inertia = (1.0 + est.beta_1) / (1.0 - est.beta_1)
    noise = np.append(curvature.columns, 2.0) * inverse_scale**2 / batch_size
    if exact:
        noise[:] = 0.0
    steepest = np.maximum(curvature.mean / inertia, noise)
    return np.asarray((rate[:, None] * steepest) ** 2)
