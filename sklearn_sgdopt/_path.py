"""The path that the parameters take, update by update."""

from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone

from sklearn_sgdopt._columns import Columns
from sklearn_sgdopt._validation import check_rows


def record_path(
    estimator: Any, X: Any, y: Any, sample_weight: Any = None, *, max_updates: int = 1000
) -> tuple[Any, np.ndarray, np.ndarray]:
    """Fit a clone of ``estimator`` and return it with every iterate of its descent.

    Parameters
    ----------
    estimator : GradientDescentRegressor
        What to train; it stays as it is.
    X, y, sample_weight : array-like
        Rows, as for `fit`.
    max_updates : int
        Updates kept; training goes on after them.

    Returns
    -------
    fitted : GradientDescentRegressor
        The clone.
    coef : ndarray of shape (n_updates + 1, n_outputs, n_features)
        Coefficients before the first update and after each, in the data's units, not averaged.
    intercept : ndarray of shape (n_updates + 1, n_outputs)
        Intercepts.
    """
    fitted = clone(estimator)
    _, targets, _ = check_rows(Columns(type(estimator)), X, y)
    trace = np.full((max_updates + 1, targets.shape[1], np.shape(X)[1] + 1), np.nan)
    validate = partial(fitted._validate, X, y, sample_weight, (None, None), (None, None))
    fitted._train(validate, trace=trace)
    steps, center = trace[: fitted.t_ + 1], fitted._state.coordinates.center
    return fitted, steps[..., :-1], steps[..., -1] - steps[..., :-1] @ center
