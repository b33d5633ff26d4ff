"""Step sizes from curvature: the bounds behind ``learning_rate="auto"``."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sklearn_sgdopt._lazy import kernels
from sklearn_sgdopt._objective import SMOOTH_LOSSES, penalty_strengths
from sklearn_sgdopt._rows import sampling_stride

ADAM_RATE = 0.014  # in standard deviations of y, for batches of one row
ADAM_MOST = 0.1
SPARSE = 0.5  # part of the features up to which the values of a row are few
ADAM_MOVE = 1.5  # standard deviations of y by which one update may move the predictions of a batch
GD_STEP = 1.5
# Of the step to the least loss along a gradient: on all rows shorter ones break the zigzag of descent, in
# chunks that differ longer ones lead on.
GD_RELAXATION, GD_STREAM_RELAXATION = 0.9, 1.4
GD_OCTAVE = 2.0  # rates on all rows in each factor of 2
# Times the bound L, so that no rate is 1 / L: what a step takes out to the last bit comes back as rounding.
OFF_GRID = 1.02
NO_SEARCH = {"relaxation": 0.0, "steepest": 0.0, "noise": 0.0, "octave": 0.0}
NONSMOOTH_RESIDUAL = 0.5
NONSMOOTH_ADAM = 0.25  # where iterates swing widely about a skewed minimum, their average is not it
MOST_ROWS = 4096  # sampled for the largest eigenvalue
SAMPLED_AT_A_TIME = 512
TINY = float(np.finfo(np.float64).tiny)
WIDEST_MATRIX = 256  # features up to which it is bounded by powers of a matrix


@dataclass
class Curvature:
    """Curvature of the mean squared error in the coordinates of training, over all chunks seen.

    mean : L = 2 lambda_max(second moments of the rows, intercept included)
    largest : L_max = 2 max_i(weight_i (|x_i|^2 + 1) / mean weight), the same of a single row
    columns : 2 max_i(weight_i x_ij^2 / mean weight) of each feature, in the data's units
    active : values other than 0 that a row has in the mean, the intercept counted in
    mass : weight of the rows
    latest : L of the rows that came last, in proportion to their part of a full batch
    ordered : where batches follow the rows' order, a bound of the L of any of them, else 0

    Chunks are joined by their row-weighted mean of L, which bounds the L of all rows from above
    (the largest eigenvalue is convex), and by the largest of the others. Where the rows of a stream
    change, the mean is slow to tell: no update may be too long for the very rows that it is made on.
    """

    mean: float = 0.0
    largest: float = 0.0
    columns: np.ndarray = field(default_factory=lambda: np.zeros(1))
    active: float = 0.0
    mass: float = 0.0
    latest: float = 0.0
    ordered: float = 0.0

    @classmethod
    def of(
        cls,
        rows: Any,
        coordinates: Any,
        *,
        intercept: bool,
        batch_size: int = 1,
        ordered: bool = False,
        moments: Any = None,
    ) -> "Curvature":
        """Measure the rows: a sample of them gives L, of all rows for batches of all rows.

        The second ``moments`` of all rows give it exactly. They are those of batches that hold all rows,
        which meet no single ones: what these would add is left at 0. ``ordered`` says that batches of
        ``batch_size`` follow the rows' order.
        """
        total, features = len(rows.y), rows.features
        columns, largest, active = np.zeros(features), 0.0, float(features)
        record = coordinates.record()
        if moments is not None:
            mean = norm_bound(matrix_of_moments(moments, coordinates, intercept=intercept))
        else:
            # A sample is to be no less sure than a batch.
            stride = sampling_stride(rows, max(MOST_ROWS, batch_size))
            largest, active, matrix = examine(rows, coordinates, columns, stride, intercept=intercept)
            if matrix is None:
                slope, image = np.empty((1, features)), np.empty((1, features + 1))
                mean = kernels().largest_eigenvalue(rows, record, float(intercept), stride, slope, image)
            else:
                mean = norm_bound(matrix)
        steepest = kernels().steepest_batch(rows, record, float(intercept), batch_size) if ordered else 0.0
        return cls(
            mean=2.0 * mean,
            largest=2.0 * largest,
            columns=2.0 * columns,
            active=active + intercept,
            mass=rows.mean_weight * total,
            ordered=2.0 * steepest,
        )

    def merged(self, other: "Curvature", *, share: float) -> "Curvature":
        """Curvature bounds of both samples together; the other, the latest, is ``share`` of a batch."""
        mass = self.mass + other.mass
        return Curvature(
            mean=self.mean + other.mass / mass * (other.mean - self.mean),
            largest=max(self.largest, other.largest),
            columns=np.maximum(self.columns, other.columns),
            active=max(self.active, other.active),
            mass=mass,
            latest=share * other.mean,
            ordered=other.ordered,
        )

    def within(self, coordinates: Any, *, intercept: bool) -> "Curvature":
        """Return these bounds, with what single rows had in other coordinates bounded by their columns.

        Where a scale has grown since, they would be too large for ever.
        """
        inverse = coordinates.inverse_scale[:-1]
        most = float(np.vdot(self.columns * inverse, inverse)) + 2.0 * intercept
        return self if self.largest <= most else replace(self, largest=most)

    def of_batches(self, batch_size: int, *, exact: bool) -> tuple[float, float]:
        """Return the curvature that batches share and that of a single one, see `automatic_rate`."""
        if exact:
            return max(self.mean, self.latest), 0.0
        noise = self.largest / batch_size
        return (1.0 - 1.0 / batch_size) * max(self.mean, self.latest - noise), noise


def matrix_of_moments(moments: Any, coordinates: Any, *, intercept: bool) -> np.ndarray:
    """Second moments (d + 1, d + 1) of the rows in the coordinates, a column of ones for the intercept."""
    shift = np.full(len(coordinates.inverse_scale), float(intercept))
    shift[:-1] = moments.mean_x - coordinates.center
    shift *= coordinates.inverse_scale
    matrix = np.multiply.outer(coordinates.inverse_scale, coordinates.inverse_scale)
    matrix[:-1, :-1] *= moments.covariance
    matrix[:, -1] = matrix[-1] = 0.0
    matrix += np.multiply.outer(shift, shift)
    return matrix


def examine(
    rows: Any, coordinates: Any, columns: np.ndarray, stride: int, *, intercept: bool
) -> tuple[float, float, np.ndarray | None]:
    """Return the largest square of a row, the values a row has, and second moments of one row in ``stride``.

    All in the coordinates. Where there are fewer rows than features it is their Gram matrix, which has the
    same eigenvalues; None where a matrix would be too wide. ``columns`` (d,) takes the largest squares of
    each column.
    """
    total, width = len(rows.y), rows.features + 1
    sampled = -(-total // stride)
    wide = rows.features > WIDEST_MATRIX
    record = coordinates.record()
    room = np.empty((0 if wide else min(sampled, SAMPLED_AT_A_TIME), width))
    largest, mass, filled, products = 0.0, 0.0, 0, []
    for first in range(0, sampled, SAMPLED_AT_A_TIME):
        start, sample = first * stride, room[: sampled - first]
        stop = min(start + SAMPLED_AT_A_TIME * stride, total)
        size, more, values = kernels().examine_rows(
            rows, record, float(intercept), start, stop, stride, columns, sample
        )
        if not wide:
            products.append(sample @ sample.T if sampled < width else sample.T @ sample)
        largest, mass, filled = max(largest, size), mass + more, filled + values
    if wide:
        return largest, filled / total, None
    matrix = np.asarray(products[0])
    for product in products[1:]:
        matrix += product
    matrix *= 1.0 / max(mass, TINY)
    return largest, filled / total, matrix


def norm_bound(matrix: np.ndarray) -> float:
    """Upper bound of the largest eigenvalue of a matrix like a covariance, within ``d ** (1 / 32)``.

    The Schatten norm ``trace(A ** 32) ** (1 / 32)``, from four squarings: unlike power iteration it cannot
    start on the wrong foot, and it is faster than eigenvalues for the small matrices of a stream.
    """
    size = sum(matrix.diagonal().tolist())
    if size == 0.0:
        return 0.0
    power = matrix / size
    for _ in range(4):
        power = power.dot(power)
    return float(size * np.vdot(power, power) ** (1.0 / 32.0))


def automatic_rate(
    est: Any, curvature: Curvature, *, batch_size: int, exact: bool, spread: np.ndarray
) -> np.ndarray:
    """Learning rate for each output.

    With ``L`` and ``L_max`` of `Curvature` and batches of m rows, ``L_b = (1 - 1/m) L`` is the
    curvature that all batches share and ``L_max / m`` that of a single one. What the latest rows of a
    stream have beyond both counts as shared.

    - gd: ``1.5 / L``, in a stream with chunks of m rows ``1.5 / (L_b + 2 L_max / m)``: shorter than the
      ``2 / L`` at which descent stops, and faster than 1 / L along all but the steepest directions
    - sgd: ``1 / (L_b + 2 L_max / m)``, between 1/2 and 1 over the expected smoothness ``L_b + L_max / m``
      (Gower, Loizou, Qian, Sailanbayev, Shulgin and Richtarik 2019, "SGD: general analysis and improved
      rates")
    - momentum: ``1 / (L_b + 2 L_max / ((1 - eta) m))``. Shared curvature needs no smaller steps
      for the inertia, which damps itself there; the noise of a batch stays in the velocity for
      ``1 / (1 - eta)`` updates.
    - adam: ``0.014 sqrt(m)``, at most 0.1, standard deviations of y: the square-root scaling rule
      of Malladi, Lyu, Panigrahi and Arora (2022). Its steps are of one length in each of the ``a``
      features that a row has, so they move the predictions of a batch by up to
      ``rate sqrt(a (L_b + L_max / m) / 2)``: that is kept to 1.5 standard deviations, for sparse rows
      to one together with what follows by inertia.

    Updates of the first two on all rows search for longer ones, see `line_search`.

    ``exact`` says that every batch holds all rows: then there is no noise. Where batches follow the rows'
    order, ``L_b + 2 L_max / m`` gives way to a bound of the curvature of each, for momentum over
    ``(1 - eta)^2``: what changes in step with the velocity would drive it. A loss without curvature gets the
    rate at which its steps are as long as those of squared error at residuals of half the spread of y.
    """
    if est.solver == "adam":
        return adam_rate(est, curvature, batch_size=batch_size, exact=exact) * spread
    shared, noise = curvature.of_batches(batch_size, exact=exact)
    in_order = curvature.ordered > 0.0 and not exact
    if in_order:
        shared, noise = max(shared, curvature.ordered), 0.0
    if est.solver == "momentum":
        noise /= 1.0 - est.momentum
        shared /= (1.0 - est.momentum) ** 2 if in_order else 1.0
    smoothness = shared + 2.0 * noise + penalty_strengths(est)[1]
    if smoothness == 0.0:  # nothing to learn from: no intercept, no feature that varies
        return np.ones_like(spread)
    if est.loss not in SMOOTH_LOSSES:
        return NONSMOOTH_RESIDUAL * 2.0 * spread / smoothness
    return np.full_like(spread, (GD_STEP if est.solver == "gd" else 1.0) / smoothness)


def line_search(est: Any, curvature: Curvature, *, batch_size: int, exact: bool) -> dict[str, float]:
    """Return how updates on all rows, in whole batches, find their rates: that part of `_kernels.Rule`.

    The step to the least loss along a gradient ``g`` is ``g.g / g.Hg`` (Cauchy 1847). It is never shorter
    than 1 / L, and far longer where what is left lies along flat directions.

    - In `fit` nine tenths of it are made, which break the zigzag of the full step (Raydan and
      Svaiter 2002, "Relaxed steepest descent and Cauchy-Barzilai-Borwein method"), rounded down to a
      power of ``sqrt(2)`` over ``1.02 L`` in the first 2000 updates. The loss never rises.
    - In a stream 1.4 times it, with ``L_max / m`` added to the curvature of a chunk for what single rows have
      beyond it. Steps of less than twice its length lead away from no point at which the chunk has no loss,
      however chunks change.

    For "gd", and for "sgd", which then is the same. Not with a schedule, which wants a rate to start from,
    nor where a loss or an l1 penalty has kinks.
    """
    l1, l2 = penalty_strengths(est)
    descends = est.solver in ("gd", "sgd") and est.schedule == "constant"
    if not descends or est.loss not in SMOOTH_LOSSES or l1 > 0.0:
        return NO_SEARCH
    shared, noise = curvature.of_batches(batch_size, exact=exact)
    return {
        "relaxation": GD_RELAXATION if exact else GD_STREAM_RELAXATION,
        "steepest": OFF_GRID * (shared + l2),
        "noise": noise,
        "octave": GD_OCTAVE if exact else 0.0,
    }


def adam_rate(est: Any, curvature: Curvature, *, batch_size: int, exact: bool) -> float:
    """Adam's automatic rate in standard deviations of y, see `automatic_rate`."""
    moved = math.sqrt(0.5 * curvature.active * sum(curvature.of_batches(batch_size, exact=exact)))
    # What the coming batches of sparse rows lack moves on unchecked, by 1 / (1 - beta_1) such steps.
    columns, most = curvature.columns, ADAM_MOVE
    # The first half spares most the counting.
    if curvature.active <= SPARSE * len(columns) and curvature.active <= SPARSE * np.count_nonzero(columns):
        most = 1.0 - est.beta_1
    rate = ADAM_MOST if exact else min(ADAM_RATE * math.sqrt(batch_size), ADAM_MOST)
    if est.loss not in SMOOTH_LOSSES:
        rate *= NONSMOOTH_ADAM
    return float(min(rate, most / max(moved, most)))


def automatic_epsilon(
    est: Any,
    curvature: Curvature,
    inverse_scale: np.ndarray,
    rate: np.ndarray,
    *,
    batch_size: int,
    exact: bool,
    spread: np.ndarray,
) -> np.ndarray:
    """Adam's epsilon (k, d + 1) under ``learning_rate="auto"``, in the coordinates of training.

    Adam enlarges the steps of a parameter whose gradients are small, to ``rate / sqrt(epsilon)`` at the
    most. That is kept within what plain descent with this inertia can bear, ``(1 + beta_1) / (1 - beta_1)
    / L``, so that rounding noise cannot grow where gradients vanish, and for each feature within
    ``m / (2 max_i x_ij^2)``, so that a value that stands in one row of many is not overshot. It is no less
    than ``epsilon`` in the units that gradients have here, those of y.
    """
    inertia = (1.0 + est.beta_1) / (1.0 - est.beta_1)
    size, unit = rate, spread
    if est.loss not in SMOOTH_LOSSES:  # whose gradients carry no unit of y
        unit = np.ones_like(spread)
        size = rate / np.where(spread > 0.0, 2.0 * NONSMOOTH_RESIDUAL * spread, 1.0)
    epsilon = np.empty((len(rate), len(inverse_scale)))
    shared = max(curvature.mean, curvature.latest) / inertia
    kernels().fill_epsilon(
        inverse_scale,
        curvature.columns,
        shared,
        0.0 if exact else 1.0 / batch_size,
        size,
        float(est.epsilon),
        unit,
        epsilon,
    )
    return epsilon
