"""Warnings that say what went wrong in training, in numbers."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgdopt import _kernels
from sklearn_sgdopt._callbacks import FRAMES_BETWEEN
from sklearn_sgdopt._coordinates import WIDEST_WHITE
from sklearn_sgdopt._monitors import Outcome
from sklearn_sgdopt._observation import safe_rate
from sklearn_sgdopt._problem import Problem
from sklearn_sgdopt._samples import dense_sample, sampling_stride
from sklearn_sgdopt._state import AVERAGE, State
from sklearn_sgdopt._statistics import EPS, Moments, SecondMoments

COLLINEAR = 1e4  # condition number from which slow convergence is put down to the data
UNFINISHED = 0.02  # part of the loss by which an optimum must lie lower to be worth a warning
MISMATCHED = (
    4.0  # times the mean square of scaled samples: held-out ones that look like no samples of these data
)
FRAMES_UP = 6 + FRAMES_BETWEEN  # from `_warn` to the line that called `fit`


def tell(state: State, problem: Problem, outcome: Outcome, rate: float) -> None:
    """Warn of divergence, of slow convergence, and of held-out samples unlike those of training."""
    if outcome.diverged:
        _warn(divergence(state, problem, outcome, rate))
        return
    if problem.held_out is not None and (held_out := held_out_mismatch(state, problem, outcome)):
        _warn(held_out)
    if message := slow_convergence(state, problem, outcome):
        _warn(message)


def _warn(message: str) -> None:
    warnings.warn(message, ConvergenceWarning, stacklevel=FRAMES_UP)


def divergence(state: State, problem: Problem, outcome: Outcome, rate: float) -> str:
    """Name the rate, one that is safe, and the feature with the largest scale."""
    settings, samples = problem.settings, problem.samples
    safe = safe_rate(state, problem)
    mean, variance, _ = _kernels.column_moments(samples)
    size = np.hypot(mean, np.sqrt(variance))
    largest = int(np.argmax(size))
    advice = f"A safe rate for these samples is {safe:.3g}."
    if not (np.isfinite(safe) and safe > 0.0):
        advice = "No rate is safe for these samples: their squares overflow."
    feature = str(largest) if problem.names is None else repr(str(problem.names[largest]))
    remedies = []
    if settings.rule.rate is not None:
        remedies.append("learning_rate='auto'")
    if not settings.frame.standardize:
        remedies.append("standardize=True, which makes the scale of features harmless")
    return (
        f"Training diverged with learning rate {rate:.3g}: the loss reached {outcome.losses[-1]:.3g} "
        "in epoch "
        f"{len(outcome.losses)}, and the parameters from before that epoch are kept. {advice} The "
        "feature with the "
        f"largest scale is {feature} (root mean square {size[largest]:.3g})."
        + (f" Use {', or '.join(remedies)}." if remedies else "")
    )


def held_out_mismatch(state: State, problem: Problem, outcome: Outcome) -> str:
    """Say where held-out samples lie far from those of training, and a constant predicts them better."""
    target, held_out = problem.settings.target, problem.held_out
    if problem.stream or held_out is None or not outcome.validation:
        return ""
    slope = np.zeros((held_out.outputs, held_out.features + 1))
    slope[:, -1] = target.best_constant(*problem.targets)
    objective = target.objective(state.width_spread)
    constant = float(np.mean(_kernels.mean_losses(held_out, np.zeros(held_out.features), slope, objective)))
    at = state.coordinates._replace(whitening=None, inverse=None).record()
    held_out_size, size = (_kernels.sample_sizes(s, at, 0.0)[1] for s in (held_out, problem.samples))
    if not (min(outcome.validation) > constant and not size / MISMATCHED < held_out_size < size * MISMATCHED):
        return ""
    return (
        f"The least loss of the held-out samples, {min(outcome.validation):.3g}, is above that of a "
        f"constant, {constant:.3g}, and they lie far from the samples of training. Are X_val and X "
        "transformed alike? In a Pipeline X_val arrives as it was given: name it in "
        "Pipeline(..., transform_input=['X_val']) and set the metadata request fit(X_val=True, y_val=True)."
    )


def slow_convergence(state: State, problem: Problem, outcome: Outcome) -> str:
    """Say where ``epochs`` ran out, or where nearly collinear data hide what is left to gain.

    With ``epochs="auto"`` running out is worth a warning only if something is left.
    """
    stopping, white = problem.settings.stopping, state.coordinates.whitening is not None
    if problem.stream or stopping.tol is None or stopping.early_stopping:
        return ""
    exhausted = not outcome.stopped and problem.settings.rule.schedule != "cosine"
    if white and not (exhausted and stopping.epochs is not None):
        return ""  # white coordinates have no flat directions
    condition, left, rounding = what_is_left(state, problem)
    unfinished = left is not None and left > UNFINISHED + rounding
    hint = ""
    if unfinished and left is not None and condition > COLLINEAR:
        standardized = problem.settings.frame.standardize
        hint = (
            f" The features are nearly "
            f"collinear{'' if standardized else ', with each other or with the intercept'}: "
            f"their condition number is "
            f"{condition:.2g}{' after standardisation' if standardized else ''}, and "
            f"gradient descent is slow along what they share. The loss could still fall by "
            f"{100 * left:.0f} %; "
            "whiten='auto' with standardize=True, LinearRegression or Ridge solve such data."
        )
    if exhausted and (stopping.epochs is not None or unfinished):
        advice = hint or " Increase epochs, or tol if this is good enough."
        return f"The loss was still falling after all {len(outcome.losses)} epochs.{advice}"
    if hint:
        return f"The loss fell too slowly to go on (tol={stopping.tol:g}).{hint}"
    return ""


def what_is_left(state: State, problem: Problem) -> tuple[float, float | None, float]:
    """Condition number, largest part of an output's loss still to gain, and how well that is known.

    What could be gained is the Newton decrement ``g.(H^-1 g) / 2`` of the reported parameters (Boyd and
    Vandenberghe 2004, section 9.5): for squared error it is exactly the distance to the least loss, here on a
    part of the samples; None where the objective is another, or X too wide.
    """
    target, samples, features = problem.settings.target, problem.samples, problem.samples.features
    if not target.is_squared or target.penalty != (0.0, 0.0) or features > WIDEST_WHITE:
        return np.inf, None, 0.0
    stride, at = sampling_stride(samples), state.coordinates._replace(whitening=None)
    moments = SecondMoments.of(Moments.of(dense_sample(samples, stride), full=True), features)
    scale = at.scale
    matrix = np.zeros((features + 1, features + 1))
    shift = np.append((moments.mean_x - at.center) * scale[:-1], float(problem.settings.frame.fit_intercept))
    matrix[:-1, :-1] = moments.covariance * np.multiply.outer(scale[:-1], scale[:-1])
    matrix += np.multiply.outer(shift, shift)
    eigenvalues, vectors = np.linalg.eigh(matrix)
    real = eigenvalues > eigenvalues[-1] * len(matrix) * EPS
    if not real.any():
        return 1.0, 0.0, 0.0
    slope = state.buffers[AVERAGE]
    residual = slope[:, -1] - moments.mean_y + slope[:, :-1] @ (moments.mean_x - at.center)
    product = slope[:, :-1] @ moments.covariance
    gradient = np.multiply.outer(residual, shift)
    gradient[:, :-1] += (product - moments.cross) * scale[:-1]
    gaps = np.sum((gradient @ vectors[:, real]) ** 2 / eigenvalues[real], axis=1)
    losses = (
        moments.variance_y + np.sum(slope[:, :-1] * (product - 2.0 * moments.cross), axis=1) + residual**2
    )
    left = np.divide(gaps, losses, out=np.zeros_like(gaps), where=losses > 0.0)
    # On part of the samples even the best parameters of all lie d / n above the best ones there.
    examined = samples.total / stride
    rounding = 3.0 * features / examined if examined < problem.total else 0.0
    return float(eigenvalues[-1] / eigenvalues[real][0]), float(left.max()), rounding
