"""Warnings that say what went wrong in training, in numbers."""

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgdopt._callbacks import FRAMES_BETWEEN
from sklearn_sgdopt._full_batch import second_moments
from sklearn_sgdopt._optimizer_state import OptimizerState
from sklearn_sgdopt._plan import batch_rows, spread_of_targets
from sklearn_sgdopt._rows import (
    as_matrix,
    feature_moments,
    is_sparse,
    make_rows,
    sampled_rows,
    sampled_weight,
    sampling_stride,
)
from sklearn_sgdopt._step_size import Curvature, automatic_rate, matrix_of_moments
from sklearn_sgdopt._watchers import Outcome

COLLINEAR = 1e4  # condition number from which slow convergence is put down to the data
WIDEST = 256  # features up to which the condition number is worth its cubic cost
EXAMINED_ROWS = 4096
FRAMES_UP = 5 + FRAMES_BETWEEN  # from here to the line that called `fit`
UNFINISHED = 0.02  # part of the loss by which an optimum must lie lower to be worth a warning


def warn_of_divergence(est: Any, state: OptimizerState, rows: Any, outcome: Outcome) -> None:
    """Name the rate, one that is safe, and the feature with the largest scale."""
    batch_size = batch_rows(est, rows)
    exact = batch_size == len(rows.y)
    curvature = Curvature.of(
        rows,
        state.coordinates,
        intercept=est.fit_intercept,
        batch_size=batch_size,
        ordered=not exact and not est.shuffle,
    )
    safe = automatic_rate(
        est,
        curvature,
        batch_size=batch_size,
        exact=exact,
        spread=spread_of_targets(est, state),
    )
    moments = feature_moments(rows)
    size = np.hypot(moments.mean, np.sqrt(moments.variance))
    largest = int(np.argmax(size))
    advice = f"A safe rate for these rows is {safe.min():.3g}."
    if not np.isfinite(safe.min()):
        advice = "No rate is safe for these rows: their squares overflow."
    names = getattr(est, "feature_names_in_", None)
    feature = f"{names[largest]!r}" if names is not None else f"{largest}"
    remedy = "" if est.standardize else ", or standardize=True, which makes the scale of features harmless"
    warnings.warn(
        f"Training diverged with learning rate {outcome.rate.max():.3g}: the loss reached "
        f"{outcome.losses[-1]:.3g} in epoch {len(outcome.losses)}, and the parameters from before that epoch "
        f"are kept. {advice} The feature with the largest scale is "
        f"{feature} (root mean square {size[largest]:.3g}). Use learning_rate='auto'{remedy}.",
        ConvergenceWarning,
        stacklevel=FRAMES_UP,
    )


def warn_of_slow_convergence(
    est: Any, state: OptimizerState, rows: Any, outcome: Outcome, *, exhausted: bool
) -> None:
    """Warn where ``epochs`` ran out, or where nearly collinear data hide what is left to gain.

    With ``epochs="auto"`` running out is worth a warning only if something is left, or if that is not known.
    """
    condition, left, rounding = _what_is_left(est, state, rows)
    unfinished = left is not None and left > UNFINISHED + rounding
    hint = ""
    if unfinished and condition > COLLINEAR:
        hint = (
            " The features are nearly collinear"
            f"{'' if est.standardize else ', with each other or with the intercept'}"
            f": their condition number is {condition:.2g}"
            f"{' after standardisation' if est.standardize else ''}, and gradient descent is slow along "
            f"what they share. The loss could still fall by {100 * left:.0f} %; "
            "LinearRegression or Ridge solves such data directly."
        )
    if exhausted and (est.epochs != "auto" or left is None or unfinished):
        message = f"The loss was still falling after all {len(outcome.losses)} epochs.{hint}"
        if not hint:
            message += " Increase epochs, or tol if this is good enough."
    elif hint:
        message = f"The loss fell too slowly to go on (tol={est.tol:g}).{hint}"
    else:
        return
    warnings.warn(message, ConvergenceWarning, stacklevel=FRAMES_UP)


def _what_is_left(est: Any, state: OptimizerState, rows: Any) -> tuple[float, Any, float]:
    """Condition number, largest part of an output's loss still to gain, and how well that is known.

    What could be gained is the Newton decrement ``g.(H^-1 g) / 2`` of the reported parameters (Boyd and
    Vandenberghe 2004, section 9.5): for squared error it is exactly the distance to the least loss, here
    on a sample of the rows; None where the objective is another, or X too wide.
    """
    features = rows.features
    if est.loss != "squared_error" or est.penalty is not None or features > WIDEST:
        return np.inf, None, 0.0
    stride = sampling_stride(rows, EXAMINED_ROWS)
    moments = second_moments(_sample(rows, stride))
    matrix = matrix_of_moments(moments, state.coordinates, intercept=est.fit_intercept)
    eigenvalues, vectors = np.linalg.eigh(matrix)
    real = eigenvalues > eigenvalues[-1] * len(matrix) * np.finfo(np.float64).eps
    if not real.any():
        return 1.0, 0.0, 0.0
    # Targets about their means, where the intercept can take those up: they may be a million spreads away.
    mean = moments.mean_y * (not est.fit_intercept)
    theta, cross = state.average.copy(), np.zeros_like(state.average)
    theta[:, -1] -= moments.mean_y - mean
    cross[:, :-1] = moments.cross + np.outer(mean, moments.mean_x - state.coordinates.center)
    cross *= state.coordinates.inverse_scale
    gradient = theta @ matrix - cross
    gaps = np.sum((gradient @ vectors[:, real]) ** 2 / eigenvalues[real], axis=1)
    losses = moments.variance_y + mean**2 + np.sum(theta * (gradient - cross), axis=1)
    condition = float(eigenvalues[-1] / eigenvalues[real][0])
    # On part of the rows even the best parameters of all rows lie d / n above the best ones there.
    rounding = 3.0 * features * stride / len(rows.y) if stride > 1 else 0.0
    left = np.divide(gaps, losses, out=np.zeros_like(gaps), where=losses > 0.0)
    return condition, float(left.max()), rounding


def _sample(rows: Any, stride: int) -> Any:
    """One row in ``stride``, dense."""
    if stride == 1 and not is_sparse(rows):
        return rows
    sample = sampled_rows(len(rows.y), stride)
    X = as_matrix(rows)[sample].toarray() if is_sparse(rows) else rows.X[sample]
    weight = sampled_weight(rows, stride)
    return make_rows(X, rows.y[sample], weight if weight.any() else None)
