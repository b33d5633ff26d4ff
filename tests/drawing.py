"""Data, estimators and a check for the tests of Displays."""

import matplotlib as mpl
import numpy as np
from cases import SOLVERS
from matplotlib import pyplot as plt

from sklearn_sgdopt import GradientDescentRegressor

mpl.use("Agg")


__all__ = ["SOLVERS", "assert_drawn", "fitted", "make_data", "make_estimator", "mean_squared_error", "plt"]


def make_data(rows=60, features=3):
    rng = np.random.default_rng(0)
    X = rng.normal([1.0, -20.0, 300.0][:features], [1.0, 5.0, 40.0][:features], (rows, features))
    return X, X @ [2.0, -1.0, 0.1][:features] + rng.normal(size=rows)


def make_estimator(solver="sgd", **parameters):
    return GradientDescentRegressor(solver, **{"epochs": 4, "tol": None, "random_state": 0, **parameters})


def fitted(solver="sgd", *, held_out=False, **parameters):
    X, y = make_data()
    validation = {"X_val": X[:10], "y_val": y[:10]} if held_out else {}
    return make_estimator(solver, **parameters).fit(X, y, **validation)


def assert_drawn(line, x, y):
    np.testing.assert_array_equal(line.get_xdata(), x)
    np.testing.assert_array_equal(line.get_ydata(), y)


def mean_squared_error(X, y, coef, intercept, weight=None):
    return np.average((y - X @ coef - intercept) ** 2, weights=weight)
